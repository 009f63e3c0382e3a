"""`tocsin detectors` says about each detector what the policy says, what was measured, and what its author knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.detect.catalogue import DETECTORS

POLICY = """
[detectors."tool.repeated_error"]
owner = "security"
severity = "medium"
dry_run = true

[detectors."tool.repeated_error".agents."billing-*"]
errors_min = 9
severity = "low"
"""


def tocsin(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    command = [sys.executable, "-m", "streams", "detectors", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**given, **settings}, timeout=60, check=False)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY, encoding="utf-8")
    return str(path)


def one(name: str, **settings: str) -> dict[str, Any]:
    answer = tocsin(name, "--json", **settings)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_every_detector_is_listed_with_all_its_thresholds() -> None:
    found = {line["name"]: line for line in map(json.loads, tocsin("--json").stdout.splitlines())}
    assert set(found) == {detector.name for detector in DETECTORS}
    for detector in DETECTORS:
        listed = found[detector.name]
        assert set(listed["thresholds"]) == set(detector.limits.__struct_fields__)
        assert listed["minimum"] and len(listed["runbook"].splitlines()) == 3


def test_it_says_what_your_policy_says(policy: str) -> None:
    found = one("tool.repeated_error", TOCSIN_POLICY=policy)
    assert (found["owner"], found["severity"], found["dry_run"]) == ("security", "medium", True)
    assert found["agents"] == {"billing-*": {"errors_min": 9, "severity": "low"}}  # on trial as for all


def test_it_says_what_was_measured() -> None:
    state = one("tool.repeated_error")["state"]
    assert 200 < state["typical"] <= state["large"] < 100_000


def test_people_see_columns_under_each_other(policy: str) -> None:
    lines = tocsin(TOCSIN_POLICY=policy).stdout.splitlines()
    rows = [line for line in lines if not line.startswith(" ")]
    assert len({len(row) for row in rows}) == 1 and len(rows) == len(DETECTORS) + 1
    assert any("medium, on trial  security" in row for row in rows)
    assert any(line.startswith("    billing-*: ") and "errors_min=9" in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_one_is_shown_whole_with_its_runbook(policy: str) -> None:
    text = tocsin("tool.repeated_error", TOCSIN_POLICY=policy).stdout
    for label in ("severity", "owner", "thresholds", "minimum", "false alarms", "state", "memory", "reads", "order"):
        assert any(line.startswith(f"{label} ") for line in text.splitlines()), label
    assert "agent.tool.called.v1" in text and "near: another order" in text
    assert "runbook       Open the session" in text


def test_a_runbook_of_your_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[detectors."tool.repeated_error"]\nrunbook = "Call Ann."\n', encoding="utf-8")
    assert "runbook       Call Ann." in tocsin("tool.repeated_error", TOCSIN_POLICY=str(path)).stdout


def test_an_unknown_name_is_answered_with_what_was_meant() -> None:
    answer = tocsin("tool.repeated_eror")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "did you mean `tool.repeated_error`?" in answer.stderr
    assert "`tocsin detectors` lists them" in tocsin("zzz").stderr


def test_a_policy_with_errors_is_told_first(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[detectors."tool.repeated_eror"]\n', encoding="utf-8")
    answer = tocsin(TOCSIN_POLICY=str(path))
    assert answer.returncode == 1 and "did you mean `tool.repeated_error`?" in answer.stderr
