"""Session deciders per event: the loop's own part is measured by a fold without deciders and taken off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from streams import policy
from streams.detect import facts as wire
from streams.detect.catalogue import session_deciders
from streams.detect.fold import Fold
from streams.records import Fact, Facts, Position

from .events import Kind, evaluated, failing, history, model, next_of, read, tool

SESSIONS = 500
EVENTS = 40  # of each session: a call has failed a while ago
ROUNDS = 7
QUIET = 0.1
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

    def us(self, lines: Sequence[bytes]) -> list[float]:
        """CPU per event, of each message; it is read just before, as the stage does, and that is not measured."""
        spent = []
        for message in self.messages(lines):
            began = time.process_time()
            for one in message:
                self.fold.event(one, 0)
            spent.append((time.process_time() - began) / len(message) * 1e6)
        return spent

    def us_shelf(self, lines: Sequence[bytes]) -> list[float]:
        """One event for each shelf, read from its bytes and written back; of each message."""
        self.fold.rebuild(())
        spent = []
        for message in self.messages(lines):
            began = time.process_time()
            for one in message:
                self.fold.event(one, 0)
            self.write()
            spent.append((time.process_time() - began) / len(message) * 1e6)
        return spent

    def us_facts(self, lines: Sequence[bytes]) -> list[float]:
        """What is said by each message summed up and encoded, as the stage does."""
        spent = []
        for message in self.messages(lines):
            said = [one for event in message for one in self.fold.event(event, 0)]
            began = time.process_time()
            facts = wire.aggregate(one for one in said if isinstance(one, Fact))
            wire.pack(Facts(Position("timeline/0", 0), facts))
            spent.append((time.process_time() - began) / len(message) * 1e6)
        return spent


class Row(NamedTuple):
    """Samples of a figure, and of what is taken off."""

    name: str
    us: list[float]
    off: list[float]

    def at(self, share: float) -> float:
        return _share(self.us, share) - _share(self.off, share)


def _share(some: list[float], share: float) -> float:
    return sorted(some)[int(len(some) * share)] if some else 0.0


def deciders() -> tuple[Any, ...]:
    given = policy.load()
    return session_deciders(given.detectors, given.given)


def measured(say: Callable[..., object]) -> dict[str, Any]:
    """µs of CPU over all messages of several rounds. Quiet: a tenth takes less, the median is that of a busy machine."""
    before, rows = history(SESSIONS, EVENTS), dict[str, Row]()
    for number in range(ROUNDS):
        full, bare = Bench(deciders(), before), Bench((), before)
        for one in _round(full, bare, number):
            known = rows.setdefault(one.name, Row(one.name, [], []))
            known.us.extend(one.us)
            known.off.extend(one.off)
    found: dict[str, Any] = {}
    for name, row in rows.items():
        found[name] = {"quiet_us": round(row.at(QUIET), 2), "median_us": round(row.at(0.5), 2)}
        say(f"{name}: {found[name]}")
    return found


def _round(full: Bench, bare: Bench, number: int) -> Iterable[Row]:
    """Each kind of event after what came before it in this session; messages of errors are new ones in each round."""
    at = EVENTS

    def more(kind: Kind, times: int = 1) -> tuple[list[float], list[float]]:
        nonlocal at
        some = next_of(kind, SESSIONS, at, times)
        at += times
        return full.us(some), bare.us(some)

    yield Row("ordinary tool event", *more(tool, 4))
    yield Row("model event", *more(model, 4))
    fails = partial(failing, words=number + 1)
    yield Row("failing tool event", *more(fails))
    yield Row("ordinary tool event, one having failed", *more(tool, 4))
    more(tool, 16)
    yield Row("failing tool event, in words that were heard before", *more(partial(failing, words=-1)))
    yield Row("evaluation", *more(evaluated))
    more(tool, 20)
    more(fails, 2)
    yield Row("failing tool event with a finding", *more(fails))
    hot, bare_us = more(tool, 2)
    yield Row("the loop itself: echoes, whom it is about", bare_us, [])
    yield Row("shelf, read and written", full.us_shelf(next_of(tool, SESSIONS, at)), hot)
    yield Row("facts on their way, per event", full.us_facts(next_of(tool, SESSIONS, at + 1, 4)), [])
    yield Row("an event read from its bytes", _read(next_of(tool, SESSIONS, at + 5)), [])


def _read(lines: list[bytes]) -> list[float]:
    spent = []
    for at in range(0, len(lines), MESSAGE):
        began = time.process_time()
        read(lines[at : at + MESSAGE], at)
        spent.append((time.process_time() - began) / MESSAGE * 1e6)
    return spent


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
        bare = _share(Bench((), before).us(some), QUIET)
        alone = {one.name: _share(Bench((one,), before).us(some), QUIET) - bare for one in deciders()}
        ordered = sorted(alone.items(), key=lambda item: -item[1])
        found[kind.__name__] = {name: round(us, 2) for name, us in ordered if us >= 0.05}
    return found
