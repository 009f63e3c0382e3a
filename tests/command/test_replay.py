"""`tocsin replay` with a changed policy, as people call it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/failing_tool.ndjson"
SET = "tool.repeated_error.errors_min=4"


def tocsin(*arguments: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    command = [sys.executable, "-m", "streams", *arguments]
    env = {**given, **settings}
    return subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=60, check=False, cwd=ROOT)


def records(answer: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_without_a_change_it_is_what_it_was() -> None:
    found = records(tocsin("replay", str(EXAMPLE), "--json"))
    assert all("side" not in one for one in found)
    assert found[-1]["record"] == "summary"


def test_each_record_says_its_side_and_the_comparison_is_the_last() -> None:
    *found, comparison = records(tocsin("replay", "-", "--json", "--set", SET, stdin=EXAMPLE.read_bytes()))
    assert {one["side"] for one in found} == {"now", "candidate"}
    assert comparison["record"] == "comparison"
    assert [one["detector"] for one in comparison["only_now"]] == ["tool.repeated_error"]


def test_the_policy_of_the_settings_is_now_and_the_named_file_the_candidate(tmp_path: Path) -> None:
    now, candidate = tmp_path / "now.toml", tmp_path / "candidate.toml"
    now.write_text('[detectors."tool.repeated_error"]\nerrors_min = 5\n', encoding="utf-8")
    candidate.write_text('[[owners]]\nname = "us"\nteams = ["payments"]\n', encoding="utf-8")
    answer = tocsin("replay", str(EXAMPLE), "--policy", str(candidate), "--json", TOCSIN_POLICY=str(now))
    comparison = records(answer)[-1]
    assert {"path": "tool.repeated_error.errors_min", "before": "5", "after": "3"} in comparison["differences"]
    assert [(one["detector"], one["owner"]) for one in comparison["only_candidate"]] == [("tool.repeated_error", "us")]


def test_a_setting_is_laid_over_the_named_policy(tmp_path: Path) -> None:
    candidate = tmp_path / "candidate.toml"
    candidate.write_text('[detectors."tool.repeated_error"]\nerrors_min = 9\nseverity = "low"\n', encoding="utf-8")
    answer = tocsin("replay", str(EXAMPLE), "--policy", str(candidate), "--set", "tool.repeated_error.errors_min=2")
    assert b'tool.repeated_error.severity    "high" -> "low"' in answer.stdout
    assert b"tool.repeated_error.errors_min  3 -> 2" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "tool.repeated_error.error_min=4"), "did you mean `tool.repeated_error.errors_min`?"),
        (("--set", "tool.repeated_error.errors_min=many"), "'many' is not of type 'integer'"),
        (("--set", "nonsense"), "is not name=value"),
        (("--policy", "WRONG"), "did you mean `window_s`?"),
        (("--policy", "/nowhere.toml"), "does not exist"),
    ],
)
def test_a_wrong_change_is_answered_in_words_before_anything_is_read(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[grouping]\nwindow = 3\n", encoding="utf-8")
    answer = tocsin("replay", str(EXAMPLE), *(str(wrong) if one == "WRONG" else one for one in arguments))
    assert (answer.returncode, answer.stdout, b"Traceback" in answer.stderr) == (2, b"", False)
    assert said in answer.stderr.decode()


def test_nothing_moves_on_standard_error_unless_it_is_a_terminal() -> None:
    assert tocsin("replay", str(EXAMPLE), "--set", SET).stderr == b""


def test_a_terminal_sees_how_far_it_is() -> None:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "streams", "replay", str(EXAMPLE)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environ, timeout=60, check=False)
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert answer.returncode == 0 and b"6 events" in answer.stdout
    assert b"replaying" in shown
