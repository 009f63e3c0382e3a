"""The sandbox Slack's pages show messages as people would see them, and untrusted text as text."""

from typing import Any

import aiohttp
import pytest
from markupsafe import escape
from sandbox.clients import BEARER, SlackRunning
from sandbox.test_jira_pages import page

from streams.sandbox.slack import mrkdwn
from streams.sandbox.slack.state import Workspace


async def call(http: aiohttp.ClientSession, url: str, method: str, **body: Any) -> dict[str, Any]:
    async with http.post(f"{url}/api/{method}", json=body, headers=BEARER) as answer:
        found = await answer.json()
    assert found["ok"], found
    return found


async def test_a_message_is_shown_block_by_block(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    server, url = slack
    group = next(group for group in server.workspace.groups.values() if group.handle == "oncall")
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": ":rotating_light: Tool fails"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*Refund* failed, see <{url}/x|the ticket>"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Owner*\npayments"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": f"paging <!subteam^{group.id}>"}]},
        {"type": "divider"},
        {
            "type": "actions",
            "elements": [
                {"type": "button", "action_id": "ack", "text": {"type": "plain_text", "text": "Acknowledge"}},
                {"type": "button", "url": f"{url}/i/1", "text": {"type": "plain_text", "text": "Open"}},
            ],
        },
    ]
    metadata = {"event_type": "tocsin_incident", "event_payload": {"incident": "inc-77"}}
    root = await call(
        http, url, "chat.postMessage", channel="incidents", text="Tool fails", blocks=blocks, metadata=metadata
    )
    channel, ts = root["channel"], root["ts"]
    await call(http, url, "chat.postMessage", channel=channel, text="it happened again", thread_ts=ts)
    await call(http, url, "chat.update", channel=channel, ts=ts, text="Tool fails, OPS-1")
    shown = await page(http, f"{url}/archives/{channel}")
    for words in ("🚨 Tool fails", "the ticket", "@oncall", "Acknowledge", "1 reply", "it happened again", "(edited)"):
        assert words in shown.text, words
    assert "inc-77" in shown.text
    (button,) = shown.all("button")
    assert button["name"] == "press" and button["value"] == "ack"
    assert {f"{url}/x", f"{url}/i/1"} <= {a["href"] for a in shown.all("a")}


async def test_a_permalink_leads_to_the_message(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    root = await call(http, slack[1], "chat.postMessage", channel="incidents", text="root")
    link = await call(http, slack[1], "chat.getPermalink", channel=root["channel"], message_ts=root["ts"])
    async with http.get(link["permalink"], allow_redirects=False) as answer:
        where, _, anchor = answer.headers["Location"].partition("#")
    shown = await page(http, slack[1] + where)
    assert anchor in {article["id"] for article in shown.all("article")}
    await page(http, f"{slack[1]}/archives/{root['channel']}/p1700000000000100", status=404)
    await page(http, f"{slack[1]}/archives/C0NOWHERE", status=404)


async def test_the_channels_are_listed_with_their_last_message(
    slack: SlackRunning, http: aiohttp.ClientSession
) -> None:
    await call(http, slack[1], "chat.postMessage", channel="agents", text="the newest words")
    shown = await page(http, slack[1])
    assert all(f"# {name}" in shown.text for name in ("general", "incidents", "agents", "platform"))
    assert "the newest words" in shown.text


async def test_older_messages_are_a_page_away(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    server, url = slack
    channel = server.workspace.channel("incidents")
    for number in range(150):
        await call(http, url, "chat.postMessage", channel=channel.id, text=f"message-{number}.")
    newest = await page(http, f"{url}/archives/{channel.id}")
    assert "message-149." in newest.text
    assert "message-49." not in newest.text
    (older,) = [str(a["href"]) for a in newest.all("a") if "before=" in str(a["href"])]
    shown = await page(http, url + older)
    assert "message-49." in shown.text
    assert "message-0." in shown.text
    first = list(channel.newest(0, 10**18))[-1].ts.replace(".", "")
    async with http.get(f"{url}/archives/{channel.id}/p{first}") as answer:
        assert "message-0." in await answer.text(), "a permalink opens the page that has the message"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "&lt;!channel&gt; &lt;script&gt;",
        "<javascript:alert(1)|click>",
        "<img src=x onerror=alert(1)>",
        "```<script>alert(1)</script>```",
        "`<b>` *<i>*",
        "{noformat} [~admin]",
    ],
)
async def test_hostile_text_stays_text(slack: SlackRunning, http: aiohttp.ClientSession, text: str) -> None:
    server, url = slack
    name = {"type": "plain_text", "text": text[:70]}
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text}},
        {"type": "header", "text": name},
        {"type": "actions", "elements": [{"type": "button", "text": name, "url": "javascript:alert(1)"}]},
    ]
    body = {"channel": "incidents", "text": text, "blocks": blocks}
    await call(http, url, "chat.postMessage", **body, metadata={"event_type": text, "event_payload": {"x": text}})
    shown = await page(http, f"{url}/archives/{server.workspace.channel('incidents').id}")
    assert not {"script", "img", "i"} & {tag for tag, _ in shown.tags}
    assert not any(str(a["href"]).startswith("javascript:") for a in shown.all("a"))
    assert not any("mention" in (span.get("class") or "") for span in shown.all("span"))


def test_mrkdwn_is_shown_as_slack_would() -> None:
    workspace = Workspace(("incidents",), None)
    ada = next(person for person in workspace.people.values() if person.name == "ada")

    def shown(text: str) -> str:
        html = str(mrkdwn.html(text, workspace))
        return html.removeprefix('<div class="text">').removesuffix("</div>")

    assert shown("*bold* _it_ ~no~ `code`") == "<strong>bold</strong> <em>it</em> <s>no</s> <code>code</code>"
    assert shown("2*3*4 snake_case_name") == "2*3*4 snake_case_name"
    assert shown("a &lt;b&gt; &amp;amp;") == "a &lt;b&gt; &amp;amp;"
    assert shown(f"<@{ada.id}>") == '<span class="mention">@Ada Lindqvist</span>'
    assert shown("<!channel>") == '<span class="mention">@channel</span>'
    assert shown("<@S012345>") == str(escape("<@S012345>")), "a group that is mentioned like a person is nobody"
    assert shown("*<https://example.com/a_b_c|t_x>*").startswith('<strong><a href="https://example.com/a_b_c"')
    assert shown("&gt; quoted\nnot") == "<blockquote>quoted</blockquote>not"
    assert shown("```a *b*```") == '<pre tabindex="0"><code>a *b*</code></pre>'
    assert shown(":fire: :unknown:") == "🔥 :unknown:"
