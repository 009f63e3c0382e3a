"""Whatever bytes arrive become an event or a reason, and never an exception."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake.sample import NOW, TOOL, event, raw

from streams.intake.cloudevents import Reader
from streams.intake.examples import TYPES, example_text
from streams.intake.explain import AGENT_TYPES, ERRORS_MAX
from streams.intake.reasons import TEXTS, Reason, Rejection
from streams.records import AgentEvent, Status, ToolCalled
from streams.records.timeline import encode

PRODUCED = [name for name in TYPES if name in AGENT_TYPES]


def read(value: bytes | None, now: datetime = NOW) -> AgentEvent | Rejection:
    return Reader().read(value, now)


def refused(value: bytes | None) -> Rejection:
    found = read(value)
    assert isinstance(found, Rejection)
    return found


@pytest.mark.parametrize("name", PRODUCED)
def test_the_example_of_each_type_is_taken(name: str) -> None:
    assert not isinstance(read(example_text(name).encode()), Rejection)


def long_session(characters: int) -> bytes:
    found = event()
    found["data"]["ctx"]["session_id"] = "s" * characters
    return msgspec.json.encode(found)


def unencodable(text: str) -> bytes:
    return raw(id="HERE").replace(b"HERE", text.encode())


BAD: list[tuple[str, bytes | None, Reason, str]] = [
    ("no value", None, Reason.empty, ": has no value"),
    ("an empty value", b"", Reason.empty, ": has no value"),
    ("white space", b"   ", Reason.not_json, ": is not JSON"),
    ("prose", b"hello", Reason.not_json, ": is not JSON"),
    ("half an event", raw()[:100], Reason.not_json, ": is not JSON"),
    ("an event and a half", raw() + b"{", Reason.not_json, ": is not JSON: trailing"),
    ("NaN", raw().replace(b'"duration_ms":40', b'"duration_ms":NaN'), Reason.not_json, ": is not JSON"),
    ("Infinity", raw().replace(b'"duration_ms":40', b'"duration_ms":Infinity'), Reason.not_json, ": is not JSON"),
    ("a byte order mark", b"\xef\xbb\xbf" + raw(), Reason.not_json, ": starts with a byte order mark"),
    ("binary", bytes(range(256)), Reason.invalid_unicode, ": is not UTF-8"),
    ("UTF-16", raw().decode().encode("utf-16"), Reason.invalid_unicode, ": is not UTF-8"),
    ("Latin-1", unencodable("HERE").replace(b"HERE", b"\xe9"), Reason.invalid_unicode, ": is not UTF-8"),
    ("half a surrogate pair", unencodable("\\ud800"), Reason.invalid_unicode, ": holds half of a surrogate pair"),
    ("the other half", unencodable("\\udc00"), Reason.invalid_unicode, ": holds half of a surrogate pair"),
    ("128 KiB and a byte", raw(subject="x" * 131_072), Reason.too_large, ": has"),
    ("10 MB", b'{"a":"' + b"x" * 10_000_000 + b'"}', Reason.too_large, ": has 10000008 bytes"),
    ("deep arrays", b"[" * 60_000 + b"]" * 60_000, Reason.too_deep, ": is nested too deeply"),
    ("deep objects", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, Reason.too_deep, ": is nested too deeply"),
    ("deep in a field", raw(subject="D").replace(b'"D"', b"[" * 500 + b"]" * 500), Reason.invalid, "/subject: must be"),
    ("an array", b"[" + raw() + b"]", Reason.not_an_object, ": must be an object, is an array"),
    ("a number", b"42", Reason.not_an_object, ": must be an object, is an integer"),
    ("null", b"null", Reason.not_an_object, ": must be an object, is null"),
    ("an empty object", b"{}", Reason.unknown_type, "/type: must be a string"),
    ("a number as type", raw(type=7), Reason.unknown_type, "/type: must be a string"),
    ("a typing error", raw(type="agent.tool.calld.v1"), Reason.unknown_type, "/type: is not a known event type; did"),
    ("a version to come", raw(type="agent.tool.called.v2"), Reason.unknown_type, "/type: is not a known event type"),
    ("a delivery event", raw("case.scored.v1"), Reason.unknown_type, "/type: belongs on the topic delivery.events"),
    ("the pipeline's own", raw(type="intake.rejected.v1"), Reason.unknown_type, "/type: is not a known event type"),
    ("no data", raw().replace(b'"data"', b'"date"'), Reason.invalid, "/data: is missing"),
    ("data is null", json.dumps({**event(), "data": None}).encode(), Reason.invalid, "/data: must be object, is null"),
    ("data is a string", json.dumps({**event(), "data": "x"}).encode(), Reason.invalid, "/data: must be object, is"),
    ("another specversion", raw(specversion="0.3"), Reason.invalid, "/specversion: must be 1.0"),
    ("an empty id", raw(id=""), Reason.invalid, "/id: must have at least 1 characters, has 0"),
    ("an id that is a number", raw(id=5), Reason.invalid, "/id: must be string, is an integer"),
    ("a session id of 10 kB", long_session(10_000), Reason.invalid, "/data/ctx/session_id: must have at most 256"),
    ("a duration below zero", raw(data={"duration_ms": -1}), Reason.invalid, "/data/duration_ms: must be at least 0"),
    ("a duration of 1.0", raw(data={"duration_ms": 1.0}), Reason.invalid, "/data/duration_ms: Expected"),
    (
        "an integer of 5,000 digits",
        raw(id="D").replace(b'"D"', b"1" * 5000),
        Reason.invalid,
        ": Integer value out of range",
    ),
    ("money that is NaN", raw(data={"cost": {"amount": "NaN"}}), Reason.invalid, "/data/cost/amount: must match"),
    ("money below zero", raw(data={"cost": {"amount": -0.01}}), Reason.invalid, "/data/cost/amount: must be at least"),
    ("a billion and one", raw(data={"cost": {"amount": "1000000001"}}), Reason.invalid, "/data/cost: money must be"),
    ("no currency", raw(data={"cost": {"amount": 1, "currency": "€"}}), Reason.invalid, "/data/cost/currency: must"),
    ("a pass of a broken evaluator", raw("agent.eval.scored.v1", {"status": "error"}), Reason.invalid, "/data/passed"),
    (
        "a time without zone",
        raw(time="2026-01-05T09:00:00"),
        Reason.invalid,
        "/time: must be a date and time with zone",
    ),
    ("seconds since 1970", raw(time=1767603600), Reason.invalid, "/time: must be string, is an integer"),
    ("the year -1", raw(time="-0001-01-05T09:00:00Z"), Reason.invalid, "/time: must be a date and time with zone"),
    ("the year 10000", raw(time="10000-01-05T09:00:00Z"), Reason.invalid, "/time: must be a date and time with zone"),
    ("the year 9999", raw(time="9999-12-31T23:59:59-14:00"), Reason.time_out_of_range, "/time: must be after 2000"),
    ("the year 1", raw(time="0001-01-01T00:00:00+14:00"), Reason.time_out_of_range, "/time: must be after 2000"),
    ("1999", raw(time="1999-12-31T23:59:59Z"), Reason.time_out_of_range, "/time: must be after 2000"),
]


@pytest.mark.parametrize(("value", "reason", "error"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_message_gets_the_reason_a_producer_can_act_on(value: bytes | None, reason: Reason, error: str) -> None:
    found = refused(value)
    assert (found.reason, found.errors[0][: len(error)]) == (reason, error)


def test_the_table_of_bad_messages_has_every_reason_that_bytes_can_cause() -> None:
    assert {case[2] for case in BAD} == set(Reason) - {Reason.source_not_allowed}


def test_every_reason_is_documented() -> None:
    assert set(TEXTS) == set(Reason)


def test_all_errors_are_listed_with_their_pointers() -> None:
    found = event(data={"status": 5, "tool": {}, "resources": [{"uri": "a"}, {"op": "read"}]}, time="yesterday")
    del found["data"]["call_id"]
    errors = refused(msgspec.json.encode(found)).errors
    pointers = {error.partition(": ")[0] for error in errors}
    assert pointers == {"/time", "/data/status", "/data/tool/name", "/data/resources/1/uri", "/data/call_id"}


def test_of_very_many_errors_the_first_are_listed() -> None:
    errors = refused(raw("agent.session.started.v1", {"tools": list(range(500))})).errors
    assert 10 < len(errors) <= ERRORS_MAX + 1


def test_no_error_quotes_the_value_it_is_about() -> None:
    secret = "correct horse battery staple"
    found = event(data={"status": [secret], "duration_ms": secret, "cost": {"amount": secret}}, time=secret, id="")
    assert secret not in "".join(refused(msgspec.json.encode(found)).errors)


def test_the_agent_is_named_even_when_its_event_is_broken() -> None:
    assert refused(raw(time="yesterday")).agent == "checkout-assistant"
    assert refused(raw()[:-1]).agent == "checkout-assistant"
    assert refused(raw(subject="x" * 131_072)).agent == "checkout-assistant"
    assert refused(b"\xff\xff").agent == ""


def test_a_very_long_agent_name_is_cut() -> None:
    found = event()
    found["data"]["ctx"]["agent"]["id"] = "a" * 10_000
    assert refused(msgspec.json.encode(found)).agent == "a" * 256


def test_pretty_printed_json_is_stored_on_one_line() -> None:
    found = read(json.dumps(event(), indent=4).encode())
    assert isinstance(found, ToolCalled)
    assert b"\n" not in encode(found)


def test_unknown_fields_are_not_stored() -> None:
    found = read(raw(data={"prompt": "the customer's own words"}, myextension="1"))
    assert b"customer" not in encode(found)
    assert b"myextension" not in encode(found)


def test_unknown_values_of_open_enumerations_are_other() -> None:
    found = read(raw(data={"status": "exploded"}))
    assert isinstance(found, ToolCalled)
    assert found.data.status is Status.other


@pytest.mark.parametrize("position", [["agent.events/1/0", 7], 5, "x", {"a": [1]}, None])
def test_a_producers_position_is_dropped_whatever_its_shape(position: object) -> None:
    found = read(raw(position=position))
    assert isinstance(found, ToolCalled)
    assert found.position is None


def test_a_bad_position_does_not_hide_other_errors() -> None:
    assert refused(raw(position=5, time="yesterday")).errors[0].startswith("/time: ")


def test_the_last_of_two_equal_keys_counts() -> None:
    found = read(raw()[:-1] + b',"id":"second"}')
    assert isinstance(found, ToolCalled)
    assert found.id == "second"


def test_an_event_a_day_ahead_of_kafkas_clock_is_still_taken() -> None:
    day = timedelta(hours=24)
    assert not isinstance(read(raw(time=(NOW + day).isoformat())), Rejection)
    assert refused(raw(time=(NOW + day + timedelta(seconds=1)).isoformat())).reason is Reason.time_out_of_range


def test_old_events_are_taken() -> None:
    assert not isinstance(read(raw(time="2000-01-01T00:00:00Z")), Rejection)


RULES = [("/checkout/*", ["checkout-*"]), ("/ops", ["*"])]


@pytest.mark.parametrize(
    ("source", "agent", "may"),
    [
        ("/checkout/eu", "checkout-assistant", True),
        ("/checkout/eu", "fraud-assistant", False),
        ("/ops", "fraud-assistant", True),
        ("/elsewhere", "checkout-assistant", False),
    ],
)
def test_a_source_speaks_only_for_the_agents_that_the_policy_names(source: str, agent: str, may: bool) -> None:
    found = event(source=source)
    found["data"]["ctx"]["agent"]["id"] = agent
    reader = Reader(RULES)
    for _ in range(2):  # the second time from memory
        answer = reader.read(msgspec.json.encode(found), NOW)
        assert (not isinstance(answer, Rejection)) is may
    if not may:
        assert isinstance(answer, Rejection)
        assert answer.reason is Reason.source_not_allowed


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_get_an_answer(value: bytes) -> None:
    assert read(value) is not None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_an_event_with_damaged_bytes_gets_an_answer_and_what_is_taken_can_be_read_again(data: st.DataObject) -> None:
    value = bytearray(example_text(data.draw(st.sampled_from(PRODUCED))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=4))
    found = read(bytes(value), datetime(2026, 1, 5, 9, tzinfo=UTC))
    if not isinstance(found, Rejection):
        again = msgspec.json.decode(encode(found), type=AgentEvent)
        assert again == found


def test_the_type_of_an_unrelated_topic_is_not_suggested() -> None:
    assert refused(raw(type="order.placed")).errors == ("/type: is not a known event type",)
    assert TOOL in refused(raw(type="agent.tool.call")).errors[0]
