"""What Slack refuses, the sandbox refuses by the same word, and nothing was posted."""

from typing import Any

import aiohttp
import pytest
from sandbox.clients import BEARER, SlackRunning

from streams.sandbox.slack import blocks as kit


def section(text: Any = "x", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Ack"}, "action_id": "ack", **more}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


FIELD = {"type": "mrkdwn", "text": "f"}


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
        (
            [{"type": "section", "fields": [FIELD] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        ([{"type": "header", "text": plain("x" * 151)}], "must be less than 151 characters"),
        ([{"type": "header", "text": FIELD}], "must be a text object of type plain_text"),
        ([{"type": "context", "elements": [FIELD] * 11}], "no more than 10 items allowed"),
        ([{"type": "context", "elements": []}], "must have at least 1 item"),
        ([actions(*[button()] * 26)], "no more than 25 items allowed"),
        ([actions(button(text=plain("x" * 76)))], "must be less than 76 characters"),
        ([actions(button(value="x" * 2001))], "must be less than 2001 characters"),
        ([actions(button(style="shiny"))], "primary or danger"),
        ([{"type": "image", "image_url": "https://example.com/a.png"}], "missing required field: alt_text"),
        ([{"type": "carousel"}], "unsupported type: carousel"),
        ([section(colour="red")], "additional property colour is not allowed"),
        ([section(block_id="same"), section(block_id="same")], "`block_id` already exists"),
        ("text", "must be an array"),
        (["text"], "must be an object"),
    ],
)
def test_blocks_that_slack_refuses(blocks: Any, complaint: str) -> None:
    assert any(complaint in found for found in kit.wrong(blocks)), kit.wrong(blocks)


def test_blocks_at_the_edge_are_fine() -> None:
    blocks = [
        {"type": "header", "text": plain("x" * 150)},
        section("x" * 3000, fields=[{"type": "plain_text", "text": "x" * 2000}] * 3, accessory=button()),
        {"type": "context", "elements": [FIELD] * 10},
        actions(*[button(action_id=f"a{number}", url="https://example.com", value="v") for number in range(25)]),
        {"type": "divider"},
        {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    ]
    assert kit.wrong(blocks) == []


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"channel": "nowhere"}, "channel_not_found"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": "["}, "invalid_blocks_format"),
        ({"blocks": [section("x" * 2900) for _ in range(5)]}, "msg_blocks_too_long"),
        ({"thread_ts": "1700000000.000100"}, "thread_not_found"),
        ({"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"metadata": {"event_type": "x", "event_payload": {"a": "x" * 20_000}}}, "metadata_too_large"),
    ],
)
async def test_a_message_that_slack_refuses_is_not_posted(
    slack: SlackRunning, http: aiohttp.ClientSession, message: dict[str, Any], error: str
) -> None:
    body = {"channel": "incidents", "text": "x", **message}
    async with http.post(f"{slack[1]}/api/chat.postMessage", json=body, headers=BEARER) as answer:
        found = await answer.json()
    assert (answer.status, found["ok"], found["error"]) == (200, False, error)
    assert list(slack[0].workspace.channel("incidents").newest(0, 10**18)) == []


async def test_invalid_blocks_say_where(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    body = {"channel": "incidents", "text": "x", "blocks": [section("x" * 3001)]}
    async with http.post(f"{slack[1]}/api/chat.postMessage", json=body, headers=BEARER) as answer:
        found = await answer.json()
    where = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert found["response_metadata"]["messages"] == [f"[ERROR] {where}"]


async def test_one_does_not_reply_to_a_reply_nor_edit_what_is_not_there(
    slack: SlackRunning, http: aiohttp.ClientSession
) -> None:
    async def call(method: str, **body: Any) -> dict[str, Any]:
        async with http.post(f"{slack[1]}/api/{method}", json=body, headers=BEARER) as answer:
            return await answer.json()

    root = await call("chat.postMessage", channel="incidents", text="root")
    reply = await call("chat.postMessage", channel="incidents", text="reply", thread_ts=root["ts"])
    nested = await call("chat.postMessage", channel="incidents", text="x", thread_ts=reply["ts"])
    assert nested["error"] == "cannot_reply_to_message"
    missing = await call("chat.update", channel="incidents", ts="1700000000.000100", text="x")
    assert missing["error"] == "message_not_found"
    assert (await call("chat.explode"))["error"] == "unknown_method"
    assert (await call("conversations.history", channel="incidents", oldest="soon"))["error"] == "invalid_ts_oldest"
