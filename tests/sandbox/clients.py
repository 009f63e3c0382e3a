"""The unmodified clients, connected to a running sandbox receiver."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from jira import JIRA

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

JIRA_TOKEN = "tocsin@example.com:secret"
SLACK_TOKEN = "xoxb-sandbox"
BASIC = {"Authorization": aiohttp.encode_basic_auth(*JIRA_TOKEN.split(":"))}
BEARER = {"Authorization": f"Bearer {SLACK_TOKEN}"}

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]


def connect(url: str, version: str = "3") -> JIRA:
    email, _, token = JIRA_TOKEN.partition(":")
    return JIRA(
        server=url,
        basic_auth=(email, token),
        options={"rest_api_version": version},
        max_retries=0,
        timeout=(5, 5),
        get_server_info=True,
    )


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def paragraph(text: str) -> dict[str, Any]:
    return {
        "version": 1,
        "type": "doc",
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def fields(**more: object) -> dict[str, Any]:
    return {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Tool fails", **more}


def created(client: JIRA, **more: object) -> str:
    return client.create_issue(fields=fields(**more), prefetch=False).key


async def in_thread(url: str, work: Callable[[JIRA], Any], version: str = "3") -> Any:
    """The client blocks; the server runs in this loop."""

    def run() -> Any:
        client = connect(url, version)
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(run)
