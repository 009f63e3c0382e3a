"""Secrets leave an event before anything is stored. Which fields hold prose is declared here, field by field."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, get_args

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from ..records import AgentEvent, DeadLetter
from .secrets import bytes_without_secrets, maybe, without_secrets

LETTER_BYTES_MAX = 512 * 1024  # a dead letter keeps a value up to this size, of a larger one its beginning
LETTER_BYTES_CUT = 64 * 1024
_SEAM = 8 * 1024  # scanned beyond the cut, so that a secret across it is still recognised

# People, models and tools write these, so they may hold anything. A house test asks for a decision on new fields.
PROSE: frozenset[str] = frozenset(
    (
        "Tool.name",  # models make them up
        "Tool.server",
        "Error.type",
        "Error.template",
        "Rejected.option",
        "Rejected.reason",
        "Task.title",
        "SessionStartedData.trigger",
        "SessionStartedData.links",
        "LlmCalledData.retry_reason",
        "ToolCalledData.retry_reason",
        "Resource.uri",
        "Effect.kind",
        "Effect.target",
        "Effect.ref",
        "DecisionMadeData.chosen",
        "DecisionMadeData.inputs_ref",
        "PermissionCheckedData.action",
        "PermissionCheckedData.reason",
        "PermissionCheckedData.resource",
        "PermissionCheckedData.evidence_ref",
        "EvalScoredData.label",
        "EvalScoredData.explanation",
        "CheckpointRecordedData.reason",
        "CheckpointRecordedData.uri",
        "CheckpointRecordedData.scope",
        "CheckpointRecordedData.unrecoverable",
        "Diff.ref",
        "SessionEndedData.stop_reason",
    )
)


class Plan:
    """Where in one Struct class prose can be. `get` fetches all of it at once; `nothing` is what it mostly finds."""

    __slots__ = ("fields", "get", "nothing")

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = tuple(fields.items())
        one = len(fields) == 1
        self.get = attrgetter(*fields) if fields else None
        self.nothing: Any = None if one else (None,) * len(fields)


def _plan(info: Any, name: str) -> Any:
    """A text's greatest length, a Plan, or the plan of a list's or dict's items in a 1-tuple; None: no prose."""
    if isinstance(info, types.UnionType):
        return next((plan for plan in (_plan(part, name) for part in info.types) if plan is not None), None)
    if isinstance(info, types.Metadata):
        return _plan(info.type, name)
    if isinstance(info, types.StructType):
        return _struct_plan(info)
    if isinstance(info, types.ListType | types.DictType):
        items = _plan(info.item_type if isinstance(info, types.ListType) else info.value_type, name)
        return None if items is None else (items,)
    return info.max_length if isinstance(info, types.StrType) and name in PROSE else None


def _struct_plan(info: types.StructType) -> Plan | None:
    of = info.cls.__name__
    fields = {field.name: _plan(field.type, f"{of}.{field.name}") for field in info.fields if field.name != "ctx"}
    found = {name: plan for name, plan in fields.items() if plan is not None}
    return Plan(found) if found else None


def _data_plan(event: type[Struct]) -> Plan:
    data = next(field for field in types.type_info(event).fields if field.name == "data")  # type: ignore[attr-defined]
    return _struct_plan(data.type) or Plan({})


PLANS: dict[type[Struct], Plan] = {event: _data_plan(event) for event in get_args(AgentEvent)}


class Redactor:
    """`key` makes the stand-ins' digits worthless to those who do not know it."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key

    def event(self, event: AgentEvent, found: list[str]) -> AgentEvent:
        """The event itself when there is nothing to hide; kinds of secrets are appended to `found`."""
        plan = PLANS[type(event)]
        if plan.get is None or plan.get(event.data) == plan.nothing:
            return event
        data = self._struct(event.data, plan, found)
        if data is not event.data:
            event.data = data
        return event

    def text(self, text: str, limit: int, found: list[str]) -> str:
        return without_secrets(text, found, self._key)[:limit] if maybe(text) else text

    def letter(self, letter: DeadLetter, found: list[str], digest: str) -> DeadLetter:
        """Value and key of a message nobody could use; what is too large is cut, and says its size and hash."""
        value, truncated = letter.value, 0
        if value is not None and len(value) > LETTER_BYTES_MAX:
            value, truncated = value[: LETTER_BYTES_CUT + _SEAM], len(value)
        if value is not None:
            value = bytes_without_secrets(value, found, self._key)
        if value is not None and len(value) > LETTER_BYTES_MAX:  # the stand-ins were longer
            truncated = truncated or len(letter.value or b"")
        if truncated:
            value = (value or b"")[:LETTER_BYTES_CUT]
        key = None if letter.key is None else bytes_without_secrets(letter.key[:1024], found, self._key)
        return msgspec.structs.replace(
            letter, value=value, key=key, truncated=truncated, hash=digest if truncated else None
        )

    def _struct(self, value: Any, plan: Plan, found: list[str]) -> Any:
        changed = {}
        for name, part in plan.fields:
            before = getattr(value, name)
            if before is not None and (after := self._value(before, part, found)) is not before:
                changed[name] = after
        return msgspec.structs.replace(value, **changed) if changed else value

    def _value(self, value: Any, plan: Any, found: list[str]) -> Any:
        if type(plan) is int:
            return without_secrets(value, found, self._key)[:plan] if maybe(value) else value
        if type(plan) is Plan:
            return self._struct(value, plan, found)
        if isinstance(value, dict):
            after_dict = {key: self._value(item, plan[0], found) for key, item in value.items()}
            return after_dict if any(after_dict[key] is not value[key] for key in value) else value
        after = [self._value(item, plan[0], found) for item in value]
        return after if any(new is not old for new, old in zip(after, value, strict=True)) else value
