"""Argo Rollouts and Kargo: our templates against the documents of our gate, in every state and when it is down."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from delivery.argo import (
    EFFECT,
    ERROR,
    FAILED,
    INCONCLUSIVE,
    SUCCESSFUL,
    filled,
    holds,
    measured,
    run,
)
from delivery.gated import AGENT, ALIAS, ALLOWED, BLOCKED, UNKNOWN, decision
from web.serving import AWAY, serving

GATES = Path(__file__).parents[2] / "deploy/gates"
TEMPLATE, ROLLOUT = yaml.safe_load_all((GATES / "argo-rollouts.yaml").read_text("utf-8"))
(METRIC,) = TEMPLATE["spec"]["metrics"]
STAGE = yaml.safe_load((GATES / "kargo.yaml").read_text("utf-8"))
ARGS = {one["name"]: one.get("value") for one in TEMPLATE["spec"]["args"]}


def url(**given):
    """What Argo calls, as a path of ours."""
    args = {**ARGS, "agent": AGENT, **given}
    return filled(METRIC["provider"]["web"]["url"], args).removeprefix(ARGS["host"])


# The states of the gate, and the table of what Argo makes of an answer.
PHASES = {"allow": SUCCESSFUL, "warn": SUCCESSFUL, "hold": INCONCLUSIVE, "block": FAILED}


@pytest.mark.parametrize(
    ("release", "state"), [(ALLOWED, "allow"), (ALIAS, "allow"), (UNKNOWN, "hold"), (BLOCKED, "block")]
)
async def test_what_the_gate_answers_is_what_argo_needs(site, release, state):
    answer = await site.client.get(url(release=release))
    assert answer.json()["state"] == state
    assert measured(METRIC, answer.status_code, answer.content) == PHASES[state]


@pytest.mark.parametrize("state", PHASES)
def test_each_state_is_told_apart(state):
    assert measured(METRIC, 200, msgspec.json.encode(decision(state))) == PHASES[state]


async def test_a_gate_that_is_down_is_an_error_and_never_a_success():
    async with serving("postgresql://127.0.0.1:1/nowhere", token=AWAY) as site:
        answer = await site.client.get(url(release=ALLOWED))
        assert answer.json() and measured(METRIC, answer.status_code, answer.content) == ERROR
    assert measured(METRIC, None, b"") == ERROR


async def test_a_mistake_in_the_template_is_an_error_and_never_a_success(site):
    for path in (url(release=""), url(release=ALLOWED, gate="other"), "/v1/nothing", "/nothing", "/v1/gates"):
        answer = await site.client.get(path)
        assert measured(METRIC, answer.status_code, answer.content) == ERROR, path


def test_the_table_of_what_argo_makes_of_an_answer():
    """Why no answer of ours with a 2xx may be empty or anything but JSON."""
    for body in (b"", b"<html>sign in</html>"):
        assert measured(METRIC, 200, body) == SUCCESSFUL
    assert measured(METRIC, 200, b"{}") == measured(METRIC, 200, b"[]") == ERROR
    assert measured(METRIC, 200, b'{"state": "other"}') == INCONCLUSIVE
    assert measured(METRIC, 500, msgspec.json.encode(decision("allow"))) == ERROR


HOUR = METRIC["count"]
RUNS = {
    "the first allow finishes": ([SUCCESSFUL], "continues"),
    "the first block aborts": ([FAILED], "aborts"),
    "a block after holds aborts": ([INCONCLUSIVE] * 40 + [FAILED], "aborts"),
    "an allow after holds finishes": ([INCONCLUSIVE] * 119 + [SUCCESSFUL], "continues"),
    "holds wait": ([INCONCLUSIVE] * 119, "waits"),
    "an hour of holds pauses": ([INCONCLUSIVE] * HOUR, "pauses"),
    "a gate that is down for three minutes is waited for": ([ERROR] * 20, "waits"),
    "a gate that is down for longer aborts": ([ERROR] * 21, "aborts"),
    "a gate that comes back is believed": ([ERROR] * 20 + [INCONCLUSIVE] + [ERROR] * 20 + [SUCCESSFUL], "continues"),
}


@pytest.mark.parametrize(("phases", "effect"), RUNS.values(), ids=RUNS)
def test_what_becomes_of_a_rollout(phases, effect):
    assert EFFECT[run(METRIC, phases)] == effect


def test_an_hour_of_holds_is_no_success_in_an_older_argo_either():
    assert run(METRIC, [INCONCLUSIVE] * HOUR, since_1_8=False) == INCONCLUSIVE
    careless = {**METRIC, "inconclusiveLimit": HOUR}
    assert run(careless, [INCONCLUSIVE] * HOUR, since_1_8=False) == SUCCESSFUL


def test_every_placeholder_is_an_argument_and_the_rollout_gives_those_without_a_value():
    placeholders = set(re.findall(r"args\.([\w-]+)", METRIC["provider"]["web"]["url"]))
    assert placeholders == set(ARGS)
    steps = ROLLOUT["spec"]["strategy"]["canary"]["steps"]
    for analysis in (step["analysis"] for step in steps if "analysis" in step):
        assert {one["name"] for one in analysis["args"]} == {name for name, value in ARGS.items() if value is None}
        assert analysis["templates"] == [{"templateName": TEMPLATE["metadata"]["name"], "clusterScope": True}]


def test_each_step_of_traffic_waits_for_the_gate():
    kinds = [next(iter(step)) for step in ROLLOUT["spec"]["strategy"]["canary"]["steps"]]
    assert kinds == ["setWeight", "analysis", "setWeight", "analysis"]


(STEP,) = STAGE["spec"]["promotionTemplate"]["spec"]["steps"]


def kargo(status, document):
    """The http step: failure wins, neither of them goes on asking; an answer that is none is an error."""
    response = {"status": status, "body": document}
    if holds(STEP["config"]["failureExpression"], response=response):
        return "fails"
    return "succeeds" if holds(STEP["config"]["successExpression"], response=response) else "asks again"


@pytest.mark.parametrize(
    ("release", "meaning"), [(ALLOWED, "succeeds"), (UNKNOWN, "asks again"), (BLOCKED, "fails")], ids=str
)
async def test_kargos_step_goes_on_waits_or_fails(site, release, meaning):
    given = {one["name"]: one["value"] for one in STEP["config"]["queryParams"]}
    assert set(given) == {"agent", "release", "environment"}
    where = STAGE["spec"]["vars"][0]["value"].removeprefix(ARGS["host"])
    answer = await site.client.get(where, params={**given, "release": release})
    assert kargo(answer.status_code, answer.json()) == meaning


def test_kargos_step_goes_on_with_a_warning_and_waits_for_a_gate_that_is_down():
    assert kargo(200, msgspec.to_builtins(decision("warn"))) == "succeeds"
    assert kargo(503, {"title": "Service Unavailable", "status": 503}) == "asks again"
    assert kargo(404, {"allow": True, "state": "block"}) == "asks again"


def test_kargo_verifies_with_the_template_of_argo():
    verification = STAGE["spec"]["verification"]
    assert verification["analysisTemplates"] == [{"kind": TEMPLATE["kind"], "name": TEMPLATE["metadata"]["name"]}]
    assert {one["name"] for one in verification["args"]} == {name for name, value in ARGS.items() if value is None}
