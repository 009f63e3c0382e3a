"""Why intake refuses a message: every reason, in words. README's table is made from here."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Reason(StrEnum):
    empty = "empty"
    too_large = "too_large"
    invalid_unicode = "invalid_unicode"
    not_json = "not_json"
    too_deep = "too_deep"
    not_an_object = "not_an_object"
    unknown_type = "unknown_type"
    invalid = "invalid"
    time_out_of_range = "time_out_of_range"
    source_not_allowed = "source_not_allowed"


TEXTS: dict[Reason, str] = {
    Reason.empty: "the message has no value, or an empty one",
    Reason.too_large: "the event has more than 128 KiB; put long content behind a `dataref`",
    Reason.invalid_unicode: "the value is not UTF-8, or holds half of a surrogate pair",
    Reason.not_json: "the value is not JSON; NaN and Infinity are not JSON either",
    Reason.too_deep: "the value is nested too deeply to be read",
    Reason.not_an_object: "the value is JSON, but not an object",
    Reason.unknown_type: "the event's `type` is missing, or none that Tocsin reads from this topic",
    Reason.invalid: "the event does not satisfy its type's schema; every error is listed with its JSON pointer",
    Reason.time_out_of_range: "the event's `time` is before 2000, or more than 24 hours ahead of its arrival in Kafka",
    Reason.source_not_allowed: "the policy's [[sources]] do not let this `source` speak for this agent",
}


class Rejection(Struct, frozen=True):
    """What was wrong. An error reads `<JSON pointer>: <message>`; no message quotes a value it was given."""

    reason: Reason
    errors: tuple[str, ...]
    agent: str = ""  # as far as it could be read

    @property
    def pointer(self) -> str:
        return self.errors[0].partition(": ")[0] if self.errors else ""

    @property
    def detail(self) -> str:
        return self.errors[0].partition(": ")[2] if self.errors else ""
