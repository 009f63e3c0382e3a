"""The example agents do what README says of them."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from respond.outside import rows, until
from sdk.site import TOKEN, everything, message, press

from streams import topics
from streams.database import connect
from streams.learn.recording import tell
from streams.records import ControlAsked, Scope

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


async def start(name: str, *given: str) -> asyncio.subprocess.Process:
    command = (sys.executable, str(EXAMPLES / name), *given)
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def ended(agent: asyncio.subprocess.Process) -> str:
    out, err = await asyncio.wait_for(agent.communicate(), 60)
    assert agent.returncode == 0, err.decode()
    return out.decode()


async def test_without_a_kafka_the_first_agent_prints_valid_events(tmp_path: Path) -> None:
    told = await ended(await start("agent.py"))
    kinds = [json.loads(line)["type"].split(".", 1)[1] for line in told.splitlines()]
    assert kinds == ["session.started.v1", "llm.called.v1", *["tool.called.v1"] * 3, "session.ended.v1"]
    events = tmp_path / "told.ndjson"
    events.write_text(told)
    command = (sys.executable, "-m", "streams", "check", "--events", str(events))
    check = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(check.communicate(), 60)
    assert check.returncode == 0, said.decode()
    assert "4711" not in told


async def posted(slack) -> bool:
    return message(slack[0]) is not None


@pytest.mark.parametrize(
    ("button", "outcome"),
    [("approve", "refunded, approved by ada"), ("refuse", "not done: refund.create was not approved: denied by ada")],
)
async def test_the_careful_agent_does_what_the_person_says(book, slack, kafka, button, outcome) -> None:
    await topics.ensure(kafka, 1)
    async with everything(book, slack) as pages:
        agent = await start("agent_asks.py", pages, TOKEN, kafka)
        await until(lambda: posted(slack), 30, "the question")
        await press(slack[0], button)
        assert (await ended(agent)).strip() == outcome


async def test_the_careful_agent_stops_when_somebody_has_paused_it(book, slack, kafka) -> None:
    await topics.ensure(kafka, 1)
    async with everything(book, slack) as pages:
        pause = ControlAsked(
            id="p1", scope=Scope("agent", "refund-bot"), want="pause", at=datetime.now(UTC), actor="ada"
        )
        async with await connect(book) as conn:
            await tell(conn, pause)

        async def paused() -> bool:
            return bool(await rows(book, "SELECT 1 FROM controls"))

        await until(paused, what="the control")
        agent = await start("agent_asks.py", pages, TOKEN, kafka)
        assert (await ended(agent)).startswith("stopped: halted by agent:refund-bot")


async def test_what_readme_shows_runs_as_it_stands(tmp_path: Path) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("from Python\n")[2].partition("```python\n")[2].partition("```")[0]
    program = tmp_path / "shown.py"
    program.write_text(shown)
    told = await ended(await start(str(program)))
    kinds = [json.loads(line)["type"] for line in told.splitlines()]
    assert kinds == [f"agent.{kind}.v1" for kind in ("session.started", "llm.called", "tool.called", "session.ended")]
