"""Why the codec said no, in words a producer can act on. Costs milliseconds; only refused messages pay."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, get_args

import jsonschema
import msgspec

from ..records import AgentEvent, DeliveryEvent
from ..schemas import event_schema
from .reasons import Reason, Rejection

ERRORS_MAX = 50
AGENT_MAX = 256
AGENT_TYPES = frozenset(str(event.__struct_config__.tag) for event in get_args(AgentEvent))
DELIVERY_TYPES = frozenset(str(event.__struct_config__.tag) for event in get_args(DeliveryEvent))

_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_AGENT = re.compile(rb'"agent"\s{0,16}:\s{0,16}\{[^{}]{0,1024}?"id"\s{0,16}:\s{0,16}"([^"\\\x00-\x1f]{1,256})')
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "true or false", int: "an integer"}


class _Agent(msgspec.Struct):
    id: str


class _Ctx(msgspec.Struct):
    agent: _Agent


class _Data(msgspec.Struct):
    ctx: _Ctx


class _WithAgent(msgspec.Struct):
    data: _Data


_with_agent = msgspec.json.Decoder(_WithAgent)


def refused(value: bytes, error: Exception, types: frozenset[str] = AGENT_TYPES) -> Rejection:
    """What is wrong with a value that the codec refused with `error`."""
    try:
        reason, errors = _diagnosed(value, error, types)
    except RecursionError:  # also where jsonschema prints what it does not like
        reason, errors = Reason.too_deep, (": is nested too deeply",)
    return Rejection(reason, errors, agent_of(value))


def agent_of(value: bytes) -> str:
    """The agent, as far as it can be made out in a broken message; empty if not at all."""
    try:
        return _with_agent.decode(value).data.ctx.agent.id[:AGENT_MAX]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _AGENT.search(value, 0, 256 * 1024)
        return found.group(1).decode(errors="replace")[:AGENT_MAX] if found else ""


def _diagnosed(value: bytes, error: Exception, types: frozenset[str]) -> tuple[Reason, tuple[str, ...]]:
    if isinstance(error, RecursionError):
        raise error
    try:
        found = msgspec.json.decode(value)
    except UnicodeDecodeError as wrong:
        return Reason.invalid_unicode, (f": is not UTF-8: {wrong.reason}",)
    except msgspec.ValidationError as wrong:  # a number with more digits than anybody means
        message, _, path = str(wrong).partition(" - at ")
        return Reason.invalid, (f"{_pointer(path)}: {message}",)
    except msgspec.DecodeError as wrong:
        return _not_json(value, wrong)
    if not isinstance(found, dict):
        return Reason.not_an_object, (f": must be an object, is {_kind(found)}",)
    name = found.get("type")
    if not isinstance(name, str) or name not in types:
        return Reason.unknown_type, (f"/type: {_type_hint(name, types)}",)
    return Reason.invalid, _all_errors(name, found, error)


def _not_json(value: bytes, error: Exception) -> tuple[Reason, tuple[str, ...]]:
    try:
        text = value.decode()
    except UnicodeDecodeError as wrong:
        return Reason.invalid_unicode, (f": is not UTF-8: {wrong.reason} at byte {wrong.start}",)
    if text.startswith("\ufeff"):
        return Reason.not_json, (": starts with a byte order mark; JSON has none",)
    if _LONE_SURROGATE.search(value) and _is_json(text):
        return Reason.invalid_unicode, (": holds half of a surrogate pair",)
    return Reason.not_json, (f": is not JSON: {str(error).removeprefix('JSON is malformed: ')}",)


def _is_json(text: str) -> bool:
    """As the standard library sees it, which lets half surrogates pass."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _type_hint(name: object, types: frozenset[str]) -> str:
    if not isinstance(name, str):
        return "must be a string naming the event type; known: " + ", ".join(sorted(types))
    if name in DELIVERY_TYPES:
        return "belongs on the topic delivery.events, which CI writes; agents do not"
    close = difflib.get_close_matches(name[:128], types, n=1)
    return f"is not a known event type; did you mean {close[0]}?" if close else "is not a known event type"


def _all_errors(name: str, event: dict[str, Any], error: Exception) -> tuple[str, ...]:
    errors = list(islice(_flat(_validator(name).iter_errors(event)), ERRORS_MAX))
    message, _, path = str(error).partition(" - at ")
    pointer = _pointer(path)
    if not any(known.startswith((f"{pointer}: ", f"{pointer}/")) for known in errors):
        errors.append(f"{pointer}: {message}")
    return tuple(dict.fromkeys(errors))


@cache
def _validator(name: str) -> Any:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(event_schema(name), format_checker=checker)


def _flat(errors: Iterable[jsonschema.ValidationError]) -> Iterator[str]:
    """Of alternatives only those that the value could have meant: never "must be null"."""
    for error in errors:
        if error.validator == "anyOf" and error.context:
            meant = [e for e in error.context if not (e.validator == "type" and e.validator_value == "null")]
            typed = [e for e in meant if e.validator != "type"]
            yield from _flat(typed or meant)
        else:
            yield _worded(error)


def _worded(error: jsonschema.ValidationError) -> str:
    """In our words: jsonschema's own quote the value, and a value may hold what nobody should read in a ticket."""
    path = list(error.absolute_path)
    rule, want, given = str(error.validator), error.validator_value, error.instance
    if rule == "required" and isinstance(given, dict) and isinstance(want, list):
        missing = [key for key in want if key not in given]
        named = [key for key in missing if f"'{key}'" in error.message]
        return f"{_joined([*path, *named[:1]])}: is missing"
    return f"{_joined(path)}: {_rule_words(rule, want, given)}"


def _rule_words(rule: str, want: Any, value: Any) -> str:
    if rule == "type":
        return f"must be {want if isinstance(want, str) else ' or '.join(want)}, is {_kind(value)}"
    if rule == "enum":
        return "must be " + " or ".join(str(item) for item in want)
    if rule in ("maxLength", "minLength", "maxItems", "minItems", "maxProperties"):
        least = "at least" if rule.startswith("min") else "at most"
        what = "characters" if rule.endswith("Length") else "entries"
        return f"must have {least} {want} {what}, has {len(value)}"
    words = {
        "minimum": f"must be at least {want}",
        "maximum": f"must be at most {want}",
        "exclusiveMinimum": f"must be greater than {want}",
        "pattern": f"must match {want}",
        "format": "must be a date and time with zone as in 2026-01-05T09:00:00Z",
    }
    return words.get(rule, f"breaks the rule {rule}")


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "a number")


def _pointer(path: str) -> str:
    """msgspec's `$.data.numbers[...]`, in backticks, as a JSON pointer."""
    parts = re.findall(r"\[(\d+)\]|\.([^.\[\]`]+)", path)
    return _joined([index or name for index, name in parts])


def _joined(path: Iterable[str | int]) -> str:
    escaped = (str(part)[:128].replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in escaped)
