"""What the sandbox Slack answers and what we send it, held against the types of Slack's own published client.

The schemas are made by `python tests/sandbox/slack_types.py`, which needs Node and npm once; the facts of them that
matter are in slack_facts.json and hold always.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jsonschema
import pytest
from respond.outside import CHANNEL, HOSTILE, page
from respond.test_slack_receiver import note
from sandbox import slack_types
from sandbox.clients import BEARER, SlackRunning

from streams.records import Done
from streams.respond.messages import NoteDoc, PageDoc, read
from streams.respond.receivers import slack_text

FACTS: dict[str, Any] = json.loads(slack_types.FACTS.read_text(encoding="utf-8"))
EVERYTHING = (
    "acknowledge", "assign", "silence", "fixed", "false_positive", "accepted_risk", "wont_fix", "external_cause",
    "duplicate", "cannot_reproduce", "reopen", "split",
)  # fmt: skip
Answers = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def schemas() -> dict[str, Any]:
    found = slack_types.cached()
    if found is None:
        pytest.skip("there are no schemas of Slack's types: python tests/sandbox/slack_types.py makes them")
    for schema in found.values():
        relax(schema)
    return found


def relax(schema: dict[str, Any]) -> None:
    """Few places where the types, which are made from samples, are narrower than Slack."""
    for name, definition in schema["definitions"].items():
        properties = definition.get("properties", {})
        if name.endswith("EventPayload"):  # whatever the app has put there
            definition["additionalProperties"] = True
        if name == "Metadata" or "event_payload" in properties:
            properties["event_payload"] = {"type": "object"}
        if "channel_actions_ts" in properties:  # null, where nobody did anything
            properties["channel_actions_ts"] = {}
        if "blocks" in properties:  # no sample had a header, or text in a context: KnownBlock knows better
            properties["blocks"] = {"type": "array"}
        if "ts" in properties and "text" in properties:  # some kinds of messages lack what others have
            properties |= {"client_msg_id": {}, "reply_count": {}, "parent_user_id": {}, "subtype": {}}


def blocks() -> dict[str, list[dict[str, Any]]]:
    ticket = {"i1:ticket:1": Done("OPS-7", "https://jira.example/browse/OPS-7")}
    plain, nasty = read(page().body), read(page(
        headline=HOSTILE * 20, lines=tuple((HOSTILE, "x" * 900) for _ in range(12)), evidence=("e" * 9000,) * 3,
        steps=("s" * 900,) * 3, todo=HOSTILE, actions=EVERYTHING, mention="S0ONCALL", level=2,
    ).body)  # fmt: skip
    news = read(note(lines=("a", "b"), actions=EVERYTHING).body)
    assert isinstance(plain, PageDoc) and isinstance(nasty, PageDoc) and isinstance(news, NoteDoc)
    return {
        "page": slack_text.blocks(plain, {}, buttons=True),
        "page with links": slack_text.blocks(plain, ticket),
        "page in full": slack_text.blocks(nasty, ticket, buttons=True),
        "note": slack_text.note(news, buttons=True),
    }


@pytest.fixture
async def answers(slack: SlackRunning) -> AsyncIterator[Answers]:
    """Every method that we use, in several states of its channel."""
    found: Answers = {}
    base = f"{slack[1]}/api/"
    person = next(one.id for one in slack[0].workspace.people.values() if not one.is_bot)
    metadata = {"event_type": "tocsin_incident", "event_payload": {"obligation": "o1"}}
    async with aiohttp.ClientSession(headers=BEARER) as http:

        async def call(method: str, **given: Any) -> dict[str, Any]:
            async with http.post(f"{base}{method}", json=given) as answer:
                body: dict[str, Any] = await answer.json()
            found.setdefault(method, []).append(body)
            return body

        root = await call(
            "chat.postMessage", channel=CHANNEL, text="x", blocks=blocks()["page in full"], metadata=metadata
        )
        thread = {"channel": CHANNEL, "thread_ts": root["ts"], "text": "news"}
        await call("chat.postMessage", **thread, metadata=metadata)
        await call("chat.postMessage", **thread, reply_broadcast=True)
        await call("reactions.add", channel=CHANNEL, timestamp=root["ts"], name="eyes")
        await call("chat.update", channel=CHANNEL, ts=root["ts"], text="y", blocks=blocks()["page"])
        await call("chat.postEphemeral", channel=CHANNEL, user=person, text="x")
        await call("conversations.history", channel=CHANNEL, include_all_metadata=True, limit=1)
        await call("conversations.history", channel=CHANNEL, include_all_metadata=True)
        await call("conversations.replies", channel=CHANNEL, ts=root["ts"], include_all_metadata=True)
        for method in ("auth.test", "conversations.list", "usergroups.list", "users.list", "apps.connections.open"):
            await call(method)
        await call("usergroups.list", include_users=True)
        await call("conversations.info", channel=CHANNEL)
        await call("users.lookupByEmail", email="ada@example.com")
        await call("users.lookupByEmail", email="nobody@example.com")
        await call("chat.postMessage", channel="C0NOWHERE", text="x")
        await call("chat.postMessage", channel=CHANNEL, text="x", blocks=[{"type": "section"}])
        slack[0].limits.scopes = ()
        await call("usergroups.list")
        del found["reactions.add"]
        yield found


def test_every_answer_is_of_slacks_shape(schemas: dict[str, Any], answers: Answers) -> None:
    assert set(answers) == set(slack_types.RESPONSES)
    for method, bodies in answers.items():
        check = jsonschema.Draft7Validator(schemas[slack_types.RESPONSES[method]])
        for body in bodies:
            assert not [f"{method}: {error.json_path}: {error.message}"[:300] for error in check.iter_errors(body)]
    block = jsonschema.Draft7Validator(schemas["KnownBlock"])
    for one in answers["conversations.history"][1]["messages"][-1]["blocks"]:
        block.validate(one)


@pytest.mark.parametrize("name", ["page", "page with links", "page in full", "note"])
def test_every_block_of_ours_is_one_that_slack_knows(schemas: dict[str, Any], name: str) -> None:
    check = jsonschema.Draft7Validator(schemas["KnownBlock"])
    for block in blocks()[name]:
        check.validate(block)


def test_the_schemas_would_notice(schemas: dict[str, Any], answers: Answers) -> None:
    """A check that takes everything is none."""
    block = jsonschema.Draft7Validator(schemas["KnownBlock"])
    for wrong in ({"type": "sectoin"}, {"type": "header"}, {"type": "actions", "elements": [{"type": "buton"}]}):
        assert not block.is_valid(wrong)
    posted = jsonschema.Draft7Validator(schemas["ChatPostMessageResponse"])
    body = answers["chat.postMessage"][0]
    assert not posted.is_valid({**body, "ts": 7}) and not posted.is_valid({**body, "startAt": 0})


def test_the_facts_are_those_of_the_schemas(schemas: dict[str, Any]) -> None:
    del schemas
    fresh = slack_types.cached()
    assert fresh is not None and slack_types.facts(fresh) == FACTS


def test_no_answer_has_what_slack_does_not_know(answers: Answers) -> None:
    for method, bodies in answers.items():
        known = FACTS["answers"][method]
        for body in bodies:
            assert set(known["required"]) <= set(body) <= set(known["properties"]), method
    messages = [
        one
        for method in ("conversations.history", "conversations.replies")
        for body in answers[method]
        for one in body["messages"]
    ]
    assert len(messages) > 3
    for message in messages:
        assert set(message) <= set(FACTS["message"]["properties"])


@pytest.mark.parametrize("name", ["page", "page with links", "page in full", "note"])
def test_no_block_has_what_slack_does_not_know(name: str) -> None:
    shaped = [node for node in nodes(blocks()[name]) if "type" in node]
    assert shaped
    for node in shaped:
        known = FACTS["blocks"][node["type"]]
        assert set(known["required"]) <= set(node) <= set(known["properties"]), node["type"]


def nodes(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, list):
        return [node for one in found for node in nodes(one)]
    if not isinstance(found, dict):
        return []
    return [found, *(node for one in found.values() for node in nodes(one))]
