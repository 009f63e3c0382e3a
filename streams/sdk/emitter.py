"""The emitter: what an agent does becomes events, and whatever happens to them the agent goes on."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import signal
import tempfile
import threading
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from ..records import Agent, Attribution, Ctx, Event, Operator, Parent
from .approving import Approvals
from .breaker import Breaker
from .carrying import Carried
from .fields import StartedFields
from .hashing import hashed
from .sending import Buffer, Numbers, Sending
from .session import Session, current
from .sinks import Sink
from .skeleton import Telling
from .spool import Keeps, Memory, Spool

log = logging.getLogger(__name__)

EVENT_BYTES_MAX = 128 * 1024
CLOSE_S = 2.0
FAILURES_SAID = 20


class Options(TypedDict, total=False):
    """All of an emitter's keyword arguments."""

    system: str  # of which the agent is a part
    team: str  # who operates it
    account: str
    env: str
    source: str  # default: /<system>/<agent>
    hash_key: bytes  # of the deployment, for hashes of arguments and results
    errors: Telling  # what of an exception is told
    heartbeat_s: float  # each open session says so often that it is alive; 0: never
    spool: Path | str | None  # where events wait that cannot be sent; None: in memory only
    spool_bytes: int
    fsync_s: float
    buffer: int  # events between the agent and the spool
    breaker: Breaker | None  # asked before each call of a model or tool; whoever made it starts and stops it
    approvals: Approvals | None


def default_spool(agent: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or (Path.home() / ".local" / "state" if Path.home() != Path("/") else "")
    name = quote(agent, safe="")[:200]
    if state:
        return Path(state) / "tocsin" / "spool" / name
    # Others may write there too: directly beneath, where nobody puts another folder in its place.
    return Path(tempfile.gettempdir()) / f"tocsin-{os.getuid() if os.name == 'posix' else 0}-{name}"


class Emitter:
    """One per agent and process. Threads and tasks share it; a forked child begins anew, with nothing of its parent's."""

    def __init__(self, agent: str, release: str, sink: Sink, **options: Unpack[Options]) -> None:
        self.agent, self._sink, self._options = Agent(agent, release), sink, options
        system = options.get("system", agent)
        self.source = options.get("source") or f"/{system}/{agent}"
        self.env = options.get("env", "prod")
        team = options.get("team")
        self.attribution = Attribution(system, options.get("account"), None, Operator(team) if team else None)
        self.errors: Telling = options.get("errors", "template")
        self.breaker, self.approvals = options.get("breaker"), options.get("approvals")
        self.heartbeat_s = options.get("heartbeat_s", 30.0)
        self.fork, self._beaten, self._encoder = "", time.monotonic(), msgspec.json.Encoder()
        self.open: weakref.WeakSet[Session] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._sending = self._made()
        self._closed = False
        _emitters.add(self)
        atexit.register(_at_exit, weakref.ref(self))

    def session(
        self,
        *,
        session_id: str = "",
        run_id: str = "",
        user: str | None = None,
        carried: Carried | None = None,
        join: bool = False,
        **started: Unpack[StartedFields],
    ) -> Session:
        """A piece of work, as a context manager. Within another one, or with what was `carried` here, it is a subagent's.

        `join`: a part of the very session that was carried here; it says neither its start nor its end.
        """
        outer = current()
        if carried is None and outer is not None:
            carried = outer.carried()
        came = carried or Carried()
        name = came.session_id if join and came.session_id else f"{session_id}" or secrets.token_hex(16)
        beneath = bool(came.session_id) and came.session_id != name
        ctx = Ctx(
            session_id=name,
            run_id=run_id or name,
            agent=self.agent,
            root_session_id=(came.root_session_id or came.session_id) if came.session_id else None,
            parent=Parent(came.session_id, None, came.event_id or None) if beneath else None,
            depth=came.depth + 1 if beneath else None,
            env=self.env,
            user=user,
        )
        started.setdefault("attribution", self.attribution)
        return Session(self, ctx, came, None if join and came.session_id else started)

    def hash(self, value: Any) -> str:
        return hashed(value, self._options.get("hash_key", b""))

    def put(self, root: bytes, kind: type[Event], **fields: Any) -> None:
        """Never raises: an event that cannot be written is counted, and said in the log."""
        try:
            event = self._encoder.encode(kind(specversion="1.0", source=self.source, time=datetime.now(UTC), **fields))
            if len(event) > EVENT_BYTES_MAX:
                raise ValueError(f"an event has at most {EVENT_BYTES_MAX} bytes")
            self._sending.put(root, event)
        except Exception as error:
            self.failed(error)

    def failed(self, error: Exception) -> None:
        self._sending.invalid += 1
        if self._sending.invalid <= FAILURES_SAID:
            log.error("an event could not be made (%s: %s); the agent goes on", type(error).__name__, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def numbers(self) -> Numbers:
        return self._sending.numbers()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Whether everything has arrived where it goes."""
        return self._sending.flush(timeout_s)

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Ends open sessions as cancelled. False: something waits in the spool for this agent's next process."""
        if self._closed:
            return True
        for session in list(self.open):
            session.cancel("the process ended")
        self._closed = True
        return self._sending.close(timeout_s)

    def forked(self) -> None:
        """In the child: what waits is the parent's to send, and ids of the parent's sessions are not used twice."""
        self.fork = f"{secrets.token_hex(4)}-"
        self._opening = threading.Lock()
        self.open = weakref.WeakSet()
        self._sending.abandon()
        self._sending = self._made()

    def _made(self) -> Sending:
        count = self._options.get("buffer", 10_000)
        return Sending(self._sink, Buffer(count, 2048 * count), self._keeps, self._beat)

    def _keeps(self) -> Keeps:
        bytes_max = self._options.get("spool_bytes", 64 * 1024 * 1024)
        folder = self._options["spool"] if "spool" in self._options else default_spool(self.agent.id)
        if folder is None or not self._sink.lasting:
            return Memory(bytes_max)
        try:
            return Spool(Path(folder), bytes_max, self._options.get("fsync_s", 1.0))
        except OSError as error:
            log.warning("no spool in %s (%s): what cannot be sent waits in memory", folder, error.strerror or error)
            return Memory(bytes_max)

    def _beat(self) -> None:
        if not self.heartbeat_s or time.monotonic() - self._beaten < self.heartbeat_s:
            return
        self._beaten = time.monotonic()
        for session in list(self.open):
            session.beat()


_emitters: weakref.WeakSet[Emitter] = weakref.WeakSet()


def end_on_sigterm() -> None:
    """SIGTERM unwinds the agent as `sys.exit` does: open sessions end as cancelled, and the spool is written.

    Opt-in, in the main thread: a library that takes signals by itself surprises whoever handles them.
    """

    def ended(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, ended)


def _at_exit(emitter: weakref.ref[Emitter]) -> None:
    found = emitter()
    if found is not None:
        found.close()


def _forked() -> None:
    for emitter in list(_emitters):
        emitter.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
