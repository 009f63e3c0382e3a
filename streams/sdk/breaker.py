"""What a running agent may still do: asked before every call, answered from memory, fed from elsewhere."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import msgspec

from ..records.control import Control, ControlBeat, Scope
from ..records.signing import genuine
from .guarding import Guard, LocalLimits
from .halting import AgentHalted
from .rules import Given, Rule, Snapshot, newer
from .snapshot import KEPT_S, load, save

__all__ = ["AgentHalted", "Breaker", "BreakerStatus", "Feed", "Guard", "LocalLimits"]

log = logging.getLogger(__name__)

STALE_S = 30.0
BEATS_KEPT = 12  # a minute of them: the controller's clock is the furthest ahead of these
BEAT = "heartbeat"
SAVED_EACH_S = 60.0
_EPOCH = datetime.fromtimestamp(0, UTC)
_read: msgspec.json.Decoder[Control | ControlBeat] = msgspec.json.Decoder(Control | ControlBeat)


class Feed(Protocol):
    """Brings what is on the control topic, from wherever, on a thread of its own."""

    def start(self, breaker: Breaker) -> None: ...

    def stop(self) -> None: ...


class BreakerStatus(NamedTuple):
    """For metrics and health pages of the agent."""

    synced: bool
    stale: bool
    rules: int
    seq: int  # the highest that was seen
    beat_age_s: float | None
    refused: int
    measured: int  # would have been refused
    unsynced: int  # asked before anything was known, and allowed
    ignored: int  # messages without a valid signature, older than what is known, or no messages at all


class Breaker:
    """`check` before every call of a model or tool, and between the chunks of a long answer; it raises AgentHalted.

    It is told by `feed`. Until the first word all is allowed but `fail_closed_tools`. With a `key` messages without a
    valid signature are ignored. `snapshot` is a file in which the last word survives a restart, for an hour.
    """

    def __init__(
        self,
        feed: Feed | None = None,
        *,
        key: bytes = b"",
        fail_closed_tools: Iterable[str] = (),
        snapshot: Path | None = None,
        on_refused: Callable[[AgentHalted], None] | None = None,
        limits: LocalLimits | None = None,
    ) -> None:
        if snapshot is not None and not key:
            raise ValueError("a snapshot on disk is believed only with a signature: give a key, too")
        self._feed, self._key, self._file, self._on_refused = feed, key, snapshot, on_refused
        self._limits = limits or LocalLimits()
        self._writing = threading.Lock()  # of those who bring news; who asks takes none
        self._controls: dict[str, Control] = {}
        self._beats: deque[float] = deque(maxlen=BEATS_KEPT)  # the controller's clock less our monotonic one
        self._ahead_s: float | None = None
        self._beat_seq, self._beat_s, self._saved_s = 0, time.monotonic(), 0.0
        self._ready = threading.Event()
        self._refused = self._measured = self._unsynced = self._ignored = 0
        self._snapshot = Snapshot(_closed(fail_closed_tools), synced=False)
        self._from_disk()

    def check(
        self, session: str, agent: str, release: str = "", tool: str | None = None, tenant: str | None = None
    ) -> None:
        """Raises AgentHalted. On the way that nothing closes: lookups in one snapshot, no lock, nothing is made."""
        now = self._snapshot
        if now.everybody is not None:
            self._ask(now.everybody, session, agent, release, tool)
        if tenant is not None and (rule := now.tenants.get(tenant)) is not None:
            self._ask(rule, session, agent, release, tool)
        if (own := now.agents.get(agent)) is not None:
            if own.rule is not None:
                self._ask(own.rule, session, agent, release, tool)
            if (rule := own.releases.get(release)) is not None:
                self._ask(rule, session, agent, release, tool)
            if tool is not None and (rule := own.tools.get(tool)) is not None:
                self._ask(rule, session, agent, release, tool)
        if tool is not None and (rule := now.tools.get(tool)) is not None:
            self._ask(rule, session, agent, release, tool)
        if not now.synced:
            self._unsynced += 1

    def guard(self, session: str, agent: str, release: str = "", limits: LocalLimits | None = None) -> Guard:
        """The last resort of one session, which needs nobody else: repeated calls, steps, tokens, cost."""
        return Guard(self, session, agent, release, limits=limits or self._limits)

    @property
    def status(self) -> BreakerStatus:
        age_s = None if self._ahead_s is None else time.monotonic() - self._beat_s
        seq = max((one.seq for one in self._controls.copy().values()), default=0)
        counts = (self._refused, self._measured, self._unsynced, self._ignored)
        return BreakerStatus(self._snapshot.synced, self.stale, len(self._controls), seq, age_s, *counts)

    @property
    def stale(self) -> bool:
        """Nobody has said for half a minute that they are there."""
        return time.monotonic() - self._beat_s > STALE_S

    @property
    def seen(self) -> str:
        """For a heartbeat's `breaker_seen`."""
        status = self.status
        words = "unsynced" if not status.synced else "stale" if status.stale else "fresh"
        return f"{status.seq} {words}"

    # -- what feeds say ---------------------------------------------------------------------------------------------

    def apply(self, given: Iterable[Given]) -> int:
        """Messages in their order; answers how many changed anything."""
        with self._writing:
            changed = sum(self._applied(one) for one in given)
            if changed and self._snapshot.synced:
                self._swap()
            self._save(changed=bool(changed))
        return changed

    def ready(self) -> None:
        """All that was there when the feed began has been applied."""
        with self._writing:
            self._swap()
            self._save(changed=True)
        self._ready.set()

    def replace(self, controls: Iterable[Control]) -> None:
        """All of them at once: who is not among them is held back no longer."""
        with self._writing:
            given = {one.scope.key: one for one in controls}
            kept = {key: one if newer(self._controls, one) else self._controls[key] for key, one in given.items()}
            if kept != self._controls or not self._snapshot.synced:
                self._controls = kept
                self._swap()
                self._save(changed=True)
        self._ready.set()

    def beat(self, seq: int, at_s: float) -> None:
        """The controller was there at `at_s` of its own clock. An older beat, or the same again, proves nothing."""
        if seq <= self._beat_seq:
            return
        now_s = time.monotonic()
        self._beats.append(at_s - now_s)
        self._beat_seq, self._beat_s, self._ahead_s = seq, now_s, max(self._beats)

    def wait_ready(self, timeout_s: float | None = None) -> bool:
        """Whether everything is known; waits for it at most that long. An agent may as well begin without."""
        return self._ready.wait(timeout_s)

    async def ready_soon(self, timeout_s: float | None = None) -> bool:
        return await asyncio.to_thread(self._ready.wait, timeout_s)

    def start(self) -> Self:
        if self._feed is not None:
            self._feed.start(self)
        return self

    def stop(self) -> None:
        if self._feed is not None:
            self._feed.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def forked(self) -> None:
        """In a child nobody holds the lock that somebody may have held in the parent."""
        self._writing, self._ready = threading.Lock(), threading.Event()

    # -- within -----------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """The controller's clock, as far as its beats have told: ours may be minutes off, leases are the controller's."""
        return time.time() if self._ahead_s is None else time.monotonic() + self._ahead_s

    def _ask(self, rule: Rule, session: str, agent: str, release: str, tool: str | None) -> None:
        standing: Rule | None = rule
        now_s, stale = self.now_s(), self.stale
        while standing is not None and standing.over(now_s, stale=stale):
            standing = standing.then
        if standing is None or not standing.denies(session, tool):
            return
        told = standing.control
        halted = AgentHalted(rule.scope, told.reason, told.ticket, told.seq)
        halted.about(session=session, agent=agent, release=release, tool=tool, measured=standing.measured)
        self.refuse(halted)

    def refuse(self, halted: AgentHalted) -> None:
        """Counted and told; raised, unless it is only measured."""
        if halted.measured:
            self._measured += 1
        else:
            self._refused += 1
        if self._on_refused is not None:
            try:
                self._on_refused(halted)
            except Exception:
                log.exception("what hears of refusals failed")
        if not halted.measured:
            raise halted

    def _applied(self, given: Given) -> bool:
        if given.value is None:
            return self._removed(given.key)
        if self._key and not genuine(given.value, self._key):
            return self._ignore()
        try:
            record = _read.decode(given.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._ignore()
        if isinstance(record, ControlBeat):
            self.beat(record.seq, record.at.timestamp())
            return False
        if not newer(self._controls, record):
            same = self._controls[record.scope.key].seq == record.seq  # repeated each half minute
            return False if same else self._ignore()
        self._controls[record.scope.key] = record
        return True

    def _removed(self, key: str) -> bool:
        """A tombstone bears no signature: with a key it removes only what is closed."""
        known = self._controls.get(key)
        if known is None:
            return False
        if self._key and known.active:
            return self._ignore()
        del self._controls[key]
        return True

    def _ignore(self) -> bool:
        self._ignored += 1
        return False

    def _swap(self) -> None:
        self._snapshot = Snapshot(self._controls.values())

    def _save(self, *, changed: bool) -> None:
        now_s = time.monotonic()
        if self._file is None or not self._snapshot.synced or not (changed or now_s - self._saved_s > SAVED_EACH_S):
            return
        self._saved_s = now_s
        try:
            save(self._file, self._controls.values(), self._key)
        except OSError as error:
            log.warning("the snapshot of controls cannot be written: %s", error.strerror)

    def _from_disk(self) -> None:
        """Better than nothing: what was known up to an hour ago, until the feed knows better."""
        found = load(self._file, self._key, timedelta(seconds=KEPT_S)) if self._file is not None else None
        if found is not None:
            self._controls = {one.scope.key: one for one in found}
            self._swap()


def _closed(tools: Iterable[str]) -> list[Control]:
    """Before anything is known these stay closed."""
    reason = "nothing is known yet of what agents may do, and this tool waits for it"
    return [
        Control(scope=Scope("tool", id=tool), state="open", reason=reason, seq=0, issued_at=_EPOCH) for tool in tools
    ]
