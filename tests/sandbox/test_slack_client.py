"""The unmodified Slack SDK, async and sync, posts, finds and edits."""

import asyncio
from typing import Any

import pytest
from sandbox.clients import SLACK_TOKEN, SlackRunning
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from streams.sandbox.slack import SandboxSlack

METADATA = {"event_type": "tocsin_incident", "event_payload": {"incident": "inc-1", "kind": "root", "n": 1}}


class Either:
    """Both clients with one face: the sync one works in a thread."""

    def __init__(self, kind: str, url: str) -> None:
        self._async = AsyncWebClient(SLACK_TOKEN, base_url=f"{url}/api/", retry_handlers=[])
        self._sync = WebClient(SLACK_TOKEN, base_url=f"{url}/api/", retry_handlers=[])
        self._kind = kind

    async def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        if self._kind == "async":
            return (await getattr(self._async, method)(**arguments)).data
        return (await asyncio.to_thread(getattr(self._sync, method), **arguments)).data


@pytest.fixture(params=["async", "sync"])
def client(request: pytest.FixtureRequest, slack: SlackRunning) -> Either:
    return Either(request.param, slack[1])


async def test_a_message_is_found_again_by_its_metadata(client: Either) -> None:
    before = await client("chat_postMessage", channel="incidents", text="older")
    posted = await client("chat_postMessage", channel="#incidents", text="root", metadata=METADATA)
    assert posted["channel"].startswith("C")
    channel, since = posted["channel"], before["ts"]
    found = await client("conversations_history", channel=channel, oldest=since, include_all_metadata=True, limit=200)
    assert [(one["text"], one["metadata"]) for one in found["messages"]] == [("root", METADATA)]
    without = await client("conversations_history", channel=channel, oldest=since, inclusive=True)
    assert [(one["text"], "metadata" in one) for one in without["messages"]] == [("root", False), ("older", False)]


async def test_replies_stay_in_their_thread(client: Either) -> None:
    root = await client("chat_postMessage", channel="incidents", text="root", metadata=METADATA)
    channel, ts = root["channel"], root["ts"]
    await client("chat_postMessage", channel=channel, text="ping 1", thread_ts=ts, metadata=METADATA)
    await client("chat_postMessage", channel=channel, text="ping 2", thread_ts=ts, reply_broadcast=True)
    thread = await client("conversations_replies", channel=channel, ts=ts, include_all_metadata=True)
    assert [one["text"] for one in thread["messages"]] == ["root", "ping 1", "ping 2"]
    assert thread["messages"][1]["metadata"] == METADATA
    history = (await client("conversations_history", channel=channel))["messages"]
    assert [one["text"] for one in history] == ["ping 2", "root"], "only a broadcast reply is in the channel as well"
    assert (history[1]["reply_count"], history[1]["latest_reply"]) == (2, thread["messages"][2]["ts"])


async def test_an_edit_keeps_what_it_does_not_name(client: Either) -> None:
    blocks = [{"type": "divider"}]
    sent = {"channel": "incidents", "text": "ticket pending", "blocks": blocks, "metadata": METADATA}
    posted = await client("chat_postMessage", **sent)
    channel, ts = posted["channel"], posted["ts"]
    edited = await client("chat_update", channel=channel, ts=ts, text="OPS-1", metadata=METADATA)
    assert (edited["ts"], edited["text"]) == (ts, "OPS-1")
    found = (await client("conversations_history", channel=channel, include_all_metadata=True))["messages"][0]
    assert (found["text"], found["metadata"], found["blocks"][0]["type"]) == ("OPS-1", METADATA, "divider")
    assert found["edited"]["user"] == found["user"]
    await client("chat_update", channel=channel, ts=ts, text="OPS-1", blocks=[])
    assert "blocks" not in (await client("conversations_history", channel=channel))["messages"][0]


async def test_a_deleted_message_is_gone_but_its_thread_goes_on(client: Either) -> None:
    root = await client("chat_postMessage", channel="incidents", text="root")
    channel, ts = root["channel"], root["ts"]
    reply = await client("chat_postMessage", channel=channel, text="reply", thread_ts=ts)
    await client("chat_delete", channel=channel, ts=ts)
    history = (await client("conversations_history", channel=channel))["messages"]
    assert [one["subtype"] for one in history] == ["tombstone"]
    await client("chat_delete", channel=channel, ts=reply["ts"])
    assert (await client("conversations_replies", channel=channel, ts=ts))["messages"][0]["subtype"] == "tombstone"


async def test_history_pages_with_a_cursor(client: Either) -> None:
    for number in range(5):
        await client("chat_postMessage", channel="incidents", text=str(number))
    channel = (await client("conversations_list"))["channels"][1]["id"]
    seen: list[str] = []
    cursor = ""
    for page in range(3):
        found = await client("conversations_history", channel=channel, limit=2, cursor=cursor)
        seen += [one["text"] for one in found["messages"]]
        cursor = found["response_metadata"]["next_cursor"]
        assert found["has_more"] is bool(cursor) is (page < 2)
    assert seen == ["4", "3", "2", "1", "0"]


async def test_people_and_groups_are_looked_up(client: Either) -> None:
    ada = (await client("users_lookupByEmail", email="ada@example.com"))["user"]
    assert (await client("users_info", user=ada["id"]))["user"]["real_name"] == "Ada Lindqvist"
    assert ada["id"] in {one["id"] for one in (await client("users_list"))["members"]}
    groups = {one["handle"]: one for one in (await client("usergroups_list", include_users=True))["usergroups"]}
    assert groups["oncall"]["id"].startswith("S")
    assert ada["id"] in groups["oncall"]["users"]
    with pytest.raises(SlackApiError, match="users_not_found"):
        await client("users_lookupByEmail", email="nobody@example.com")


async def test_channels_are_listed_and_described(client: Either) -> None:
    channels = {one["name"]: one for one in (await client("conversations_list", exclude_archived=True))["channels"]}
    assert set(channels) == {"general", "incidents", "agents", "platform"}
    one = (await client("conversations_info", channel=channels["agents"]["id"]))["channel"]
    assert (one["name"], one["is_member"], one["is_archived"]) == ("agents", True, False)
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await client("conversations_info", channel="C0NOWHERE")


async def test_a_permalink_opens_the_message(client: Either, slack: SlackRunning) -> None:
    posted = await client("chat_postMessage", channel="incidents", text="root")
    channel, ts = posted["channel"], posted["ts"]
    link = (await client("chat_getPermalink", channel=channel, message_ts=ts))["permalink"]
    assert link == f"{slack[1]}/archives/{channel}/p{ts.replace('.', '')}"


async def test_a_reaction_is_given_once(client: Either) -> None:
    posted = await client("chat_postMessage", channel="incidents", text="root")
    channel, ts = posted["channel"], posted["ts"]
    await client("reactions_add", channel=channel, timestamp=ts, name="eyes")
    with pytest.raises(SlackApiError, match="already_reacted"):
        await client("reactions_add", channel=channel, timestamp=ts, name="eyes")


async def test_the_token_is_checked(slack: SlackRunning) -> None:
    assert (await Either("async", slack[1])("auth_test"))["team"] == "Sandbox"
    for token, error in (("xoxb-other", "invalid_auth"), (None, "not_authed")):
        with pytest.raises(SlackApiError, match=error):
            await AsyncWebClient(token, base_url=f"{slack[1]}/api/").auth_test()


async def test_a_channel_takes_one_message_a_second_when_told_so(slack: SlackRunning) -> None:
    slack[0].rate_limit = 1.0
    client = Either("async", slack[1])
    await client("chat_postMessage", channel="incidents", text="first")
    with pytest.raises(SlackApiError) as refused:
        await client("chat_postMessage", channel="incidents", text="second")
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "1"
    await client("chat_postMessage", channel="agents", text="another channel")
    slack[0].rate_limit = None
    await client("chat_postMessage", channel="incidents", text="third")


def test_times_only_grow_however_fast_one_posts() -> None:
    channel = SandboxSlack(channels=("fast",)).workspace.channel("fast")
    times = [channel.next_ts() for _ in range(2000)]
    assert times == sorted(set(times))
