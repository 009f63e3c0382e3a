"""The published schemas are what the records say, and what they publish is true of what intake takes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.intake.examples import TYPES, example
from streams.records import AgentEvent, DeliveryEvent, IntakeRejected
from streams.records.timeline import encode
from streams.schemas import EVENTS, RECORDS, drift, event_schema, schemas

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
EXAMPLES = SCHEMAS / "examples"
DECODER = msgspec.json.Decoder(AgentEvent | DeliveryEvent)
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER
SHOWN = ("policy_changed", "webhook")  # records with examples
VALIDATORS = {name: jsonschema.Draft202012Validator(event_schema(name), format_checker=CHECKER) for name in TYPES}


def test_the_committed_schemas_are_what_the_records_say() -> None:
    assert drift(SCHEMAS) == []


def test_drift_names_the_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "finding.json").write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    assert {"finding.json", "gone.json", "watermarks.json"} <= set(drift(tmp_path))


@pytest.mark.parametrize("name", [*EVENTS, *RECORDS])
def test_every_schema_is_valid_json_schema_with_an_id_and_a_description(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:tocsin:schema:{name}"
    assert schema["title"] == name
    assert len(schema["description"]) > 20


def test_every_event_type_is_published() -> None:
    tags = {event.__struct_config__.tag for event in (*get_args(AgentEvent), *get_args(DeliveryEvent), IntakeRejected)}
    assert set(EVENTS) == tags


@pytest.mark.parametrize("name", TYPES)
def test_producers_are_not_offered_the_pipelines_own_position(name: str) -> None:
    assert "position" not in event_schema(name)["properties"]


def test_open_enumerations_name_their_values_and_take_others() -> None:
    status = event_schema("agent.tool.called.v1")["$defs"]["Status"]
    assert status == {"title": "Status", "type": "string", "examples": status["examples"]}
    assert {"ok", "error", "timeout"} <= set(status["examples"])


@pytest.mark.parametrize("name", TYPES)
def test_the_valid_example_is_valid_for_both_validators(name: str) -> None:
    text = (EXAMPLES / "valid" / f"{name}.json").read_bytes()
    assert msgspec.json.decode(text) == example(name), "schemas/examples/valid and intake/examples.py tell two stories"
    assert agreed(text)


@pytest.mark.parametrize("name", TYPES)
def test_the_invalid_example_is_invalid_for_both_validators(name: str) -> None:
    text = (EXAMPLES / "invalid" / f"{name}.json").read_bytes()
    assert msgspec.json.decode(text)["type"] == name
    assert not agreed(text)


def test_there_is_one_example_of_each_kind_for_each_type() -> None:
    for kind in ("valid", "invalid"):
        assert {path.stem for path in (EXAMPLES / kind).glob("*.json")} == {*TYPES, *SHOWN}


@pytest.mark.parametrize("name", SHOWN)
def test_a_record_has_an_example_that_is_valid_and_one_that_is_not(name: str) -> None:
    schema, decoder = jsonschema.Draft202012Validator(schemas()[name]), msgspec.json.Decoder(RECORDS[name])
    right, wrong = ((EXAMPLES / kind / f"{name}.json").read_bytes() for kind in ("valid", "invalid"))
    schema.validate(msgspec.json.decode(right))
    assert msgspec.json.decode(encode(decoder.decode(right))) == msgspec.json.decode(right)
    assert not schema.is_valid(msgspec.json.decode(wrong))
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(wrong)


# Known differences between the two validators, by name. What is listed here the contract allows and intake refuses,
# or the other way round; nothing else may differ.
KNOWN = {
    "whole_float": "`1.0` is an integer to JSON Schema, not to intake",
    "space_for_t": "intake takes a space for the T of a date and time, RFC 3339 lets it",
    "money_words": "intake takes decimal strings in all of Python's spellings and checks their size",
    "huge_integer": "an integer beyond 64 bits is no integer to intake",
}

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 + 1, 2**64, 10**25, -(2**63) - 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1.0, 0.5, -0.0, 1e300, 1.5e300]),
    st.text(max_size=5),
    st.sampled_from(["x" * 257, "x" * 1025, "x" * 16_385, "", "ok", "error", "2026-01-05T09:00:00Z", "1.0"]),
    st.sampled_from(
        ["2026-01-05 09:00:00Z", "2026-13-05T09:00:00Z", "2026-01-05T09:00:00", "1.5", "NaN", "1e5", "USD"]
    ),
    st.sampled_from(["0.1", "1e400", "-1", " 1", "1_0", "1e99"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.just({}),
    st.just({"amount": 1}),
    st.lists(st.just("x"), min_size=513, max_size=513),
)


def paths(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(path for key, child in children for path in paths(child, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """An example with up to three places replaced, removed or added; and what was put in."""
    name = draw(st.sampled_from(TYPES))
    event, put = example(name), []
    optional = [*event_schema(name)["$defs"][data_name(name)]["properties"]]
    for _ in range(draw(st.integers(1, 3))):
        *into, last = draw(st.sampled_from([*paths(event)[1:], ("data", draw(st.sampled_from(optional)))]))
        node: Any = event
        for key in into:
            node = node[key] if isinstance(node, dict) and key in node else None
        if not isinstance(node, dict) or last == "type":
            continue
        if draw(st.integers(0, 4)) == 0:
            node.pop(last, None)
        else:
            put.append(deepcopy(draw(JUNK)))
            node[last] = put[-1]
    return event, put


def data_name(name: str) -> str:
    return str(event_schema(name)["properties"]["data"]["$ref"]).rpartition("/")[2]


def agreed(text: bytes) -> bool:
    """Whether both take it; fails where only one does."""
    event = msgspec.json.decode(text)
    theirs = VALIDATORS[event["type"]].is_valid(event)
    try:
        DECODER.decode(text)
    except msgspec.ValidationError:
        assert not theirs, text
        return False
    assert theirs, text
    return True


def known(event: dict[str, Any], put: list[Any]) -> set[str]:
    """Which known differences may show in this event."""
    flat = [node_at(event, path) for path in paths(event)]
    numbers = [value for value in flat if isinstance(value, int | float) and not isinstance(value, bool)]
    amounts = [node_at(event, path) for path in paths(event) if path and path[-1] == "amount"]
    found = set()
    if any(isinstance(value, float) and value.is_integer() for value in numbers):
        found.add("whole_float")
    if any(isinstance(value, int) and not -(2**63) <= value < 2**64 for value in numbers):
        found.add("huge_integer")
    if any(isinstance(value, str) and value[10:11] == " " for value in put):
        found.add("space_for_t")
    if any(isinstance(value, str) for value in amounts):
        found.add("money_words")
    return found


def node_at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_both_validators_agree_on_mutated_events(case: tuple[dict[str, Any], list[Any]]) -> None:
    event, put = case
    excuses = known(event, put)
    assert excuses <= set(KNOWN)
    if not excuses - ({"money_words"} if not any(isinstance(value, str) for value in put) else set()):
        agreed(msgspec.json.encode(event))


@pytest.mark.parametrize(
    ("difference", "where", "value", "schema_takes", "intake_takes"),
    [
        ("whole_float", ("duration_ms",), 1.0, True, False),
        ("huge_integer", ("duration_ms",), 2**64, False, False),
        ("space_for_t", ("time",), "2026-01-05 09:00:00Z", False, True),
        ("money_words", ("cost", "amount"), "1_000", False, True),
        ("money_words", ("cost", "amount"), "9999999999", True, False),
    ],
)
def test_the_known_differences_are_these(
    difference: str, where: tuple[str, ...], value: Any, schema_takes: bool, intake_takes: bool
) -> None:
    assert difference in KNOWN
    event = example("agent.llm.called.v1")
    node = event if where == ("time",) else event["data"]
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    text = msgspec.json.encode(event)
    assert VALIDATORS["agent.llm.called.v1"].is_valid(msgspec.json.decode(text)) is schema_takes
    try:
        DECODER.decode(text)
        taken = True
    except msgspec.ValidationError:
        taken = False
    assert taken is intake_takes


@pytest.mark.parametrize("name", TYPES)
def test_what_is_stored_still_satisfies_the_published_schema(name: str) -> None:
    stored = msgspec.json.decode(encode(DECODER.decode(msgspec.json.encode(example(name)))))
    assert list(VALIDATORS[name].iter_errors(stored)) == []
