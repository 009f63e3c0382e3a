"""Flagger's hooks: what it posts, as its documentation has it, and what a 200 or a 403 of ours does to a canary."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from delivery.gated import AGENT, ALLOWED, BLOCKED, TICKET, UNKNOWN, decision
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from web.serving import AWAY, serving
from web.test_gate_api import close

from streams.database import migrate
from streams.records import Freshness
from streams.settings import Secret
from streams.web.flagger import Flagger
from streams.web.gatehouse import CannotAnswer, UnknownGate

HOOKS = ("confirm", "check", "rollback")
# hook -> the state it is asked in -> what Flagger hears
MEANING = {
    "confirm": {"allow": 200, "warn": 200, "hold": 403, "block": 403},
    "check": {"allow": 200, "warn": 200, "hold": 200, "block": 403},
    "rollback": {"allow": 403, "warn": 403, "hold": 403, "block": 200},
}


def payload(release=ALLOWED, **metadata):
    return {
        "name": "podinfo",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "metadata": {"agent": AGENT, "release": release, **metadata},
    }


def flagger(found=None, *, written=True, token=""):
    async def ask(_gate, _question):
        if isinstance(found, Exception):
            raise found
        if found is None:
            await asyncio.Event().wait()
        return found if isinstance(found, bytes) else msgspec.json.encode(found)

    async def looked_up(_name):
        if isinstance(written, Exception):
            raise written
        return written

    return Flagger(ask, looked_up, Secret(token), CollectorRegistry())


@pytest.mark.parametrize("state", ["allow", "warn", "hold", "block"])
@pytest.mark.parametrize("hook", HOOKS)
async def test_each_hook_hears_what_its_state_means(hook, state):
    said = await flagger(decision(state)).judged(hook, json.dumps(payload()).encode(), "")
    assert said.status == MEANING[hook][state]
    assert TICKET in said.sentence and "\n" not in said.sentence


async def posted(site, hook, **body):
    answer = await site.client.post(f"/flagger/{hook}", json=payload(**body))
    assert answer.status_code in (200, 403)
    assert answer.headers["content-type"].startswith("text/plain") and answer.text
    return answer


@pytest.mark.parametrize(
    ("release", "state"), [(ALLOWED, "allow"), (UNKNOWN, "hold"), (BLOCKED, "block")], ids=["allow", "hold", "block"]
)
async def test_a_canary_is_told_what_the_gate_says_of_its_release(site, release, state):
    for hook in HOOKS:
        answer = await posted(site, hook, release=release)
        assert answer.status_code == MEANING[hook][state], answer.text
    assert (TICKET in answer.text) == (state == "block")


async def test_a_block_that_people_took_back_rolls_nothing_back(site):
    assert (await posted(site, "rollback", release=BLOCKED)).status_code == 200
    await site.book(1, releases=(BLOCKED,), stage="resolved", outcome="false_positive", severity="critical")
    await site.read()
    assert (await posted(site, "rollback", release=BLOCKED)).status_code == 403


NOW = datetime.now(UTC)
FAULTS = {
    "the gate cannot answer": CannotAnswer("not yet"),
    "the gate is not there": UnknownGate("x"),
    "the database is away": psycopg.OperationalError("away"),
    "the pool is empty": TimeoutError(),
    "a bug": RuntimeError("a bug"),
    "no memory": MemoryError(),
    "an empty answer": b"",
    "a login page": b"<html>sign in</html>",
    "half a document": b'{"schema": "gate.decision/v1", "state": "block"',
    "another document": b'{"state": "block", "block": true}',
    "a block of stale inputs": decision("block", freshness=Freshness(NOW, 900.0, stale=True)),
    "a block that is over": decision("block", as_of=NOW - timedelta(hours=1), valid_until=NOW - timedelta(minutes=59)),
    "a block of tomorrow": decision("block", as_of=NOW + timedelta(days=1), valid_until=NOW + timedelta(days=2)),
    "a block of another agent": decision("block", agent="billing-bot"),
    "a block in another environment": decision("block", environment="staging"),
    "a block that contradicts itself": decision("block", block=False),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_fault_rolls_production_back(fault, caplog):
    caplog.set_level(logging.CRITICAL)
    said = await flagger(fault).judged("rollback", json.dumps(payload()).encode(), "")
    assert said.status == 403 and said.sentence


@pytest.mark.parametrize("written", [False, psycopg.OperationalError("away"), TimeoutError(), RuntimeError("a bug")])
async def test_a_block_that_nobody_can_look_up_rolls_nothing_back(written):
    said = await flagger(decision("block"), written=written).judged("rollback", json.dumps(payload()).encode(), "")
    assert said.status == 403


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_gate_that_hangs_is_answered_before_flagger_gives_up(hook):
    said = await asyncio.wait_for(flagger(None).judged(hook, json.dumps(payload()).encode(), ""), 9)
    assert said.status == {"confirm": 403, "check": 200, "rollback": 403}[hook]


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "no metadata": json.dumps({"name": "podinfo"}).encode(),
    "metadata that is no object": json.dumps({"metadata": "x"}).encode(),
    "metadata of numbers": json.dumps({"metadata": {"agent": 1, "release": 2}}).encode(),
    "no release": json.dumps({"metadata": {"agent": AGENT}}).encode(),
    "no agent": json.dumps({"metadata": {"release": BLOCKED}}).encode(),
    "a template that was not filled in": json.dumps({"metadata": {"agent": AGENT, "release": ""}}).encode(),
    "a name with a zero in it": json.dumps({"metadata": {"agent": AGENT, "release": "a\0"}}).encode(),
    "a name without end": json.dumps({"metadata": {"agent": AGENT, "release": "a" * 300}}).encode(),
    "a gate that is none": json.dumps(payload(BLOCKED, gate="other")).encode(),
    "too large": b" " * 200_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_no_malformed_call_rolls_production_back_and_all_are_told_in_a_sentence(site, body):
    for hook in HOOKS:
        answer = await site.client.post(f"/flagger/{hook}", content=body)
        assert answer.status_code in (200, 403) and answer.text
        assert hook == "check" or answer.status_code == 403, answer.text


@given(body=st.binary(max_size=400), shown=st.text(max_size=20))
def test_no_garbage_rolls_production_back(body, shown):
    said = asyncio.run(flagger(decision("block")).judged("rollback", body, shown))
    assert said.status == 403


async def test_other_methods_and_places_roll_nothing_back(site):
    for method, path in (("GET", "rollback"), ("PUT", "rollback"), ("HEAD", "rollback"), ("POST", "rollback/x")):
        answer = await site.client.request(method, f"/flagger/{path}", json=payload(BLOCKED))
        assert answer.status_code > 202


async def test_a_stranger_host_rolls_nothing_back(site):
    answer = await site.client.post("/flagger/rollback", json=payload(BLOCKED), headers={"Host": "evil.example"})
    assert answer.status_code == 421


async def test_a_cluster_may_call_by_a_name_of_its_own(database):
    migrate(database)
    async with serving(database, web_names="tocsin.tocsin.svc, gate.internal") as site:
        for host in ("tocsin.tocsin.svc:8080", "gate.internal"):
            answer = await site.client.post("/flagger/event", json=payload(), headers={"Host": host})
            assert answer.status_code == 200


async def test_without_a_database_since_the_start_nothing_is_rolled_back_and_nothing_promoted():
    async with serving("postgresql://127.0.0.1:1/nowhere", token=AWAY) as site:
        for hook, status in {"confirm": 403, "check": 200, "rollback": 403}.items():
            assert (await posted(site, hook, release=BLOCKED)).status_code == status


async def test_a_database_that_goes_away_rolls_nothing_back_although_the_release_was_blocked(site, postgres, database):
    assert (await posted(site, "check", release=BLOCKED)).status_code == 403
    close(postgres, database)
    assert (await posted(site, "rollback", release=BLOCKED)).status_code == 403


async def test_with_a_token_set_only_those_who_show_it_are_heard(database):
    migrate(database)
    async with serving(database, flagger_token=Secret("canary-of-the-token")) as site:
        for shown in ({}, {"token": "guessed"}, {"token": "é"}):
            for hook in HOOKS:
                answer = await posted(site, hook, **shown)
                assert (answer.status_code, answer.text) == (403, "metadata.token is missing or wrong.")
        assert "token" not in (await posted(site, "confirm", token="canary-of-the-token")).text
        answer = await site.client.post("/flagger/check?token=canary-of-the-token", json=payload())
        assert answer.status_code == 200 and "canary" not in answer.text


async def test_an_event_is_noted_and_is_never_an_error(site, caplog):
    caplog.set_level(logging.INFO, "streams.web.flagger")
    told = payload(eventMessage="Advance podinfo.test canary weight 20", eventType="Normal", timestamp="1578607635167")
    answer = await site.client.post("/flagger/event", json=told)
    assert (answer.status_code, answer.text) == (200, "Noted.")
    assert "canary weight 20" in caplog.text
    for body in MALFORMED.values():
        assert (await site.client.post("/flagger/event", content=body)).status_code == 200


async def test_what_an_event_says_makes_no_series_of_its_own():
    registry = CollectorRegistry()
    found = Flagger(None, None, Secret(""), registry)
    for number in range(50):
        body = {**payload(eventType=f"type-{number}"), "phase": f"phase-{number}"}
        found.noted(json.dumps(body).encode(), "")
    assert registry.get_sample_value("tocsin_flagger_events_total", {"phase": "other", "type": "other"}) == 50
