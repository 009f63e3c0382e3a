"""Session deciders per event: the loop's own part is measured by a fold without deciders and taken off."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from streams import policy
from streams.detect import facts as wire
from streams.detect.catalogue import session_deciders
from streams.detect.fold import Fold
from streams.records import Fact, Facts, Position

from .events import FAILS_EVERY, Kind, evaluated, failing, history, model, next_of, read, tool

SESSIONS = 500
EVENTS = 2 * FAILS_EVERY - 2 - 18  # of each session: a call has failed a while ago
ROUNDS = 7
LENGTHS = (10, 40, 200)  # of sessions whose shelves are weighed
WEIGHED = 40
MESSAGE = 100  # events


class Bench:
    """A fold with what its sessions have behind them."""

    def __init__(self, deciders: Iterable[Any], before: Sequence[bytes]) -> None:
        self.store: dict[str, bytes] = {}
        self.fold = Fold(deciders, self.store.get, "bench")
        self.offset = 0
        self.us(before)
        self.write()

    def write(self) -> None:
        for items in self.fold.remembered().values():
            for key, value in items:
                self.store[key] = value or b""

    def messages(self, lines: Sequence[bytes]) -> Iterator[list[Any]]:
        for at in range(0, len(lines), MESSAGE):
            some = lines[at : at + MESSAGE]
            yield read(some, self.offset)
            self.offset += len(some)

    def us(self, lines: Sequence[bytes]) -> float:
        """CPU per event; each message is read just before, as the stage does, and that is not measured."""
        spent = 0.0
        for message in self.messages(lines):
            began = time.process_time()
            for one in message:
                self.fold.event(one, 0)
            spent += time.process_time() - began
        return spent / len(lines) * 1e6

    def us_shelf(self, lines: Sequence[bytes]) -> float:
        """One event for each shelf, read from its bytes and written back."""
        self.fold.rebuild(())
        spent = self.us(lines)
        began = time.process_time()
        self.write()
        return spent + (time.process_time() - began) / len(lines) * 1e6

    def us_facts(self, lines: Sequence[bytes]) -> float:
        """What is said by each message summed up and encoded, as the stage does."""
        spent = 0.0
        for message in self.messages(lines):
            said = [one for event in message for one in self.fold.event(event, 0)]
            began = time.process_time()
            facts = wire.aggregate(one for one in said if isinstance(one, Fact))
            wire.pack(Facts(Position("timeline/0", 0), facts))
            spent += time.process_time() - began
        return spent / len(lines) * 1e6


def deciders() -> tuple[Any, ...]:
    given = policy.load()
    return session_deciders(given.detectors, given.given)


def measured(say: Callable[..., object]) -> dict[str, Any]:
    """Least and median of several rounds, in µs of CPU."""
    before, taken = history(SESSIONS, EVENTS), dict[str, list[float]]()
    for number in range(ROUNDS):
        full, bare = Bench(deciders(), before), Bench((), before)
        for name, us in _round(full, bare, number):
            taken.setdefault(name, []).append(us)
    found: dict[str, Any] = {}
    for name, some in taken.items():
        found[name] = {"least_us": round(min(some), 2), "median_us": round(statistics.median(some), 2)}
        say(f"{name}: {found[name]}")
    return found


def _round(full: Bench, bare: Bench, number: int) -> Iterable[tuple[str, float]]:
    """Each kind of event after what came before it in this session; messages of errors are new ones in each round."""
    at = EVENTS

    def more(kind: Kind, times: int = 1) -> float:
        nonlocal at
        some = next_of(kind, SESSIONS, at, times)
        at += times
        return full.us(some) - bare.us(some)

    yield "ordinary tool event", more(tool, 4)
    yield "model event", more(model, 4)
    fails = partial(failing, words=number + 1)
    yield "failing tool event", more(fails)
    yield "ordinary tool event, one having failed", more(tool, 4)
    yield "evaluation", more(evaluated)
    more(tool, 20)
    more(fails, 2)
    yield "failing tool event with a finding", more(fails)
    yield "shelf, read and written", full.us_shelf(next_of(tool, SESSIONS, at)) - full.us(next_of(tool, SESSIONS, at + 1))
    yield "facts on their way, per event", full.us_facts(next_of(tool, SESSIONS, at + 2, 4))


def weighed() -> dict[str, dict[str, Any]]:
    """Bytes of a shelf in the store, and which memories they are, after so many events of a session."""
    found: dict[str, dict[str, Any]] = {}
    for length in LENGTHS:
        bench = Bench(deciders(), history(WEIGHED, length))
        sizes = sorted(map(len, bench.store.values()))
        live = bench.fold._live[min(bench.store)]  # noqa: SLF001 - which of them weigh most
        most = sorted(live.kept.items(), key=lambda item: -len(item[1].value))[:6]
        heavy = {name: len(kept.value) for name, kept in most}
        found[f"{length} events"] = {"median_bytes": sizes[len(sizes) // 2], "max_bytes": sizes[-1], "heaviest": heavy}
    return found


def each(kinds: Sequence[Kind] = (tool, model, failing)) -> dict[str, dict[str, float]]:
    """Every decider alone, per ordinary event of a kind."""
    before = history(SESSIONS, EVENTS)
    found: dict[str, dict[str, float]] = {}
    for kind in kinds:
        some = next_of(kind, SESSIONS, EVENTS, 1 if kind is failing else 4)
        bare = min(Bench((), before).us(some) for _ in range(3))
        alone = {one.name: min(Bench((one,), before).us(some) for _ in range(3)) - bare for one in deciders()}
        ordered = sorted(alone.items(), key=lambda item: -item[1])
        found[kind.__name__] = {name: round(us, 2) for name, us in ordered if us >= 0.05}
    return found
