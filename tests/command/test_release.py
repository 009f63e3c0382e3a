"""What a pipeline says of its releases."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from command.test_help import tocsin

from streams.announcement import Run, actor, event, run_of
from streams.records import Actor, DeliveryEvent, ReleaseDeployedData, ReleaseRegisteredData, Status

NOW = datetime(2026, 9, 14, 10, tzinfo=UTC)
LATER = datetime(2026, 9, 14, 11, tzinfo=UTC)
REGISTER = ("release", "register", "--agent", "bot", "--release", "2026.09.4")
DEPLOYED = ("release", "deployed", "--agent", "bot", "--release", "2026.09.4")


def decoded(value: bytes) -> DeliveryEvent:
    return msgspec.json.decode(value, type=DeliveryEvent)


def test_said_again_by_the_same_run_it_is_the_same_event() -> None:
    run = run_of({"GITHUB_REPOSITORY": "org/bot", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}, NOW)
    assert run == Run("/ci/org/bot", "7/1")
    data = ReleaseDeployedData(agent="bot", release="1", environment="prod", op="promote", result=Status.ok)
    one, again = decoded(event(data, run, NOW)), decoded(event(data, run, LATER))
    assert (one.id, one.source) == (again.id, again.source)
    other = decoded(event(data, run._replace(id="8/1"), NOW))
    assert other.id != one.id


def test_without_a_pipeline_the_same_said_later_is_another_event() -> None:
    data = ReleaseRegisteredData(agent="bot", release="1")
    one, later = (decoded(event(data, run_of({}, at), at)) for at in (NOW, LATER))
    assert one.id != later.id


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ann", Actor("human", "ann")),
        ("ci:release", Actor("ci", "release")),
        ("policy:canary", Actor("policy", "canary")),
        ("org:ann", Actor("human", "org:ann")),
    ],
)
def test_who_decided_is_a_person_unless_told_otherwise(said: str, meant: Actor) -> None:
    assert actor(said) == meant


def test_the_event_can_be_printed_for_pipelines_that_produce_it_themselves() -> None:
    answer = tocsin(
        *REGISTER,
        "--parent",
        "a",
        "--parent",
        "b",
        "--fixes",
        "AGT-412",
        "--author",
        "ann",
        "--order",
        "7",
        "--dry-run",
    )
    assert answer.returncode == 0, answer.stderr
    said = decoded(answer.stdout)
    assert said.data == ReleaseRegisteredData(
        agent="bot", release="2026.09.4", parents=["a", "b"], fixes=["AGT-412"], author=Actor("human", "ann"), order=7
    )
    deployed = tocsin(*DEPLOYED, "--op", "rollback", "--result", "error", "--decided-by", "policy:canary", "--dry-run")
    assert json.loads(deployed.stdout)["data"] == {
        "agent": "bot",
        "release": "2026.09.4",
        "environment": "prod",
        "op": "rollback",
        "result": "error",
        "decided_by": {"kind": "policy", "id": "canary"},
    }


def test_wrong_values_are_refused_before_anything_is_sent() -> None:
    for more in (("--op", "explode"), ("--op", "promote", "--share", "2"), ()):
        assert tocsin(*DEPLOYED, *more).returncode == 2
    assert tocsin(*REGISTER, "--commit", "c" * 300, "--dry-run").returncode == 2


def test_without_an_address_of_kafka_it_says_what_to_set() -> None:
    answer = tocsin(*REGISTER)
    assert answer.returncode == 2
    assert b"TOCSIN_KAFKA" in answer.stderr


def test_a_kafka_that_is_away_has_taken_nothing_and_that_is_said() -> None:
    answer = tocsin(*REGISTER, TOCSIN_KAFKA="127.0.0.1:1")
    assert answer.returncode == 4
    assert b"say it again" in answer.stderr
    assert b"Traceback" not in answer.stderr
    assert answer.stdout == b""


def test_the_events_that_the_readme_shows_are_valid() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "release.registered.v1" in one]
    said = [decoded(one.encode()) for one in re.split(r"\n(?=\{)", block.strip())]
    assert [one.data.release for one in said] == ["2026.11.2", "2026.11.2"]
