"""Which work goes on elsewhere: session and trace, in and out of HTTP headers, environment, baggage and MCP's `_meta`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

TRACEPARENT, TRACESTATE, BAGGAGE = "traceparent", "tracestate", "baggage"
ENVIRONMENT = {name: name.upper() for name in (TRACEPARENT, TRACESTATE, BAGGAGE)}
SESSION, ROOT, EVENT, DEPTH = "tocsin-session", "tocsin-root", "tocsin-event", "tocsin-depth"
OURS = (SESSION, ROOT, EVENT, DEPTH)
ID_MAX = 256
STATE_MAX = 512
DEPTH_MAX = 1000
BAGGAGE_MAX = 8192  # characters, W3C's own limit
MEMBERS_MAX = 64
_TRACE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Carried(Struct, frozen=True, omit_defaults=True):
    """What came along. Empty: nothing of it, or nothing that can be read."""

    session_id: str = ""
    root_session_id: str = ""
    event_id: str = ""  # of the call that led here
    depth: int = 0
    traceparent: str = ""
    tracestate: str = ""
    baggage: tuple[str, ...] = ()  # of others, as it came

    def __bool__(self) -> bool:
        return bool(self.session_id or self.traceparent)

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


def extract(carrier: Mapping[str, Any]) -> Carried:
    """From headers, however they are written. Whatever is malformed is as if it had not come."""
    given = {str(name).lower(): value for name, value in carrier.items()}
    return _read(*(_text(given.get(name)) for name in (TRACEPARENT, TRACESTATE, BAGGAGE)))


def inject(carried: Carried, carrier: MutableMapping[str, Any]) -> None:
    """Into headers, beside what stands there. Baggage that others put there stays."""
    found = {name.lower(): name for name in carrier}
    for name, value in _written(carried, _text(carrier.get(found.get(BAGGAGE, BAGGAGE)))).items():
        carrier[found.get(name, name)] = value


def extract_environment(environ: Mapping[str, str]) -> Carried:
    return _read(*(_text(environ.get(ENVIRONMENT[name])) for name in (TRACEPARENT, TRACESTATE, BAGGAGE)))


def inject_environment(carried: Carried, environ: MutableMapping[str, str]) -> None:
    """For a process about to be started: `env = dict(os.environ); session.inject_environment(env)`."""
    for name, value in _written(carried, _text(environ.get(ENVIRONMENT[BAGGAGE]))).items():
        environ[ENVIRONMENT[name]] = value


def extract_mcp(params: Any) -> Carried:
    """From the `params` of an MCP request."""
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return extract(meta) if isinstance(meta, Mapping) else Carried()


def inject_mcp(carried: Carried, params: Mapping[str, Any]) -> dict[str, Any]:
    """The `params` of an MCP request with it in their `_meta`; those given stay as they are."""
    meta = params.get("_meta")
    told: dict[str, Any] = dict(meta) if isinstance(meta, Mapping) else {}
    inject(carried, told)
    return {**params, "_meta": told}


def new_trace(of: str = "") -> str:
    """A `traceparent` of our own, within the trace of another where there is one."""
    found = _TRACE.match(of)
    trace, flags = (found[2], found[4]) if found else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def _read(traceparent: str, tracestate: str, baggage: str) -> Carried:
    trace = traceparent.strip()
    if not _valid(trace):
        trace = ""
    ours, others = _members(baggage)
    session = ours.get(SESSION, "")
    depth = ours.get(DEPTH, "")
    return Carried(
        session,
        (ours.get(ROOT) or session) if session else "",
        ours.get(EVENT, "") if session else "",
        min(int(depth), DEPTH_MAX) if session and depth.isascii() and depth.isdecimal() and len(depth) < 5 else 0,
        trace,
        tracestate.strip() if trace and len(tracestate) <= STATE_MAX and tracestate.isprintable() else "",
        others,
    )


def _valid(trace: str) -> bool:
    found = _TRACE.match(trace)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return False
    return len(trace) <= 128 and set(found[2]) != {"0"} and set(found[3]) != {"0"}


def _members(baggage: str) -> tuple[dict[str, str], tuple[str, ...]]:
    ours: dict[str, str] = {}
    others: list[str] = []
    for member in baggage[:BAGGAGE_MAX].split(",")[:MEMBERS_MAX]:
        pair, _, _ = member.partition(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not _NAME.match(name):
            continue
        if name not in OURS:
            others.append(member.strip())
            continue
        read = unquote(value, errors="replace")
        if read and len(read) <= ID_MAX and read.isprintable():
            ours.setdefault(name, read)
    return ours, tuple(others)


def _written(carried: Carried, there: str) -> dict[str, str]:
    values = (carried.session_id, carried.root_session_id, carried.event_id, str(carried.depth or ""))
    ours = [f"{name}={quote(value, safe='')}" for name, value in zip(OURS, values, strict=True) if value]
    others = dict.fromkeys((*_members(there)[1], *carried.baggage))
    members = ours
    for other in others:
        if len(members) < MEMBERS_MAX and len(",".join((*members, other))) <= BAGGAGE_MAX:
            members = [*members, other]
    found = {TRACEPARENT: carried.traceparent, TRACESTATE: carried.tracestate, BAGGAGE: ",".join(members)}
    return {name: value for name, value in found.items() if value}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list | tuple) and value and not isinstance(value[0], list | tuple):
        return _text(value[0])
    return value if isinstance(value, str) else ""
