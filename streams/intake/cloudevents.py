"""Bytes in, events out: structured CloudEvents JSON, validated by the records. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import msgspec
from msgspec import Raw

from ..records import AgentEvent
from .explain import agent_of, refused
from .reasons import Reason, Rejection

EVENT_BYTES_MAX = 128 * 1024
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_MAX = timedelta(hours=24)  # further ahead of Kafka's clock, a time is a mistake
AHEAD_TRUSTED = timedelta(minutes=5)  # further ahead, an event is taken but moves no clock
_ALLOWED_MAX = 10_000

decoder = msgspec.json.Decoder(AgentEvent)
_fields = msgspec.json.Decoder(dict[str, Raw])

Rules = Sequence[tuple[str, Sequence[str]]]  # globs: which sources may speak for which agents


class Reader:
    """Reads one value at a time. No rules: every source may speak for every agent."""

    def __init__(self, rules: Rules = ()) -> None:
        self.rules = tuple(rules)
        self._allowed: dict[tuple[str, str], bool] = {}

    def read(self, value: bytes | None, appended_at: datetime) -> AgentEvent | Rejection:
        """The event without its position, or why not. `appended_at` is Kafka's clock."""
        if not value:
            return Rejection(Reason.empty, (": has no value",))
        if len(value) > EVENT_BYTES_MAX:
            error = f": has {len(value)} bytes, at most {EVENT_BYTES_MAX} are allowed"
            return Rejection(Reason.too_large, (error,), agent_of(value[:EVENT_BYTES_MAX]))
        try:
            event = decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self._again(value, error, appended_at)
        event.position = None  # the pipeline's own; never a producer's
        return self.check(event, appended_at) or event

    def check(self, event: AgentEvent, appended_at: datetime) -> Rejection | None:
        """What the records cannot say: the time against Kafka's clock, who may speak for whom."""
        if not self.in_time(event, appended_at):
            at = appended_at.isoformat(timespec="seconds")
            error = f"/time: must be after 2000 and at most 24 hours ahead of its arrival at {at}"
            return Rejection(Reason.time_out_of_range, (error,), event.data.ctx.agent.id)
        if self.rules and not self.allowed(event.source, event.data.ctx.agent.id):
            error = "/source: may not speak for this agent; see [[sources]] in the policy"
            return Rejection(Reason.source_not_allowed, (error,), event.data.ctx.agent.id)
        return None

    @staticmethod
    def in_time(event: AgentEvent, appended_at: datetime) -> bool:
        return event.time >= EARLIEST and event.time - appended_at <= AHEAD_MAX

    def allowed(self, source: str, agent: str) -> bool:
        known = self._allowed.get((source, agent))
        if known is None:
            if len(self._allowed) >= _ALLOWED_MAX:
                self._allowed.clear()
            known = self._allowed[source, agent] = any(
                fnmatchcase(source, rule) and any(fnmatchcase(agent, glob) for glob in agents)
                for rule, agents in self.rules
            )
        return known

    def _again(self, value: bytes, error: Exception, appended_at: datetime) -> AgentEvent | Rejection:
        """A producer's attribute `position` is unknown to us, whatever its shape; it must not spoil the event."""
        try:
            fields = _fields.decode(value)
            if fields.pop("position", None) is None:
                return refused(value, error)
            event = decoder.decode(msgspec.json.encode(fields))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return refused(value, error)
        return self.check(event, appended_at) or event
