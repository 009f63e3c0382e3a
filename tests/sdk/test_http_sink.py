"""Agents that cannot reach Kafka send over HTTP, and hear of every event what became of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from real.test_emitter import read as read_topic
from sdk.away import until as soon
from sdk.site import TOKEN, web

from streams import topics
from streams.sdk import Emitter, HttpSink
from streams.sdk.sinks import Away, Post
from streams.web.answers import Refused
from streams.web.taking import EVENTS_MAX, read


def line(**given) -> bytes:
    ctx = {"session_id": "s1", "run_id": "r1", "agent": {"id": "bot"}, "root_session_id": "root"}
    event = {
        "specversion": "1.0", "id": "e1", "source": "/bot", "type": "agent.session.ended.v1",
        "time": "2026-09-14T10:00:00Z", "data": {"ctx": ctx, "status": "succeeded"},
    }  # fmt: skip
    return json.dumps({**event, **given}).encode()


def test_each_line_is_taken_or_refused_with_its_number_and_why():
    events, refused = read(
        b"\n".join([line(), b"", b"nonsense", line(type="release.deployed.v1"), line(subject="x" * 200_000), line()])
    )
    assert [one.key for one in events] == [b"root", b"root"]
    assert [one.line for one in refused] == [3, 4, 5]
    assert "128" in refused[2].why or "131072" in refused[2].why


def test_too_many_at_once_are_refused_as_a_whole():
    with pytest.raises(Refused):
        read(b"\n".join([b"{}"] * (EVENTS_MAX + 1)))


async def test_events_over_http_reach_kafka_in_their_order(book, kafka, tmp_path: Path):
    await topics.ensure(kafka, 1)
    async with web(book, kafka=kafka) as pages:
        emitter = Emitter("http-bot", "1", HttpSink(pages, TOKEN), spool=tmp_path, heartbeat_s=0.0)
        with emitter.session() as work:
            for number in range(1500):
                work.tool_called(f"tool{number}")
        assert await asyncio.to_thread(emitter.close, 60)
    assert emitter.numbers()[:4] == (1502, 1502, 0, 0)
    found = [
        event for event in await read_topic(kafka, topics.EVENTS.name) if event["data"]["ctx"]["session_id"] == work.id
    ]
    assert [event["sequence"] for event in found] == [f"{n:012d}" for n in range(1, 1503)]


async def test_while_the_web_role_is_away_events_wait_and_then_arrive(book, kafka, tmp_path: Path, unused_tcp_port):
    sink = HttpSink(f"http://127.0.0.1:{unused_tcp_port}", TOKEN, timeout_s=1.0)
    emitter = Emitter("http-bot", "1", sink, spool=tmp_path, heartbeat_s=0.0)
    with emitter.session():
        pass
    assert not await asyncio.to_thread(emitter.flush, 0.2)
    await topics.ensure(kafka, 1)
    async with web(book, kafka=kafka) as pages:
        sink._post._url = pages  # it is back, elsewhere
        assert await asyncio.to_thread(emitter.close, 30)
    assert emitter.numbers().sent == 2


async def test_a_wrong_token_keeps_events_in_the_spool_and_is_not_said(book, tmp_path: Path, caplog):
    async with web(book) as pages:
        emitter = Emitter("http-bot", "1", HttpSink(pages, "a-wrong-token"), spool=tmp_path, heartbeat_s=0.0)
        with emitter.session():
            pass
        await asyncio.to_thread(soon, lambda: "HTTP 401" in caplog.text)
        assert not await asyncio.to_thread(emitter.close, 0.1)
    assert "a-wrong-token" not in caplog.text
    assert any(tmp_path.rglob("*.log"))


def test_an_address_that_is_none_is_refused_at_once_and_a_redirect_is_not_followed():
    with pytest.raises(ValueError, match="begins with"):
        HttpSink("ftp://x", "t")
    with pytest.raises(Away):
        Post("http://127.0.0.1:9", "t", 0.5)("GET", "/")
