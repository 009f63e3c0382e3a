"""The fold: echoes out, deciders in, what they say stamped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import builders as b
import pytest
from msgspec import Struct

from streams.detect.fingerprint import fingerprint
from streams.detect.fold import LIVE_MAX, Fold
from streams.detect.shelf import ENDS_STEPS, OUTLIVES_S
from streams.detect.stamps import EVIDENCE_MAX
from streams.records import Fact, Finding, Heartbeat, Position, Tick, ToolCalled
from streams.step import Order, Step

NOON = b.EPOCH.timestamp()


class Count(Struct, frozen=True, array_like=True):
    calls: int = 0


class Counting:
    """Counts tool calls and says so every time; wakes a minute after the last."""

    name, version, memory = "counting", 1, Count
    reads: tuple[type, ...] = (ToolCalled, Fact)
    order: Order = "free"

    def __init__(self, *, wake_s: float | None = None, severity: str = "high") -> None:
        self.wake_s, self.severity = wake_s, severity

    def key(self, record: Any) -> str | None:
        return "scope" if isinstance(record, Fact) else record.data.ctx.session_id

    def step(self, memory: Count | None, record: Any) -> Step[Count]:
        if isinstance(record, Tick):
            return Step(memory, (self.finding(record.at, 0),))
        after = Count((memory.calls if memory else 0) + 1)
        wake = record.at + timedelta(seconds=self.wake_s) if self.wake_s else None
        return Step(after, (self.finding(record.at, after.calls),), wake)

    def finding(self, at: Any, count: int) -> Finding:
        evidence = tuple(b.excerpt(n, n) for n in range(count))
        print_ = fingerprint(self.name, "x")
        return Finding(self.name, 1, print_, {}, "t", self.severity, at, count=count, evidence=evidence)  # type: ignore[arg-type]


class Broken(Counting):
    name = "broken"

    def __init__(self, where: str = "step") -> None:
        super().__init__()
        self.where = where

    def key(self, record: Any) -> str | None:
        if self.where == "key":
            raise ValueError("no key")
        return super().key(record)

    def step(self, memory: Count | None, record: Any) -> Step[Count]:  # noqa: ARG002
        raise ValueError("no step")


class Watching(Counting):
    """Reads, and keeps nothing."""

    name = "watching"

    def step(self, memory: Count | None, record: Any) -> Step[Count]:  # noqa: ARG002
        return Step(memory)


class Bench:
    """A fold over a store, with groups of one record."""

    def __init__(self, *deciders: Any, **given: Any) -> None:
        self.kept: dict[str, bytes] = {}
        self.deciders, self.given = deciders, given
        self.fold = self.anew()

    def anew(self) -> Fold:
        """As after a restart: the store is all there is."""
        self.fold = Fold(self.deciders, self.kept.get, "sha256:p", **self.given)
        self.fold.rebuild(self.kept.items())
        return self.fold

    def event(self, event: Any, partition: int = 0) -> list[Any]:
        said = self.fold.event(event, partition)
        self.remember()
        return said

    def tick(self, at_s: float, partition: int = 0) -> list[Any]:
        said = self.fold.tick(partition, NOON + at_s)
        self.remember()
        return said

    def remember(self) -> dict[str, bytes | None]:
        written: dict[str, bytes | None] = {}
        for items in self.fold.remembered().values():
            for key, value in items:
                written[key] = value
                if value is None:
                    self.kept.pop(key, None)
                else:
                    self.kept[key] = value
        return written


def call(seconds: float = 0.0, offset: int = 0, **given: Any) -> Any:
    return b.tool_called(seconds, position=b.position(offset), **given)


def test_an_event_read_again_says_nothing_even_after_a_restart() -> None:
    bench = Bench(Counting())
    assert len(bench.event(call(0, 5))) == 1
    assert bench.event(call(90, 5)) == []
    bench.anew()
    assert bench.event(call(90, 4)) == []
    assert bench.fold.echoes == 1
    assert [found.count for found in bench.event(call(90, 6))] == [2]


def test_an_agents_own_retry_under_a_new_position_says_nothing() -> None:
    bench = Bench(Counting())
    bench.event(call(0, 5, id="same"))
    bench.anew()
    assert bench.event(call(90, 6, id="same")) == []
    assert len(bench.event(call(90, 7, id="same", source="/another"))) == 1


def test_a_crash_before_remembering_says_the_same_again() -> None:
    bench = Bench(Counting())
    bench.event(call(0, 1))
    first = bench.fold.event(call(90, 2, id="e2"), 0)
    bench.anew()
    assert bench.fold.event(call(90, 2, id="e2"), 0) == first


def test_a_finding_knows_who_where_and_under_which_policy() -> None:
    bench = Bench(Counting())
    bench.event(b.session_started(0, session="s9", user="u1", position=b.position(0)))
    (found,) = bench.event(call(1, 1, session="s9"))
    assert found.id == f"{found.fingerprint}|s9|agent.events/1/0/1"
    assert (found.about.session, found.about.user, found.about.agent, found.policy) == (
        "s9",
        "u1",
        "billing",
        "sha256:p",
    )


def test_a_finding_carries_ten_excerpts_at_most() -> None:
    bench = Bench(Counting())
    for n in range(30):
        said = bench.event(call(n * 70, n))
    assert len(said[0].evidence) == EVIDENCE_MAX


def test_one_fingerprint_is_said_once_a_minute() -> None:
    bench = Bench(Counting())
    said = [len(bench.event(call(at, n))) for n, at in enumerate((0, 10, 59.9, 60, 61, 121))]
    assert said == [1, 0, 0, 1, 0, 1]


def test_a_higher_severity_is_news() -> None:
    decider = Counting(severity="medium")
    bench = Bench(decider)
    bench.event(call(0, 0))
    decider.severity = "high"
    assert len(bench.event(call(1, 1))) == 1


def test_a_decider_in_trial_marks_what_it_says() -> None:
    decider: Any = Counting()
    decider.dry_run = True
    assert Bench(decider).event(call(0, 0))[0].dry_run


@pytest.mark.parametrize("where", ["step", "key"])
def test_a_decider_that_raises_is_isolated_and_the_others_go_on(where: str) -> None:
    bench = Bench(Broken(where), Counting())
    assert [found.detector for found in bench.event(call(0, 0))] == ["counting"]
    (isolated,) = bench.fold.isolated
    assert (isolated.decider, isolated.record.id) == ("broken", bench.fold.isolated[0].record.id)
    assert "ValueError" in isolated.why


def test_a_memory_that_cannot_be_read_isolates_its_decider_alone() -> None:
    class Other(Counting):
        memory = Heartbeat  # type: ignore[assignment]

    bench = Bench(Counting())
    bench.event(call(0, 0))
    bench.deciders = (Other(),)
    bench.anew().event(call(90, 1), 0)
    assert [isolated.decider for isolated in bench.fold.isolated] == ["counting"]


def test_what_changes_nothing_writes_nothing() -> None:
    bench = Bench(Watching())
    bench.event(call(0, 0))
    bench.fold.event(call(1, 1), 0)
    assert bench.remember() == {}
    assert bench.fold.event(b.heartbeat(2, position=b.position(2)), 0) == []
    assert bench.remember() == {}


def test_each_key_is_written_once_a_group() -> None:
    bench = Bench(Counting())
    for n in range(5):
        bench.fold.event(call(n, n), 0)
    assert [(key, len(items)) for key, items in bench.fold.remembered().items()] == [(0, 1)]


def test_a_decider_is_woken_when_it_asked_and_not_before() -> None:
    bench = Bench(Counting(wake_s=60))
    bench.event(call(0, 0))
    assert bench.tick(59) == []
    (found,) = bench.tick(75)
    assert (found.at, found.id.rpartition("|")[2]) == (b.at(60), f"due/{NOON + 60}")
    assert bench.tick(200) == []


def test_asking_again_moves_the_wake() -> None:
    bench = Bench(Counting(wake_s=60))
    bench.event(call(0, 0))
    bench.event(call(50, 1))
    assert bench.tick(100) == []
    assert len(bench.tick(111)) == 1


def test_who_is_due_survives_a_restart() -> None:
    bench = Bench(Counting(wake_s=60))
    bench.event(call(0, 0))
    bench.anew()
    assert bench.fold.due_s(0) == NOON + 60
    assert len(bench.tick(61)) == 1


def test_partitions_have_clocks_of_their_own() -> None:
    bench = Bench(Counting(wake_s=60))
    bench.event(call(0, 0, session="a"), 0)
    bench.event(call(0, 1, session="b"), 1)
    assert len(bench.tick(61, 1)) == 1
    assert len(bench.tick(61, 0)) == 1


def test_a_decider_that_wants_to_be_woken_for_ever_is_isolated() -> None:
    class Restless(Counting):
        def step(self, memory: Count | None, record: Any) -> Step[Count]:
            return Step(memory, (), record.at)

    bench = Bench(Restless())
    bench.event(call(0, 0))
    assert bench.tick(10) == []
    assert [isolated.decider for isolated in bench.fold.isolated] == ["counting"]


def test_a_shelf_outlives_its_session_by_an_hour() -> None:
    bench = Bench(Counting())
    bench.event(call(0, 0))
    bench.event(b.session_ended(10, position=b.position(1)))
    bench.tick(OUTLIVES_S)
    assert "s1" in bench.kept
    assert bench.event(call(90, 0)) == []
    bench.tick(OUTLIVES_S + 10 + OUTLIVES_S / ENDS_STEPS)
    assert "s1" not in bench.kept


def test_a_session_that_never_ends_is_forgotten_after_its_idle_time() -> None:
    bench = Bench(Counting(), idle_s=600)
    bench.event(call(0, 0))
    bench.event(call(300, 1))
    bench.tick(890)
    assert "s1" in bench.kept
    bench.tick(900 + 600 / ENDS_STEPS)
    assert "s1" not in bench.kept


def test_what_is_waiting_does_not_grow_with_the_ticks() -> None:
    bench = Bench(Counting(wake_s=5))
    for n in range(500):
        bench.event(call(n * 10, n))
        bench.tick(n * 10 + 9)
    assert sum(len(wakes) for wakes in bench.fold._wakes.values()) <= 4


def test_a_session_that_was_forgotten_and_comes_back_starts_anew() -> None:
    bench = Bench(Counting(), idle_s=600)
    bench.event(call(0, 0))
    bench.fold.tick(0, NOON + 700)
    assert [found.count for found in bench.fold.event(call(710, 1), 0)] == [1]
    assert bench.remember()["s1"] is not None


def test_more_sessions_than_fit_in_memory_are_all_remembered() -> None:
    bench = Bench(Counting())
    for n in range(LIVE_MAX + 100):
        bench.event(call(0, n, session=f"s{n}"))
    assert len(bench.fold._live) <= LIVE_MAX
    assert [found.count for found in bench.event(call(70, LIVE_MAX + 200, session="s0"))] == [2]


def test_facts_of_one_message_count_once_for_each_subject() -> None:
    bench = Bench(Counting())
    batch = b.facts(5, b.fact(0), b.fact(0, subject=("other",)))
    assert len(bench.fold.facts(batch, 0)) == 1  # the second finding is within the minute
    assert bench.fold.facts(batch, 0) == []
    bench.remember()
    bench.anew()
    assert bench.fold.facts(batch, 0) == []
    assert bench.fold.facts(b.facts(4, b.fact(0)), 0) == []
    assert bench.fold.facts(b.facts(6, b.fact(90)), 0)[0].count == 3


def test_facts_of_another_timeline_partition_are_no_echo() -> None:
    bench = Bench(Counting())
    bench.fold.facts(b.facts(5, b.fact(0)), 0)
    from_another = b.r.Facts(Position("tocsin.timeline/1", 5), (b.fact(90),))
    assert bench.fold.facts(from_another, 0)[0].count == 2


def test_one_session_id_under_two_roots_is_two_sessions() -> None:
    """Partitions go by root: one key in two partitions would be remembered in both and true in neither."""
    bench = Bench(Counting())
    bench.event(call(0, 5, ctx=b.ctx("child", root_session_id="root-1")))
    bench.event(call(90, 6, ctx=b.ctx("child", root_session_id="root-2")))
    assert len(bench.kept) == 2
