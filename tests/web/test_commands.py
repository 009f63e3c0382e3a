"""The commands for people and pipelines, against the web role itself."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import msgspec
import psycopg
import pytest
from learn.booking import book, sighted
from learn.test_counting import counting, delivered
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.database import connect, migrate
from streams.records import Acknowledgement, Assignment, Merge, Outcome, Silence, Split
from streams.settings import Secret, Settings
from streams.web.app import run

TOKEN = "a-token-for-commands"


@asynccontextmanager
async def role(database):
    """The web role on a port of its own, ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = asyncio.Event()
    settings = Settings(database=database, web_port=port, token=Secret(TOKEN))
    task = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: None, stop))
    try:
        async with asyncio.timeout(20):
            while not await listening(port):
                await asyncio.sleep(0.05)
        yield settings.pages
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def listening(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def tocsin(url, *arguments, token=TOKEN):
    given = {key: value for key, value in os.environ.items() if not key.startswith(("TOCSIN_", "GITHUB_"))}
    given |= {"TOCSIN_WEB_URL": url, "TOCSIN_TOKEN": token}
    command = [sys.executable, "-m", "streams", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=given, timeout=60, check=False
    )


@pytest.fixture
async def desk(database):
    migrate(database)
    one, other = sighted(1, title="evil \x1b[31m\u202e title"), sighted(2, severity="critical")
    async with await connect(database) as conn:
        await book(conn, one)
        await book(conn, other)
    async with role(database) as url:
        yield url, one.id, other.id


def told(database, *kinds):
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT record FROM inbox ORDER BY id").fetchall()
    return [msgspec.convert(row[0], kind) for row, kind in zip(rows, kinds, strict=True)]


async def test_what_people_say_reaches_the_book(desk, database):
    url, one, other = desk
    for arguments in (
        ("ack", one, "--actor", "ada"),
        ("assign", one, "--to", "bob", "--actor", "ada"),
        ("decide", one, "fixed", "--fixed-in", "8", "--reason", "repaired", "--actor", "ada"),
        ("split", one, "--actor", "ada"),
        ("merge", one, "--into", other, "--actor", "ada"),
    ):
        answer = await tocsin(url, "incidents", *arguments)
        assert (answer.returncode, answer.stdout) == (0, "Written down. The book reads it within a second.\n"), answer
    said = told(database, Acknowledgement, Assignment, Outcome, Split, Merge)
    assert {(record.incident, record.actor, record.source) for record in said} == {(one, "ada", "command")}
    assert (said[1].to, said[2].fixed_in, said[4].parent) == ("bob", "8", other)


async def test_incidents_are_listed_and_shown_and_nothing_acts_on_the_terminal(desk):
    url, one, _ = desk
    listed = await tocsin(url, "incidents", "list")
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 2
    shown = await tocsin(url, "incidents", "show", one)
    for answer in (listed, shown):
        assert one in answer.stdout and "\x1b" not in answer.stdout and "\u202e" not in answer.stdout
    document = json.loads((await tocsin(url, "incidents", "show", one, "--json")).stdout)
    assert document["incident"]["id"] == one


async def test_a_pipeline_begins_and_ends_its_rollout(desk, database):
    url, *_ = desk
    scope = ("--agent", "support-*", "--environment", "prod", "--for", "30m", "--reason", "release 8")
    begun = await tocsin(url, "rollout", "begin", *scope, "--actor", "ci")
    assert begun.returncode == 0 and "a critical incident that is open" in begun.stderr
    name = begun.stdout.strip()
    for _ in range(2):
        assert (await tocsin(url, "rollout", "end", name)).returncode == 0
    first, second = told(database, Silence, Silence)
    assert (first.id, first.kind, first.source, first.actor) == (name, "rollout", "ci", "ci")
    assert first.matchers == {"agent": "support-*", "environment": "prod"}
    assert (first.until - first.at).total_seconds() == 1800 and second.until == second.at


async def test_a_silence_is_added_and_listed(desk, database):
    url, *_ = desk
    added = await tocsin(url, "silence", "add", "agent=billing-*", "severity=high", "--for", "2h", "--reason", "noise")
    assert (added.returncode, added.stderr) == (0, ""), added
    (silence,) = told(database, Silence)
    assert added.stdout.strip() == silence.id and silence.matchers == {"agent": "billing-*", "severity": "high"}
    listed = await tocsin(url, "silence", "list")
    assert (listed.returncode, listed.stdout) == (0, "None.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("silence", "add", "tool=x", "--for", "2h", "--reason", "r"), 2, "Unknown matchers: tool"),
        (("silence", "add", "agent", "--for", "2h", "--reason", "r"), 2, "write name=value"),
        (("silence", "add", "agent=a", "agent=b", "--for", "2h", "--reason", "r"), 2, "agent is there twice"),
        (("silence", "add", "agent=a", "--reason", "r"), 2, "Say when it ends"),
        (("maintenance", "begin", "--release", "8", "--for", "2h", "--reason", "r"), 2, "needs a scope"),
        (("maintenance", "begin", "--agent", "a", "--reason", "r"), 2, "--for"),
        (("silence", "end", "s-none"), 5, "no silence of this id"),
        (("incidents", "ack", "none#1"), 5, "no incident of this id"),
        (("incidents", "merge", "{one}", "--into", "{one}"), 2, "cannot speak for itself"),
    ],
)
async def test_what_is_wrong_is_said_with_an_exit_code(desk, arguments, code, words):
    url, one, _ = desk
    answer = await tocsin(url, *(word.replace("{one}", one) for word in arguments))
    assert answer.returncode == code, answer
    assert words in " ".join(answer.stderr.replace("│", " ").split())


async def test_a_wrong_token_and_nobody_there_have_codes_of_their_own(desk):
    url, one, _ = desk
    assert (await tocsin(url, "incidents", "ack", one, token="wrong")).returncode == 3
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        answer = await tocsin(away, "incidents", "list")
    assert answer.returncode == 4 and "could not be reached" in answer.stderr


async def test_a_release_is_listed_and_shown_by_any_of_its_names(desk, database):
    url, *_ = desk
    async with await connect(database) as conn:
        aliases = {"aliases": ["v3", "evil \x1b[31m"], "commit": "abcdef0123", "parents": ["2026.09.2"]}
        events = [
            delivered(0, "release.registered.v1", **aliases),
            delivered(1, "release.deployed.v1", environment="prod", op="promote", result="ok", share=0.05),
        ]
        await counting().apply(conn, events, {})
    listed = await tocsin(url, "release", "list", "--agent", "support-bot")
    assert (listed.returncode, listed.stdout) == (
        0,
        "support-bot  2026.09.3  registered  2026-09-14T09:00:00Z  from 2026.09.2\n",
    )
    shown = await tocsin(url, "release", "show", "--agent", "support-bot", "--release", "abcdef0")
    assert shown.returncode == 0 and "\x1b" not in shown.stdout
    assert "ancestors: 2026.09.2" in shown.stdout
    assert "promote to 5% in prod: ok" in shown.stdout
    unknown = await tocsin(url, "release", "show", "--agent", "support-bot", "--release", "nine")
    assert unknown.returncode == 5 and "Nobody knows" in unknown.stderr
