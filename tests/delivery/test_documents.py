"""Tools that read our JSON without an adapter: Spinnaker, Harness, Azure, Kayenta, and what each of them trips over."""

import json

import msgspec
import pytest
from delivery.gated import AGENT, ALLOWED, BLOCKED, UNKNOWN, decision

WHERE = "/v1/gates/promotion/decision"
BYTES_MAX = 4096
# Kayenta's thresholds as people set them; Argo reads the same number with asFloat.
PASS, MARGINAL = 75, 40
OUTCOME = {"allow": "pass", "warn": "pass", "hold": "marginal", "block": "fail"}


async def documents(site):
    for release in (ALLOWED, UNKNOWN, BLOCKED):
        answer = await site.client.get(WHERE, params={"agent": AGENT, "release": release})
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        yield answer


def made():
    return [msgspec.json.encode(decision(state)) for state in ("allow", "warn", "hold", "block")]


def suits_spinnaker(document):
    """Its state is a word at a path that is no number; progress is shown as it is and must be text."""
    state = document["state"]
    running = state not in ("allow", "warn", "block")
    return isinstance(state, str) and isinstance(document["progress"], str) and running == (state == "hold")


def suits_kayenta(document):
    score = document["score"]
    found = "pass" if score >= PASS else "marginal" if score >= MARGINAL else "fail"
    return type(score) is int and found == OUTCOME[document["state"]]


def suits_azure_and_harness(document):
    """Assertions over fields at the top: booleans that are booleans, and agree with the state."""
    state = document["state"]
    return document["allow"] is (state in ("allow", "warn")) and document["block"] is (state == "block")


@pytest.mark.parametrize("suits", [suits_spinnaker, suits_kayenta, suits_azure_and_harness])
async def test_the_document_suits_those_that_read_it_as_it_is(site, suits):
    async for answer in documents(site):
        assert suits(answer.json())
    assert all(suits(json.loads(body)) for body in made())


async def test_the_document_stays_small_however_much_is_wrong(site):
    for number in range(2, 40):
        await site.book(number, releases=(BLOCKED,), severity="critical", title=f"{number} " + "é" * 400,
                        ticket=f"OPS-{number}", ticket_url=f"https://jira.example/browse/OPS-{number}")  # fmt: skip
    await site.read()
    async for answer in documents(site):
        assert len(answer.content) <= BYTES_MAX, answer.text


async def test_a_question_by_post_answers_the_same(site):
    """Azure's check, Harness and some of Argo's users can only POST."""
    body = {"agent": AGENT, "release": BLOCKED}
    answer = await site.client.post(WHERE, json=body)
    assert answer.json()["state"] == "block"
