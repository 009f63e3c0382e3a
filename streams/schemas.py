"""The published contract, generated from the records: schemas/<type>.json. `python -m streams.schemas [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from .records import (
    AgentEvent,
    Control,
    ControlBeat,
    DeliveryEvent,
    Exposure,
    Facts,
    Finding,
    GateDecision,
    Incident,
    IntakeRejected,
    Obligation,
    Outcome,
    PolicyChanged,
    PowerChanged,
    RegressionCase,
    Watermarks,
)
from .records.deadletters import DeadLetterHeaders
from .records.envelope import MONEY_MAX, Event, Money, Open
from .respond.messages import Webhook

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DECIMAL = r"^[0-9]{1,10}(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$"

DESCRIPTIONS: dict[str, str] = {
    "agent.session.started.v1": "An agent began a piece of work, and on whose behalf.",
    "agent.heartbeat.v1": "An agent is alive, and says what it is doing or waiting for.",
    "agent.llm.called.v1": "A model was called: tokens, cost, how it ended.",
    "agent.tool.called.v1": "A tool, command, file or subagent was used: how it ended, on what, with which effect.",
    "agent.decision.made.v1": "An agent chose between alternatives.",
    "agent.permission.checked.v1": "An action was allowed, denied or is waiting, and who decided.",
    "agent.eval.scored.v1": "An evaluator, a model or a person judged the work.",
    "agent.checkpoint.recorded.v1": "A state of the work was saved, restored or discarded.",
    "agent.session.ended.v1": "A piece of work ended, and how.",
    "release.registered.v1": "A release of an agent exists, and what it is made of.",
    "release.deployed.v1": "A release was promoted, rolled back or aborted in an environment.",
    "case.scored.v1": "A regression case ran against a release.",
    "intake.rejected.v1": "A message that intake could not use. The message itself is a dead letter.",
}
RECORDS: dict[str, type[Struct]] = {
    "finding": Finding,
    "exposure": Exposure,
    "incident": Incident,
    "outcome": Outcome,
    "decision": GateDecision,
    "dead_letter": DeadLetterHeaders,
    "facts": Facts,
    "watermarks": Watermarks,
    "obligation": Obligation,
    "policy_changed": PolicyChanged,
    "control": Control,
    "control_beat": ControlBeat,
    "power_changed": PowerChanged,
    "regression_case": RegressionCase,
    "webhook": Webhook,
}
EVENTS: dict[str, type[Event]] = {
    str(event.__struct_config__.tag): event
    for event in (*get_args(AgentEvent), *get_args(DeliveryEvent), IntakeRejected)
}


def schemas() -> dict[str, dict[str, Any]]:
    """Every published schema by the name of its file."""
    return {**{name: event_schema(name) for name in EVENTS}, **{name: _record_schema(name) for name in RECORDS}}


def event_schema(name: str) -> dict[str, Any]:
    """JSON Schema 2020-12 of one event type. `position` is the pipeline's own and not part of it."""
    schema = _generated(name, EVENTS[name], DESCRIPTIONS[name])
    del schema["properties"]["position"]
    if not _refers(schema, "Position"):
        schema["$defs"].pop("Position", None)
    return schema


def _record_schema(name: str) -> dict[str, Any]:
    return _generated(name, RECORDS[name], (RECORDS[name].__doc__ or name).split("\n")[0])


def _generated(name: str, struct: type[Struct], description: str) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    components = {key: _published(key, value) for key, value in sorted(components.items())}
    root = components.pop(struct.__name__)
    head = {"$schema": DIALECT, "$id": f"urn:tocsin:schema:{name}", "title": name, "description": description}
    rest = {key: value for key, value in root.items() if key not in ("title", "description")}
    return {**head, **rest, "$defs": components}


def _published(name: str, component: dict[str, Any]) -> dict[str, Any]:
    """What msgspec generates, with what it can't know: open enumerations, money, rules between fields."""
    if name in _open_enums():
        values = [value for value in component["enum"] if value != "other"]
        return {"title": name, "type": "string", "examples": values}
    component = _tidy(component)
    if name == Money.__name__:
        number = {"type": "number", "minimum": 0, "maximum": int(MONEY_MAX)}
        component["properties"]["amount"] = {"anyOf": [number, {"type": "string", "pattern": DECIMAL}]}
    if name == "EvalScoredData":
        component["if"] = {"properties": {"status": {"not": {"const": "ok"}}}}
        component["then"] = {"properties": {"passed": {"type": "null"}}}
    return component


def _open_enums() -> set[str]:
    return {enum.__name__ for enum in Open.__subclasses__()}


def _tidy(node: Any) -> Any:
    """A nullable plain type reads better as a list of types, and `default: null` says nothing."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: _tidy(value) for key, value in node.items() if not (key == "default" and value is None)}
    if isinstance(tidied.get("description"), str):
        tidied["description"] = " ".join(tidied["description"].split())
    options = tidied.get("anyOf")
    if isinstance(options, list) and len(options) == 2 and options[1] == {"type": "null"} and "type" in options[0]:
        del tidied["anyOf"]
        return {**options[0], "type": [options[0]["type"], "null"], **tidied}
    return tidied


def _refers(node: Any, name: str) -> bool:
    if isinstance(node, dict):
        return node.get("$ref") == f"#/$defs/{name}" or any(_refers(value, name) for value in node.values())
    return isinstance(node, list) and any(_refers(item, name) for item in node)


def texts() -> Iterator[tuple[str, bytes]]:
    """File names and contents, as committed."""
    for name, schema in schemas().items():
        yield f"{name}.json", msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def drift(folder: Path) -> list[str]:
    """Which committed files are not what the records say."""
    wanted = dict(texts())
    wrong = [name for name, text in wanted.items() if not _same(folder / name, text)]
    return sorted(wrong + [path.name for path in folder.glob("*.json") if path.name not in wanted])


def _same(path: Path, text: bytes) -> bool:
    return path.exists() and path.read_bytes() == text


def main(arguments: list[str]) -> int:
    folder = Path("schemas")
    if arguments == ["--check"]:
        wrong = drift(folder)
        sys.stderr.write("".join(f"schemas/{name} is not what the records say\n" for name in wrong))
        return 1 if wrong else 0
    folder.mkdir(exist_ok=True)
    for name, text in texts():
        (folder / name).write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
