"""`tocsin gate check` for tools: exit codes, GitHub's commands and files, JUnit; whatever titles of strangers say."""

import json
import subprocess
import sys
from xml.etree import ElementTree as ET

import msgspec
import pytest
from delivery.gated import decision
from hypothesis import given
from hypothesis import strategies as st

from streams.command.gate_formats import FORMATS, for_github
from streams.gatecheck import Checked
from streams.learn.gates.several import together
from streams.records import Reason

ASKED = "promotion of support-bot@2026.09.3 in prod"
CODES = {"allow": 0, "warn": 0, "hold": 20, "block": 30}


def checked(state, code=None, **given):
    found = json.loads(msgspec.json.encode(decision(state, **given)))
    return Checked(CODES[state] if code is None else code, found, f"{state}: {found['summary']}")


AWAY = Checked(4, None, "The gate at http://localhost could not be reached: refused")


@pytest.mark.parametrize(("state", "level"), [("warn", "warning"), ("hold", "error"), ("block", "error")])
def test_github_marks_the_run_with_the_answer_and_each_reason(state, level):
    lines = FORMATS["github"](checked(state), ASKED).splitlines()
    assert (
        lines[0] == f"::{level} title=Gate promotion of support-bot@2026.09.3 in prod%3A {state}::Said in one sentence."
    )
    assert lines[1].startswith(f"::{level} title=incident_open::incident: incident_open (incident=i-1")
    assert lines[-1] == "Decision: https://jira.example/browse/OPS-1"


def test_github_hears_that_nobody_answered():
    assert FORMATS["github"](AWAY, ASKED).startswith("::error title=Gate promotion")


NASTY = [
    "two\nlines\r::error::forged",
    "::set-output name=state::allow",
    "##[add-mask]x",
    "]]> & <script>'\"",
    "\x00\x1b[31m ￾",
    "@everyone #12 [x](http://evil.example) `code` | a | b",
    "::stop-commands::pause",
]


@pytest.mark.parametrize("text", NASTY)
def test_no_title_is_an_order_markup_or_broken_xml(text, tmp_path):
    given = checked("block", summary=text, reasons=(reason(text),))
    for line in FORMATS["github"](given, ASKED).splitlines():
        assert line.startswith(("::error title=", "Decision: ")) and line.count("::") in (0, 2) and "##[" not in line
    assert case(given)
    files = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    for_github(given, ASKED, files)
    outputs = (tmp_path / "out").read_text("utf-8").splitlines()
    assert [line.partition("=")[0] for line in outputs] == [
        "state", "allow", "block", "score", "decision-id", "summary"
    ]  # fmt: skip
    assert outputs[:3] == ["state=block", "allow=false", "block=true"]
    shown = (tmp_path / "summary").read_text("utf-8")
    assert "<script" not in shown and "@everyone" not in shown and "](http" not in shown
    assert len([line for line in shown.splitlines() if line.startswith("|")]) == 3


def reason(text, effect="block"):
    return Reason("incident_open", effect, "incident", {"incident": "i-1", "title": text})


@given(text=st.text(max_size=60))
def test_no_text_breaks_the_xml_or_orders_the_runner(text):
    given = checked("block")
    given.document["reasons"][0]["detail"]["title"] = text
    given.document["summary"] = text
    assert case(given)
    for line in FORMATS["github"](given, ASKED).split("\n"):
        assert line.startswith(("::error title=", "Decision: "))


def case(given):
    (suite,) = ET.fromstring(FORMATS["junit"](given, ASKED).encode())
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    assert suite.get("errors") == str(len(suite.findall("testcase/error")))
    return suite


def test_junit_has_a_case_for_each_rule_and_fails_by_what_holds_or_blocks():
    reasons = (reason("one"), Reason("insufficient_evidence", "hold", "evidence"), Reason("soft", "warn", "soft"))
    suite = case(checked("block", reasons=reasons))
    assert [(one.get("name"), [part.tag for part in one]) for one in suite] == [
        ("incident incident_open: i-1", ["failure"]),
        ("evidence insufficient_evidence", ["failure"]),
        ("soft soft", ["system-out"]),
    ]
    assert suite[0].get("classname") == "support-bot@2026.09.3"


@pytest.mark.parametrize(
    ("given", "failures"),
    [
        (checked("allow"), 0),
        (checked("warn"), 0),
        (checked("warn", 10), 1),
        (checked("hold"), 1),
        (checked("block"), 1),
    ],
)
def test_junit_fails_when_the_command_does(given, failures):
    assert case(given).get("failures") == str(failures)


def test_junit_of_a_hold_without_a_reason_fails_all_the_same():
    assert case(checked("hold", reasons=())).get("failures") == "1"


def test_junit_of_no_answer_is_an_error():
    suite = case(AWAY)
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")


@pytest.mark.parametrize("shape", FORMATS)
def test_a_document_with_strange_reasons_is_still_written(shape):
    for strange in (None, 7, [], [1, {}], [{"effect": "x", "detail": 3}]):
        given = checked("block")
        given.document["reasons"] = strange
        given.document["links"] = strange
        assert FORMATS[shape](given, ASKED)


def run(*given, **environ):
    command = [sys.executable, "-m", "streams", "gate", "check", "--agent", "a", "--release", "1", *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, check=False)


def test_the_command_writes_each_format_and_keeps_its_exit_code(tmp_path):
    nowhere = ("--url", "http://127.0.0.1:1")
    found = run(*nowhere, "--format", "junit")
    assert found.returncode == 4 and "<error" in found.stdout
    output = tmp_path / "out"
    found = run(*nowhere, "--format", "github", GITHUB_OUTPUT=str(output))
    assert found.returncode == 4 and found.stdout.startswith("::error") and not found.stderr
    assert "state=unreachable" in output.read_text()
    assert run(*nowhere, "--format", "json").stdout.strip() == "null"
    assert run(*nowhere, "--format", "yaml").returncode == 2


def test_of_several_agents_each_rule_of_each_is_a_case():
    parts = [decision("allow", agent="planner", release="41"), decision("block", agent="writer", release="17")]
    whole = json.loads(msgspec.json.encode(together(parts)))
    suite = case(Checked(30, whole, "block: writer"))
    assert [(one.get("classname"), [part.tag for part in one]) for one in suite] == [
        ("planner@41", []),
        ("writer@17", ["failure"]),
    ]
    assert FORMATS["github"](Checked(30, whole, "block"), "promotion").count("::error") == 2
