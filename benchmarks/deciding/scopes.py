"""Scope deciders per fact and per closed bucket: facts as sessions say them, in messages of a hundred events."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from streams import policy
from streams.detect import facts as wire
from streams.detect.catalogue import scope_deciders
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.scope.series import Series
from streams.records import Fact, Facts, Position

from .events import AGENTS, BEGAN, evaluated, moved, read, started, stopped, usual
from .sessions import MESSAGE
from .sessions import deciders as of_sessions

OPEN = 500  # sessions at a time
LONG = 42  # events of a session: a start, calls, an evaluation, an end
WARM_H = 8
WARM_STEP_S = 60  # between messages while there is nothing to measure
RATE = 2000  # events a second
SECONDS = 40
GROUP = 16  # messages
SOURCE = "tocsin.timeline/0"


class Source:
    """What a timeline partition's sessions say, message by message."""

    def __init__(self) -> None:
        self.fold = Fold(of_sessions(), {}.get, "bench")
        self.offset = 0

    def message(self, at: timedelta) -> Facts:
        """The next hundred events, all of one moment."""
        first = self.offset * MESSAGE
        events = read([moved(_line(n), at) for n in range(first, first + MESSAGE)], first)
        said = [one for event in events for one in self.fold.event(event, 0)]
        said += self.fold.tick(0, (BEGAN + at).timestamp() - 30)
        self.fold.remembered()
        self.offset += 1
        return Facts(Position(SOURCE, self.offset), wire.aggregate(one for one in said if isinstance(one, Fact)))


def _line(n: int) -> bytes:
    """Sessions in turn; one that has ended is followed by another of the same agent."""
    place = n % OPEN
    step = n // OPEN + place  # they began one after the other
    session, at = place + step // LONG * OPEN, step % LONG
    kind = evaluated if at == LONG - 2 else stopped if at == LONG - 1 else started if at == 0 else usual(at)
    return kind(session, at)


class Bench:
    """The second stage's fold, with some hours behind it."""

    def __init__(self, source: Source) -> None:
        given = policy.load()
        self.store: dict[str, bytes] = {}
        deciders = (*scope_deciders(given.detectors, given.given), Series())
        self.fold = Fold(deciders, self.store.get, "bench", idle_s=SCOPE_IDLE_S)
        for n in range(WARM_H * 3600 // WARM_STEP_S):
            at = timedelta(seconds=n * WARM_STEP_S)
            self.fold.facts(source.message(at), 0)
            self.fold.tick(0, (BEGAN + at).timestamp() - 30)
            self.write()

    def write(self) -> int:
        """Bytes."""
        size = 0
        for items in self.fold.remembered().values():
            for key, value in items:
                size += len(value or b"")
                if value is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = value
        return size


def measured(say: Callable[..., object]) -> dict[str, Any]:
    """A minute of a busy partition: facts, ticks and shelves, spread over its events."""
    source = Source()
    bench, spent, counts = Bench(source), Counter[str](), Counter[str]()
    for messages, at in _groups(source):
        began = time.process_time()
        for one in messages:
            bench.fold.facts(one, 0)
        spent["facts"] += _since(began)
        counts["facts"] += sum(len(one.facts) for one in messages)
        began = time.process_time()
        counts["findings"] += len(bench.fold.tick(0, (BEGAN + at).timestamp() - 30))
        spent["ticks"] += _since(began)
        began = time.process_time()
        counts["bytes"] += bench.write()
        spent["shelves"] += _since(began)
    events = RATE * SECONDS
    found = {f"{what}, µs per event": round(us / events, 2) for what, us in spent.items()}
    found["facts per event"] = round(counts["facts"] / events, 3)
    found["µs per fact"] = round(spent["facts"] / counts["facts"], 2)
    found["µs per agent and second of ticks"] = round(spent["ticks"] / SECONDS / AGENTS, 1)
    found["bytes written per event"] = round(counts["bytes"] / events, 1)
    found["shelves"], found["bytes of shelves per agent"] = len(bench.store), _weight(bench) // AGENTS
    found |= {"µs by kind of fact": kinds(source, bench), "heaviest memories": heaviest(bench)}
    for name, value in found.items():
        say(f"{name}: {value}")
    return found


def _groups(source: Source) -> Iterator[tuple[list[Facts], timedelta]]:
    begin = timedelta(hours=WARM_H)
    step = MESSAGE / RATE
    for first in range(0, int(SECONDS / step), GROUP):
        at = [begin + timedelta(seconds=(first + n) * step) for n in range(GROUP)]
        yield [source.message(one) for one in at], at[-1]


def kinds(source: Source, bench: Bench) -> dict[str, float]:
    """Each kind alone, in the facts of fifty messages."""
    at = timedelta(hours=WARM_H, seconds=SECONDS)
    batches = [source.message(at + timedelta(seconds=n * MESSAGE / RATE)) for n in range(50)]
    found = {}
    for kind in sorted({one.kind for batch in batches for one in batch.facts}):
        some = [Facts(one.position, tuple(fact for fact in one.facts if fact.kind == kind)) for one in batches]
        bench.fold.rebuild(())
        for one in some[:10]:
            bench.fold.facts(one, 0)
        count, began = sum(len(one.facts) for one in some[10:]), time.process_time()
        for one in some[10:]:
            bench.fold.facts(one, 0)
        if count:
            found[kind] = round(_since(began) / count, 2)
    return found


def heaviest(bench: Bench) -> dict[str, int]:
    """Bytes of the largest memory of each decider; the first ten."""
    sizes: dict[str, int] = {}
    for key in bench.store:
        live = bench.fold._existing(key)  # noqa: SLF001 - which of them weigh most
        for name, kept in live.kept.items() if live else ():
            sizes[name] = max(sizes.get(name, 0), len(kept.value))
    return dict(sorted(sizes.items(), key=lambda item: -item[1])[:10])


def _weight(bench: Bench) -> int:
    return sum(map(len, bench.store.values()))


def _since(began: float) -> float:
    return (time.process_time() - began) * 1e6
