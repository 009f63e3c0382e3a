"""The example that needs no SDK does what README says of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from real.taking import Worker, generations, timeline

from streams import topics
from streams.records import ToolCalled

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "producer.py"


async def test_its_session_arrives_with_three_identical_tool_errors(kafka: str, tmp_path: Path) -> None:
    generation = next(generations)
    await topics.ensure(kafka, generation)
    example = await asyncio.create_subprocess_exec(sys.executable, str(EXAMPLE), kafka, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(example.communicate(), 30)
    assert example.returncode == 0
    session = said.decode().strip()
    with Worker(kafka, generation, tmp_path) as worker:
        found = await timeline(
            kafka,
            generation,
            lambda t: sum(e.data.ctx.session_id == session for e in t.events) == 5,
            worker.log.read_text,
        )
    mine = [each for each in found.events if each.data.ctx.session_id == session]
    assert [type(each).__name__ for each in mine] == ["SessionStarted", *["ToolCalled"] * 3, "SessionEnded"]
    errors = {each.data.error for each in mine if isinstance(each, ToolCalled)}
    assert len(errors) == 1
