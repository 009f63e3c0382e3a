"""Whatever a client sends, it is answered in words, and the pages can still be shown."""

import copy
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from sandbox.clients import BASIC, BEARER, JiraRunning, SlackRunning, fields, paragraph

NONSENSE = [None, 0, -1, True, "", "x", "\x00", [], {}, [None], [[[]]], {"type": {}}, {"id": {}}, [{"type": []}]]
TEXT = {"type": "text", "text": "x", "marks": [{"type": "link", "attrs": {"href": "https://example.com"}}]}
DOCUMENT = {
    "version": 1,
    "type": "doc",
    "content": [
        {"type": "heading", "attrs": {"level": 2}, "content": [TEXT]},
        {"type": "expand", "attrs": {"title": "t"}, "content": [{"type": "paragraph", "content": [TEXT]}]},
    ],
}
JIRA = [
    ("POST", "issue", {"fields": fields(description=DOCUMENT, labels=["a"]), "properties": [{"key": "k", "value": 1}]}),
    ("PUT", "issue/OPS-1", {"fields": {"priority": {"name": "High"}}, "update": {"labels": [{"add": "b"}]}}),
    ("PUT", "issue/OPS-1", {"update": {"comment": [{"add": {"body": DOCUMENT}}]}}),
    ("POST", "issue/OPS-1/comment", {"body": DOCUMENT, "properties": [{"key": "k", "value": 1}]}),
    ("POST", "issue/OPS-1/remotelink", {"globalId": "g", "object": {"url": "http://x", "title": "t"}}),
    ("POST", "issue/OPS-1/transitions", {"transition": {"id": "21"}, "fields": {}, "update": {}}),
    (
        "POST",
        "issueLink",
        {"type": {"name": "Duplicate"}, "inwardIssue": {"key": "OPS-1"}, "outwardIssue": {"id": "1"}},
    ),
    ("POST", "search/jql", {"jql": "project = OPS", "fields": ["id"], "maxResults": 5, "nextPageToken": ""}),
    ("POST", "issue/bulkfetch", {"issueIdsOrKeys": ["OPS-1"], "fields": ["labels"], "properties": ["k"]}),
    ("POST", "version", {"name": "v", "project": "OPS"}),
]
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "x"}, "url": "https://x", "style": "primary"}
BLOCKS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "fields": [{"type": "mrkdwn", "text": "x"}]},
    {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "accessory": BUTTON},
    {"type": "context", "elements": [{"type": "image", "image_url": "https://x", "alt_text": "x"}]},
    {"type": "actions", "elements": [BUTTON]},
    {"type": "header", "text": {"type": "plain_text", "text": "x"}},
]
METADATA = {"event_type": "t", "event_payload": {}}
SLACK = [
    (
        "chat.postMessage",
        {"channel": "incidents", "text": "x", "blocks": BLOCKS, "metadata": METADATA, "thread_ts": ""},
    ),
    ("conversations.history", {"channel": "incidents", "oldest": "1", "latest": "2", "limit": 1, "cursor": ""}),
    ("conversations.replies", {"channel": "incidents", "ts": "1", "cursor": ""}),
    ("conversations.create", {"name": "x"}),
    ("users.lookupByEmail", {"email": "x"}),
    ("reactions.add", {"channel": "incidents", "timestamp": "1", "name": "x"}),
]


def spoiled(body: Any) -> Iterator[Any]:
    """The body with every one of its parts replaced by every nonsense, once each."""
    parts = list(body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ())
    for place, part in parts:
        for other in [*NONSENSE, *spoiled(part)]:
            changed = copy.copy(body)
            changed[place] = other
            yield changed


@pytest.mark.parametrize(("method", "path", "body"), JIRA, ids=[f"{one[0]} {one[1]}" for one in JIRA])
async def test_jira_answers_nonsense_in_words(
    jira: JiraRunning, http: aiohttp.ClientSession, method: str, path: str, body: Any
) -> None:
    api = f"{jira[1]}/rest/api/3/"
    first = {"fields": fields(description=paragraph("x"))}
    async with http.post(f"{api}issue", json=first, headers=BASIC) as answer:
        assert answer.status == 201
    for one in spoiled(body):
        async with http.request(method, api + path, json=one, headers=BASIC) as answer:
            assert answer.status < 500, (one, await answer.text())
    for ticket in jira[0].book.tickets():
        async with http.get(f"{jira[1]}/browse/{ticket.key}") as answer:
            assert answer.status == 200, ticket
        async with http.get(f"{jira[1]}/rest/api/2/issue/{ticket.key}", headers=BASIC) as answer:
            assert answer.status == 200, ticket


@pytest.mark.parametrize(("method", "body"), SLACK, ids=[one[0] for one in SLACK])
async def test_slack_answers_nonsense_in_words(
    slack: SlackRunning, http: aiohttp.ClientSession, method: str, body: Any
) -> None:
    for one in spoiled(body):
        async with http.post(f"{slack[1]}/api/{method}", json=one, headers=BEARER) as answer:
            assert answer.status == 200, (one, await answer.text())
    before: str | None = ""
    channel = slack[0].workspace.channel("incidents")
    while before is not None:
        async with http.get(f"{slack[1]}/archives/{channel.id}{before}") as answer:
            text = await answer.text()
            assert answer.status == 200
        before = "?before=" + text.split("?before=")[1].split('"')[0] if "Older messages" in text else None
