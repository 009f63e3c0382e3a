"""Agents without Kafka, and the command: over HTTP, against the web role itself."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from web.test_commands import TOKEN, role, tocsin
from web.test_controls import Learn

from streams.database import connect, migrate
from streams.sdk.breaker import AgentHalted, Breaker
from streams.sdk.feeds import HttpFeed, Pausing

WITHIN_S = 20.0


def halted(breaker, session="s-1", agent="bot", **given):
    try:
        breaker.check(session, agent, "7", **given)
    except AgentHalted as halt:
        return halt
    return None


async def until(true):
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture
async def learning(database):
    """Learn's loop for controls, turning all the time."""
    migrate(database)
    async with await connect(database) as conn:
        learn, ended = Learn(conn), asyncio.Event()

        async def turn():
            await learn.beat()
            while not ended.is_set():
                await learn.turn()
                await asyncio.sleep(0.02)

        task = asyncio.create_task(turn())
        yield learn
        ended.set()
        await task


@asynccontextmanager
async def agent(url, **given):
    breaker = Breaker(HttpFeed(url, pausing=Pausing(0.05, 0.2), wait_s=2, **given)).start()
    try:
        yield breaker
    finally:
        await asyncio.to_thread(breaker.stop)


async def test_a_person_stops_an_agent_that_has_no_kafka(database, learning):
    async with role(database) as url, agent(url) as breaker:
        assert await breaker.ready_soon(WITHIN_S)
        assert halted(breaker) is None
        asked = await tocsin(url, "control", "pause", "--agent", "bot", "--reason", "deletes mail", "--actor", "ada")
        assert (asked.returncode, asked.stderr) == (0, "")
        assert (
            asked.stdout
            == "agent:bot: pause asked; it concerns an unknown share of the agent's sessions of the last hour\n"
        )
        await until(lambda: halted(breaker))
        assert halted(breaker).reason == "deletes mail"
        assert not breaker.stale
        listed = await tocsin(url, "control", "list")
        assert listed.stdout == "agent bot  open  all  until released  ada  deletes mail\n"
        lifted = await tocsin(url, "control", "release", "--agent", "bot", "--actor", "ada")
        assert lifted.returncode == 0
        await until(lambda: halted(breaker) is None)
        assert (await tocsin(url, "control", "list")).stdout == "Nothing is held back.\n"


async def test_each_of_the_commands_does_what_it_says(database, learning):
    async with role(database) as url, agent(url) as breaker:
        assert await breaker.ready_soon(WITHIN_S)
        because = ("--reason", "x", "--actor", "ada", "--json")
        for command in (
            ("throttle", "--agent", "a", "--share", "30"),
            ("deny-tool", "refund", "--agent", "bot"),
            ("deny-tool", "wire", "mail", "--all"),
            ("force-open", "--tenant", "acme"),
        ):
            answer = await tocsin(url, "control", *command, *because)
            assert answer.returncode == 0, answer.stderr
            assert json.loads(answer.stdout)["accepted"] is True
        await until(lambda: halted(breaker, tenant="acme"))
        assert halted(breaker, tool="refund").scope == "agent_tool:bot/refund"
        assert halted(breaker, agent="other", tool="wire").scope == "global"
        assert halted(breaker) is None
        share = [one for one in range(500) if halted(breaker, f"s-{one}", "a")]
        assert 100 < len(share) < 200


@pytest.mark.parametrize(
    "wrong",
    [
        ("pause",),
        ("pause", "--reason", "x"),
        ("pause", "--reason", "x", "--release", "7"),
        ("pause", "--reason", "x", "--agent", "a", "--all"),
        ("throttle", "--reason", "x", "--agent", "a", "--share", "200"),
        ("deny-tool", "--reason", "x", "--agent", "a"),
    ],
    ids=" ".join,
)
async def test_wrong_usage_is_answered_in_words_before_anybody_is_asked(wrong):
    answer = await tocsin("http://127.0.0.1:9", "control", *wrong)
    assert answer.returncode == 2
    assert answer.stderr


async def test_without_the_token_or_with_a_wrong_end_nobody_is_stopped(database, learning):
    async with role(database) as url:
        answer = await tocsin(url, "control", "pause", "--agent", "a", "--reason", "x", "--until", "soon")
        assert answer.returncode == 2
        answer = await tocsin(url, "control", "pause", "--agent", "a", "--reason", "x", token="wrong" + TOKEN)
        assert answer.returncode == 3


async def test_while_the_pages_are_away_an_agent_keeps_what_it_knows(database, learning):
    async with role(database) as url:
        async with agent(url) as breaker:
            assert await breaker.ready_soon(WITHIN_S)
            await tocsin(url, "control", "pause", "--agent", "bot", "--reason", "x")
            await until(lambda: halted(breaker))
        kept = breaker
    assert halted(kept)


async def test_what_answers_instead_of_tocsin_changes_nothing(database):
    async def stranger(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = b"<html>Please sign in</html>"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, agent(f"http://127.0.0.1:{port}") as breaker:
        assert not await breaker.ready_soon(0.5)
        assert not breaker.status.synced
        assert halted(breaker) is None
