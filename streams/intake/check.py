"""`tocsin check --events FILE`: what intake would say of each line, without any server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from .cloudevents import Reader
from .examples import TYPES, example_text
from .explain import AGENT_TYPES
from .reasons import Reason, Rejection
from .redact import Redactor


class Checked(Struct, frozen=True, omit_defaults=True):
    """One line's answer: what it was taken for, or why not and what would be right."""

    line: int
    ok: bool
    type: str = ""
    session: str = ""
    agent: str = ""
    redacted: tuple[str, ...] = ()  # kinds of secrets that would be replaced
    reason: str = ""
    errors: tuple[str, ...] = ()
    example: str = ""  # a valid event of that type


class _Typed(Struct):
    type: str


def check(lines: Iterable[bytes], now: datetime, rules: Iterable[tuple[str, list[str]]] = ()) -> Iterator[Checked]:
    """Every line that is not blank. `now` stands in for Kafka's clock."""
    reader, redactor = Reader(list(rules)), Redactor()
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _checked(number, line.rstrip(b"\r\n"), reader, redactor, now)


def corrected(value: bytes, now: datetime | None = None) -> str:
    """A valid event of the type that `value` names or nearly names; a tool call where it names none."""
    wanted = _type_of(value)
    text = example_text(wanted if wanted in TYPES else "agent.tool.called.v1")
    return text if now is None else text.replace("2026-01-05T09:00:00.250Z", f"{now:%Y-%m-%dT%H:%M:%S}Z")


def _checked(number: int, line: bytes, reader: Reader, redactor: Redactor, now: datetime) -> Checked:
    event = reader.read(line, now)
    if isinstance(event, Rejection):
        hint = "" if event.reason is Reason.source_not_allowed else corrected(line, now - timedelta(minutes=1))
        return Checked(
            number, ok=False, reason=event.reason.value, errors=event.errors, agent=event.agent, example=hint
        )
    found: list[str] = []
    event = redactor.event(event, found)
    ctx = event.data.ctx
    return Checked(
        number,
        ok=True,
        type=str(type(event).__struct_config__.tag),
        session=ctx.session_id,
        agent=ctx.agent.id,
        redacted=tuple(found),
    )


def _type_of(value: bytes) -> str:
    try:
        return msgspec.json.decode(value, type=_Typed).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return next((name for name in sorted(AGENT_TYPES) if name.encode() in value), "")
