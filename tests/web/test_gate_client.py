"""The client takes nothing for a yes but a decision that says so."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.command.gate import gate
from streams.database import connect, migrate
from streams.gatecheck import check
from streams.learn.watching import gauge
from streams.records import GateQuestion
from streams.settings import Settings
from streams.web.app import run

ASKED = GateQuestion("support-bot", "2026.09.3")


def decision(state, **given):
    allow = state in ("allow", "warn")
    known = {"schema": "gate.decision/v1", "gate": "promotion", "agent": "support-bot", "environment": "prod"}
    return {**known, "release": "2026.09.3", "state": state, "allow": allow, "summary": "because", **given}


@contextmanager
def answering(*answers):
    """A server that gives these answers, one after the other, the last one for ever: (status, body, headers)."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("state", "strict", "code"),
    [
        ("allow", False, 0),
        ("warn", False, 0),
        ("warn", True, 10),
        ("hold", False, 20),
        ("block", False, 30),
        ("allow", True, 0),
    ],
)
def test_a_decision_is_an_exit_code(state, strict, code):
    with answering((200, decision(state), {})) as url:
        checked = check(url, "promotion", ASKED, strict=strict)
    assert (checked.code, checked.document["state"], checked.message) == (code, state, f"{state}: because")


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"", {}),
        (200, b"<html>sign in</html>", {}),
        (200, b"null", {}),
        (200, b"[]", {}),
        (200, {}, {}),
        (200, decision("allow", schema="gate.decision/v2"), {}),
        (200, decision("fine"), {}),
        (200, {**decision("allow"), "state": ["allow"]}, {}),
        (200, decision("block", allow=True), {}),
        (200, decision("allow", allow="yes"), {}),
        (200, decision("allow", agent="billing-bot"), {}),
        (200, decision("allow", gate="other"), {}),
        (200, decision("allow", environment="staging"), {}),
        (200, json.dumps(decision("allow")).encode()[:-9], {"Content-Length": "100000"}),  # cut short
        (204, b"", {}),
        (302, b"", {"Location": "http://127.0.0.1:1/login"}),
        (401, {"detail": "who are you"}, {}),
        (500, b"", {}),
        (503, {"detail": "not yet"}, {"Retry-After": "1"}),
    ],
    ids=str,
)
def test_nothing_else_is_a_yes(answer):
    with answering(answer) as url:
        checked = check(url, "promotion", ASKED)
    assert (checked.code, checked.document) == (4, None)
    assert checked.message


@pytest.mark.parametrize("shape", [(), ("--json",), ("--format", "junit"), ("--format", "github")])
def test_what_a_decision_says_does_nothing_to_a_terminal(shape):
    evil = "\x1b[2J\x07 half \ud800 a character"
    with answering((200, decision("block", summary=evil), {})) as url:
        asked = ("--agent", ASKED.agent, "--release", ASKED.release, "--url", url)
        told = CliRunner().invoke(gate, ["check", *asked, *shape])
    assert told.exit_code == 30
    assert not {"\x1b", "\x07", "\ud800"} & set(told.output)


def test_a_wrong_question_is_a_usage_error():
    with answering((422, {"detail": "An argument is missing."}, {})) as url:
        checked = check(url, "promotion", ASKED)
    assert checked.code == 2
    assert "An argument is missing." in checked.message
    assert check("ftp://example.org", "promotion", ASKED).code == 2


def test_nobody_there_is_unreachable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert check(f"http://127.0.0.1:{taken.getsockname()[1]}", "promotion", ASKED).code == 4


def test_waiting_asks_again_until_the_answer_is_not_hold():
    with answering((503, b"", {}), (200, decision("hold", retry_after_s=0), {}), (200, decision("allow"), {})) as url:
        assert check(url, "promotion", ASKED, wait_s=30).code == 0


def test_waiting_ends_with_hold():
    with answering((200, decision("hold", retry_after_s="soon"), {})) as url:
        assert check(url, "promotion", ASKED, wait_s=0.2).code == 20


async def test_the_role_serves_and_the_client_understands_it(database):
    migrate(database)
    async with await connect(database) as conn:
        await conn.execute("INSERT INTO exposed VALUES ('support-bot', '2026.09.3', 'prod', 1, 60, 0)")
        await gauge(conn, "watermark", datetime.now(UTC).timestamp())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop, turns = asyncio.Event(), []
    settings = Settings(database=database, web_port=port)
    role = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: turns.append(1), stop))
    checked = await asyncio.to_thread(check, settings.pages, "promotion", ASKED, wait_s=20)
    assert (checked.code, checked.document["state"]) == (0, "allow")
    assert checked.document["links"]["self"].startswith(settings.pages)
    stop.set()
    await asyncio.wait_for(role, 10)
    assert turns


async def test_a_port_that_is_taken_is_an_error_in_words(database):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(database=database, web_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await run(settings, policies.load(), CollectorRegistry(), lambda: None, asyncio.Event())
