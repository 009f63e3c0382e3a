"""A sandbox receiver that is killed and started again still has what it answered for."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from sandbox.clients import BASIC, JIRA_TOKEN, created, fields, in_thread

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack


async def test_tickets_outlive_their_server(tmp_path: Path) -> None:
    path = tmp_path / "state" / "jira.ndjson"
    first = SandboxJira(token=JIRA_TOKEN, path=path)
    url = await first.start()

    def work(client: Any) -> str:
        key = created(client, labels=["tocsin-a"])
        client.add_issue_property(key, "tocsin.incident", {"incident": "i"})
        client.transition_issue(key, "Start progress")
        client.issue(created(client)).delete()
        return key

    key = await in_thread(url, work)
    first.book.attach(first.book.find(key), "a", "a.bin", "text/plain", b"\x00\xff")
    first.book.version("OPS", "v1")
    await first.stop()
    with path.open("ab") as file:
        file.write(b'{"sequence":99999,"ticket":{"torn')

    second = SandboxJira(token=JIRA_TOKEN, path=path)
    url = await second.start()
    try:
        found = await in_thread(url, lambda client: client.search_issues('labels = "tocsin-a"')[0])
        assert (found.key, found.fields.status.name) == (key, "In Progress")
        assert second.book.find(key).properties == {"tocsin.incident": {"incident": "i"}}
        assert second.book.file(second.book.find(key).files[0].id)[1] == b"\x00\xff"
        assert list(second.book.versions["OPS"].values()) == ["v1"]
        assert await in_thread(url, created) == "OPS-3", "the key of a deleted ticket is not given again"
    finally:
        await second.stop()
    third = SandboxJira(path=path)
    assert {ticket.key for ticket in third.book.tickets()} == {"OPS-1", "OPS-3"}, "the torn line did no harm"


async def test_messages_outlive_their_server(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "slack.ndjson"

    async def call(url: str, method: str, **body: Any) -> dict[str, Any]:
        async with http.post(f"{url}/api/{method}", json=body) as answer:
            return await answer.json()

    first = SandboxSlack(path=path)
    url = await first.start()
    metadata = {"event_type": "t", "event_payload": {"n": 1}}
    root = await call(url, "chat.postMessage", channel="incidents", text="root", metadata=metadata)
    await call(url, "chat.postMessage", channel="incidents", text="reply", thread_ts=root["ts"])
    gone = await call(url, "chat.postMessage", channel="incidents", text="gone")
    await call(url, "chat.update", channel="incidents", ts=root["ts"], text="root, edited")
    await call(url, "chat.delete", channel="incidents", ts=gone["ts"])
    await call(url, "conversations.create", name="made-later")
    await first.stop()

    second = SandboxSlack(path=path)
    url = await second.start()
    history = await call(url, "conversations.history", channel="incidents", include_all_metadata=True)
    thread = await call(url, "conversations.replies", channel="incidents", ts=root["ts"])
    assert [(one["text"], one["metadata"]) for one in history["messages"]] == [("root, edited", metadata)]
    assert [one["text"] for one in thread["messages"]] == ["root, edited", "reply"]
    assert (await call(url, "conversations.info", channel="made-later"))["ok"]
    await second.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def reached(http: aiohttp.ClientSession, url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            async with http.get(url) as answer:
                assert answer.status == 200
                return
        except aiohttp.ClientConnectionError:
            assert time.monotonic() < deadline, "the process did not start in time"
            await asyncio.sleep(0.05)


async def test_a_process_that_is_killed_keeps_its_tickets(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    port = free_port()
    options = ["--port", str(port), "--state", str(tmp_path / "jira"), "--token", JIRA_TOKEN]
    command = [sys.executable, "-m", "streams.sandbox.jira", *options]
    url = f"http://127.0.0.1:{port}"
    for number in (1, 2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            await reached(http, url)
            async with http.post(f"{url}/rest/api/3/issue", json={"fields": fields()}, headers=BASIC) as answer:
                assert (await answer.json())["key"] == f"OPS-{number}"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


async def test_the_slack_process_starts_and_ends_when_asked(http: aiohttp.ClientSession) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.sandbox.slack", "--port", str(port), "--channel", "only"],
        stdout=subprocess.DEVNULL,
    )
    try:
        await reached(http, f"http://127.0.0.1:{port}")
        async with http.get(f"http://127.0.0.1:{port}/api/conversations.list") as answer:
            assert [one["name"] for one in (await answer.json())["channels"]] == ["only"]
    finally:
        process.terminate()
    assert await asyncio.to_thread(process.wait, 10) == 0
