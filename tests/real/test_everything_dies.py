"""The promise, whole: intake, detect and respond are killed while events flow and calls fail after their effect."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from streams.command.stage import Stage
from streams.importing.send import send
from streams.sandbox.faults import Fault
from streams.settings import Settings

POLICY = """
name = "kills"
[time]
lateness_s = 1.0
idle_s = 2.0
tick_s = 0.5
bucket_s = 2
minute_s = 2
[storm]
per_minute_max = 1000
"""
FAILING, QUIET, TURNS = 12, 18, 40
ROUNDS = ("intake", "respond", "detect", "respond", "intake", "respond")
DEADLINE_S = 150.0
BROKEN = b'{"specversion":"1.0","type":"agent.tool.called.v1"'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def event(kind: str, agent: str, n: int, at: datetime, **data: Any) -> tuple[bytes, bytes]:
    session = f"{agent}/s"
    ctx = {"session_id": session, "run_id": "r", "agent": {"id": agent, "version": "1"}}
    envelope = {"specversion": "1.0", "id": f"e{n}", "source": f"/t/{agent}", "type": f"agent.{kind}.v1"}
    body = {**envelope, "time": at.isoformat(), "data": {"ctx": ctx, **data}}
    return session.encode(), json.dumps(body).encode()


def flow() -> Iterator[tuple[bytes, bytes]]:
    """Thirty sessions side by side; the first twelve have a tool that fails three times near the end."""
    agents = [f"failing-{n:02d}" for n in range(FAILING)] + [f"quiet-{n:02d}" for n in range(QUIET)]
    began = datetime.now(UTC)
    for agent in agents:
        yield event("session.started", agent, 0, began, attribution={"operator": {"team": agent}})
    for turn in range(TURNS):
        for agent in agents:
            failing = agent.startswith("failing") and turn >= TURNS - 3
            status = (
                {"status": "error", "error": {"type": "Timeout", "template": "no answer"}}
                if failing
                else {"status": "ok"}
            )
            at = began + timedelta(milliseconds=turn)
            tool = {"name": f"book-of-{agent}"}  # each its own: a tool of all would be one trouble
            yield event("tool.called", agent, turn + 1, at, call_id=f"c{turn}", tool=tool, **status)
        if turn % 10 == 0:
            yield b"broken", BROKEN
    for agent in agents:
        status = "failed" if agent.startswith("failing") else "succeeded"
        yield event("session.ended", agent, TURNS + 1, began + timedelta(seconds=1), status=status)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    settings = msgspec.structs.replace(Settings(), datadir=tmp_path, policy=policy, web_port=free_port())
    overrides = {"TOCSIN_POLICY": str(policy), "TOCSIN_CALL_TIMEOUT_S": "2", "TOCSIN_ASK_AFTER_S": "3"}
    overrides |= {"TOCSIN_SELF_REPORT_S": "0"}  # every event is counted
    with Stage(settings, token="t", sandbox=True, say=lambda _: None, overrides=overrides) as running:
        yield running


@pytest.mark.slow
def test_every_event_is_accounted_for_and_every_incident_has_one_ticket(stage: Stage) -> None:
    stage.jira.faults.add(Fault(path="/rest/api/3/issue", method="POST", kind="reset", when="after", every=2, times=6))
    stage.slack.faults.add(Fault(path="chat.postMessage", kind="reset", when="after", every=3, times=4))
    messages = list(flow())
    step = len(messages) // len(ROUNDS) + 1
    for n, role in enumerate(ROUNDS):
        asyncio.run(send(stage.kafka, messages[n * step : (n + 1) * step]))
        kill(stage, role)
    wanted = {f"failing-{n:02d}" for n in range(FAILING)}
    wait(stage, lambda: ticketed(stage) >= wanted and any("rejected" in id_ for id_ in incidents(stage)))
    wait(stage, lambda: paged(stage) >= wanted)  # a channel takes a message a second
    assert {agent_of(record) for record in incidents(stage).values() if "tool.repeated" in record["id"]} == wanted
    tickets = Counter(incident for issue in issues(stage) if (incident := named(issue)))
    assert set(tickets) == set(incidents(stage))
    assert set(tickets.values()) == {1}
    assert [call for call in stage.jira.serving.calls if call.fault], "no answer of Jira was lost: nothing was shown"
    assert [call for call in stage.slack.serving.calls if call.fault], "no answer of Slack was lost: nothing was shown"
    wait(stage, lambda: exposed(stage) == FAILING + QUIET)


def kill(stage: Stage, role: str) -> None:
    """kill -9, and wait until the stage has started it again."""
    process = stage.processes[role]
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait(stage, lambda: stage.processes[role] is not process)


def wait(stage: Stage, condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        stage.mend()
        time.sleep(0.2)


def rows(stage: Stage, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stage.database) as conn:
        return conn.execute(query).fetchall()


def incidents(stage: Stage) -> dict[str, Any]:
    return {row[0]: row[1] for row in rows(stage, "SELECT id, body FROM incidents")}


def agent_of(record: Any) -> str:
    return str(record["about"].get("agent", ""))


def ticketed(stage: Stage) -> set[str]:
    query = "SELECT i.body FROM incidents i JOIN obligations o ON o.incident = i.id AND o.kind = 'ticket' AND o.state = 'done'"
    return {agent_of(row[0]) for row in rows(stage, query)}


def exposed(stage: Stage) -> int:
    return int(rows(stage, "SELECT coalesce(sum(sessions), 0) FROM exposure")[0][0])


def issues(stage: Stage) -> list[Any]:
    return list(stage.jira.book.tickets())


def named(issue: Any) -> str | None:
    found = issue.properties.get("tocsin.incident")
    return str(found["incident"]) if found else None


def paged(stage: Stage) -> set[str]:
    texts = [
        message.text for channel in stage.slack.workspace.channels.values() for message in channel.newest(0, 2**62)
    ]
    return {name for text in texts for name in (f"failing-{n:02d}" for n in range(FAILING)) if name in text}
