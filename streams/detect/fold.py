"""Folds records over shelves: echoes out, deciders in, sayings stamped with who, where and under which policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ..records import (
    Ctx,
    Fact,
    Facts,
    Position,
    Tick,
)
from ..step import Decider
from .about import ENDS, noted, noted_fact
from .gathering import GATHERED, Gathered
from .ports import Writes
from .readers import ABSENT, Reader, Readers, Several
from .routes import Routes
from .shelf import Live, moment, wanted
from .stamps import Stamps
from .wakes import Wakes

LIVE_MAX = 4_000  # decoded shelves kept between groups: more of them cost more in garbage collection than they save
SESSION_IDLE_S = 24 * 3600.0  # a session that never said it ended
SCOPE_IDLE_S = 14 * 24 * 3600.0

Recall = Callable[[str], bytes | None]


class Isolated(Exception):
    """A decider raised. Its memory stays as it was, the others went on."""

    def __init__(self, decider: str, record: Any, why: str) -> None:
        super().__init__(f"{decider}: {why}")
        self.decider, self.record, self.why = decider, record, why


class Fold:
    """One stage's deciders over the shelves of one worker. Not thread-safe; one owner.

    `recall` answers the stored bytes of a key. Call `remembered()` at the end of a group for what to write.
    """

    def __init__(
        self, deciders: Iterable[Decider[Any]], recall: Recall, policy: str = "", idle_s: float = SESSION_IDLE_S
    ) -> None:
        self.deciders = {decider.name: decider for decider in deciders}
        self.recall, self.idle_s = recall, idle_s
        self.isolated: list[Isolated] = []
        self.echoes = 0
        parts = {part.name: part for one in self.deciders.values() for part in getattr(one, "parts", ())}
        self._stamps = Stamps({**self.deciders, **parts}, policy)
        self._readers = Readers(self.deciders.values())
        self._routes = Routes(self._readers.named.values())
        self._live: dict[str, Live] = {}
        self._touched: dict[str, Live] = {}
        self._gone: dict[str, int] = {}
        self._wakes: dict[int, Wakes] = {}

    def event(self, event: Any, partition: int) -> list[Any]:
        """What the deciders say to one event of the timeline; an echo says nothing."""
        ctx = event.data.ctx
        key, session, root = key_of(ctx), ctx.session_id, ctx.root_session_id
        readers = self._readers.of(event)
        live = self._shelf(key, partition)
        alone = root is None or root == session
        said = self._heard(readers.all if alone else readers.own, key, live, event)
        if not alone and readers.of_root:
            above = self._shelf(ctx.root, partition)
            said += self._heard(readers.of_root, ctx.root, above, event)
        return said

    def _heard(self, readers: Several, key: str, live: Live, event: Any) -> list[Any]:
        position = event.position
        if live.echo(position.source, position.offset, f"{event.source}\x1f{event.id}"):
            self.echoes += 1
            return []
        self._news(key, live, noted(key, live, event))
        said = self._steps(readers, key, live, event)
        return self._stamps.on(said, live, position, key) if said else said

    def facts(self, batch: Facts, partition: int) -> list[Any]:
        """What scope deciders say to the facts of one timeline message, each shelf guarded by its position.

        Most wait for the end of a bucket, and get what has come by then as one fact.
        """
        source, offset = batch.position.source, batch.position.offset
        fresh: dict[str, bool] = {}
        out: list[Any] = []
        for fact in batch.facts:
            for key, at_once, gathered in self._routes.of(fact, self._key):
                live = self._shelf(key, partition)
                if key not in fresh:
                    fresh[key] = offset > live.positions.get(source, -1)
                    live.positions[source] = max(offset, live.positions.get(source, -1))
                if not fresh[key]:
                    self.echoes += 1
                    continue
                self._news(key, live, noted_fact(live, fact))
                if at_once:
                    out += self._stamps.on(self._steps(at_once, key, live, fact), live, batch.position, key)
                if gathered and not self._gathers(key, live, fact):
                    out += self._handed(key, live, math.inf, batch.position)
        return out

    def _gathers(self, key: str, live: Live, fact: Fact) -> bool:
        """Whether it fits."""
        if live.gathered is None:
            live.gathered = Gathered()
        at_s, due_s = live.gathered.add(fact), live.due.get(GATHERED)
        end_s = at_s + self._routes.bucket_s
        if due_s is None or end_s < due_s:
            live.due[GATHERED] = end_s
            self._wakes_of(live.partition).add(end_s, key)
        return live.gathered.fits(at_s)

    def _handed(self, key: str, live: Live, until_s: float, cause: Position | str) -> list[Any]:
        """What was gathered in buckets that ended by then, to those who wait for it."""
        said: list[Any] = []
        live.due.pop(GATHERED, None)
        if live.gathered is None:
            return said
        for fact in live.gathered.take(until_s - self._routes.bucket_s):
            for name, _, readers in self._routes.of(fact, self._key):
                said += self._steps(readers, key, live, fact) if name == key else ()
        left_s = live.gathered.first_s
        if left_s is not None:
            live.due[GATHERED] = left_s + self._routes.bucket_s
        return self._stamps.on(said, live, cause, key)

    def tick(self, partition: int, at_s: float) -> list[Any]:
        """Wake what is due in `partition` by event time `at_s`: each decider hears of its own due time."""
        wakes = self._wakes.get(partition)
        out: list[Any] = []
        for key in wakes.due(at_s) if wakes else ():
            live = self._existing(key)
            if live is not None and live.partition == partition:
                out += self._wake(key, live, at_s)
        return out

    def due_s(self, partition: int) -> float | None:
        """When the next tick is wanted: `replay` makes its ticks at due times."""
        wakes = self._wakes.get(partition)
        return wakes.first_s if wakes else None

    def rebuild(self, stored: Iterable[tuple[str, bytes]]) -> None:
        """Who is due when, anew, from every stored shelf after an assignment."""
        self._live, self._touched, self._gone, self._wakes = {}, {}, {}, {}
        for key, value in stored:
            partition, at_s = wanted(value, self.idle_s)
            self._wakes_of(partition).add(at_s, key)

    def remembered(self) -> Writes:
        """What changed since the last call: partition -> (key, bytes, or None to forget). Each key once."""
        writes: Writes = {}
        for key, live in self._touched.items():
            writes.setdefault(live.partition, []).append((key, live.encode()))
            for name, why in live.lost:
                self.isolated.append(Isolated(name, Tick(moment(live.newest_s)), why))
                self._live.pop(key, None)  # as it was written is how it goes on
        for key, partition in self._gone.items():
            writes.setdefault(partition, []).append((key, None))
        self._touched, self._gone = {}, {}
        if len(self._live) > LIVE_MAX:
            for key in list(self._live)[: LIVE_MAX // 2]:
                del self._live[key]
        return writes

    def _wakes_of(self, partition: int) -> Wakes:
        return self._wakes.setdefault(partition, Wakes())

    def _existing(self, key: str) -> Live | None:
        live = self._live.get(key)
        if live is None and key not in self._gone:
            value = self.recall(key)
            if value is not None:
                live = self._live[key] = self._readers.ready(Live.of(value))
        return live

    def _shelf(self, key: str, partition: int) -> Live:
        live = self._existing(key)
        if live is None:
            live = self._live[key] = self._readers.ready(Live(partition))
            self._gone.pop(key, None)
        return live

    def _news(self, key: str, live: Live, news: int) -> None:
        if news:
            self._touched[key] = live
            if news == ENDS:
                self._arm(key, live)

    def _arm(self, key: str, live: Live) -> None:
        self._wakes_of(live.partition).add(live.wake_s(self.idle_s), key)

    def _wake(self, key: str, live: Live, at_s: float) -> list[Any]:
        out: list[Any] = []
        while live.due:
            name, due = min(live.due.items(), key=lambda item: (item[1], item[0]))
            if due > at_s:
                break
            del live.due[name]
            self._touched[key] = live
            if name == GATHERED:
                out += self._handed(key, live, due, f"due/{due}")
                continue
            reader = self._readers.named.get(name)
            if reader is None:  # it is gone from this release
                continue
            live.asked[reader.number] = None
            out += self._stamps.on(self._steps((reader,), key, live, Tick(moment(due))), live, f"due/{due}", key)
            if live.due.get(name, math.inf) <= due:  # would never end
                self._due(reader, key, live, None)
                self.isolated.append(Isolated(name, Tick(moment(due)), "asked for a tick at the tick's own time"))
        if not live.due and live.expires_s(self.idle_s) <= at_s:
            self._gone[key] = live.partition
            self._live.pop(key, None)
            self._touched.pop(key, None)
        else:
            self._arm(key, live)
        return out

    def _key(self, reader: Reader, record: Any) -> str | None:
        try:
            return reader.decider.key(record)
        except Exception as error:  # as in `_step`
            self.isolated.append(Isolated(reader.name, record, repr(error)))
            return None

    def _steps(self, readers: Several, key: str, live: Live, record: Any) -> list[Any]:
        """Each reader in turn. The loop that every event goes through a dozen times: no calls of our own in it."""
        said: list[Any] = []
        memories, asked, news = live.memories, live.asked, False
        for reader in readers:
            number = reader.number
            memory = memories[number]
            try:
                if memory is ABSENT:
                    memory = live.memory(reader)
                if (reader.idle and memory is None) or (reader.asks and reader.decider.key(record) is None):
                    continue
                step = reader.step(memory, record)
            except Exception as error:  # a decider's bug is its own: the others go on, the event becomes a dead letter
                self.isolated.append(Isolated(reader.name, record, repr(error)))
                news = True  # the dead letter has been said
                continue
            remember, wake = step.remember, step.wake
            if remember is not memory:
                memories[number] = remember
                live.changed[number] = reader
                news = True
            if wake is not asked[number]:
                self._due(reader, key, live, wake)
            if step.say:
                said += step.say
                news = True
        if news:
            self._touched[key] = live
        return said

    def _due(self, reader: Reader, key: str, live: Live, wake: datetime | None) -> None:
        live.asked[reader.number] = wake
        wake_s = wake.timestamp() if wake else None
        if wake_s == live.due.get(reader.name):
            return
        self._touched[key] = live
        if wake_s is None:
            del live.due[reader.name]
        else:
            live.due[reader.name] = wake_s
            self._wakes_of(live.partition).add(wake_s, key)


def key_of(ctx: Ctx) -> str:
    """A session's shelf. The root is part of it, so that one key can only ever live in one partition."""
    root = ctx.root_session_id
    return ctx.session_id if root is None or root == ctx.session_id else f"{root}\x1f{ctx.session_id}"
