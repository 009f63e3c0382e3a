"""How a checked gate is written for tools: JSON, GitHub's workflow commands and files, JUnit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import rich_click as click

from ..gatecheck import BLOCK, HOLD, UNREACHABLE, WARN, Checked
from ..markdown import address, line, plain

STATES = {WARN: "warn", HOLD: "hold", BLOCK: "block"}
LEVELS = {"block": "error", "hold": "error", "warn": "warning", "allow": "notice"}
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
OUTPUTS = ("state", "allow", "block", "score", "decision_id", "summary")
MARKS = {"allow": "Allowed", "warn": "Allowed, with a warning", "hold": "On hold", "block": "Blocked"}
Document = Mapping[str, Any]


def as_json(checked: Checked, _question: str) -> str:
    return json.dumps(checked.document, indent=2)


def as_github(checked: Checked, question: str) -> str:
    """Workflow commands: one for the answer, one for each reason that is no allow."""
    document = checked.document
    if document is None:
        return _command("error", f"Gate {question}", checked.message)
    state = str(document["state"])
    lines = [_command(LEVELS[state], f"Gate {question}: {state}", str(document.get("summary", "")))]
    against = [one for one in _reasons(document) if one["effect"] != "allow"]
    lines += [_command(LEVELS[one["effect"]], one["code"], _told(one)) for one in against]
    lines += [f"Decision: {_plain(link)}" for link in _links(document)]
    return "\n".join(lines)


def as_junit(checked: Checked, question: str) -> str:
    """A suite with a case for each rule that said something; a hold and a block are failures, no answer an error."""
    cases = [*_cases(checked, question)]
    failures = sum("<failure" in one for one in cases)
    errors = sum("<error" in one for one in cases)
    counted = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="tocsin" {counted}>',
            f"  <testsuite name={_attribute(f'gate {question}')} {counted}>",
            *cases,
            "  </testsuite>",
            "</testsuites>",
        ]
    )


def _cases(checked: Checked, question: str) -> list[str]:
    document = checked.document
    if document is None:
        kind = "unreachable" if checked.code == UNREACHABLE else "usage"
        said = f"<error type={_attribute(kind)} message={_attribute(checked.message)}/>"
        return [_case(question, "gate", said)]
    found = []
    for reason in _reasons(document):
        name = ": ".join(part for part in (reason["code"], str(reason["detail"].get("incident", ""))) if part)
        found.append(_case(reason["where"], f"{reason['rule']} {name}", _outcome(reason, checked)))
    if not found or (checked.code in STATES and not any("<failure" in one for one in found)):
        answer = STATES.get(checked.code, "")
        said = f"<failure type={_attribute(answer)} message={_attribute(checked.message)}/>" if answer else ""
        found.append(_case(question, "gate", said))
    return found


def _outcome(reason: Mapping[str, Any], checked: Checked) -> str:
    """What may go on is told and fails nothing; with --strict a warning does."""
    effect = reason["effect"]
    fails = effect in ("hold", "block") and checked.code in (HOLD, BLOCK)
    text = escape(_text(_told(reason)))
    if fails or (effect == "warn" and checked.code == WARN):
        return f"<failure type={_attribute(effect)} message={_attribute(_told(reason))}>{text}</failure>"
    return "" if effect == "allow" else f"<system-out>{text}</system-out>"


def _case(where: str, name: str, inside: str) -> str:
    head = f"    <testcase classname={_attribute(where)} name={_attribute(name)}"
    return f"{head}>{inside}</testcase>" if inside else f"{head}/>"


def _parts(document: Document) -> list[Document]:
    """The decisions: one, or those of several agents that were asked about together."""
    several = document.get("decisions")
    found = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []
    return [*found] or [document]


def _reasons(document: Document) -> list[dict[str, Any]]:
    """What a stranger may have left out is filled in."""
    given = [(part, part.get("reasons")) for part in _parts(document)]
    found = [(part, one) for part, some in given if isinstance(some, list) for one in some if isinstance(one, dict)]
    return [
        {
            "code": str(one.get("code", "")),
            "effect": one.get("effect") if one.get("effect") in LEVELS else "hold",
            "rule": str(one.get("rule", "")),
            "detail": one.get("detail") if isinstance(one.get("detail"), dict) else {},
            "where": f"{part.get('agent', '')}@{part.get('release', '')}",
        }
        for part, one in found
    ]


def _told(reason: Mapping[str, Any]) -> str:
    detail = ", ".join(f"{key}={value}" for key, value in reason["detail"].items() if value not in ("", None))
    return f"{reason['rule']}: {reason['code']}" + (f" ({detail})" if detail else "")


def _links(document: Document) -> list[str]:
    told: list[str] = []
    for part in _parts(document):
        links = part.get("links")
        found = links if isinstance(links, dict) else {}
        tickets = found.get("tickets")
        told += [str(found.get("self", "")), *([str(one) for one in tickets] if isinstance(tickets, list) else [])]
    return [one for one in dict.fromkeys(told) if one]


def _plain(text: str) -> str:
    """One line that is no workflow command, whatever it says."""
    return line(text).replace("::", ": :").replace("##[", "## [")


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_escaped(_plain(message))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(_plain(text)).replace(":", "%3A").replace(",", "%2C")


def _text(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _attribute(text: str) -> str:
    return quoteattr(_text(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def for_github(checked: Checked, question: str, environ: Mapping[str, str]) -> None:
    """What later steps read, and what people read on the run's page; only where GitHub says where to."""
    for name, write in (("GITHUB_OUTPUT", _outputs), ("GITHUB_STEP_SUMMARY", _summary)):
        if path := environ.get(name):
            with Path(path).open("a", encoding="utf-8", errors="replace") as file:
                file.write(write(checked, question))


def _outputs(checked: Checked, _question: str) -> str:
    found = checked.document or {"state": "unreachable", "allow": False, "block": False, "summary": checked.message}
    told = []
    for name in OUTPUTS:
        value = found.get(name, "")
        told.append(f"{name.replace('_', '-')}={json.dumps(value) if isinstance(value, bool) else line(str(value))}")
    return "".join(f"{one}\n" for one in told)


def _summary(checked: Checked, question: str) -> str:
    document = checked.document
    if document is None:
        return f"### Gate {plain(question)}: no answer\n\n{plain(checked.message)}\n"
    lines = [
        f"### Gate {plain(question)}: {MARKS[str(document['state'])]}",
        "",
        f"{plain(str(document.get('summary', '')))} Progress: {plain(str(document.get('progress', '')))}",
        "",
        "| effect | rule | why |",
        "| --- | --- | --- |",
        *(f"| {one['effect']} | {plain(one['rule'])} | {plain(_told(one))} |" for one in _reasons(document)),
        "",
        *(f"- {link}" for one in _links(document) if (link := address(one))),
        "",
    ]
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Checked, str], str]] = {"json": as_json, "github": as_github, "junit": as_junit}


def tell(shape: str, checked: Checked, question: str) -> None:
    """Prints it, and writes GitHub's files where there are some."""
    click.echo(FORMATS[shape](checked, question))
    if shape == "github":
        for_github(checked, question, os.environ)
