"""A running role says how it is in the timeline itself; one that ends on request says so, one that is killed does not."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from real.feeding import Role, read, until

from streams import topics
from streams.records import Heartbeat, Watermarks
from streams.records.timeline import unpack
from streams.topics import named

generations = count(880_001)


@pytest.fixture
def generation() -> int:
    return next(generations)


async def beats(kafka: str, generation: int) -> list[Heartbeat]:
    timeline = topics.TIMELINE._replace(name=named(topics.TIMELINE, generation))
    unpacked = [unpack(record.value, record.headers) for record in await read(kafka, timeline)]
    events = [event for found in unpacked if not isinstance(found, Watermarks) for event in found]
    own = (one for one in events if isinstance(one, Heartbeat) and one.data.ctx.session_id.startswith("tocsin:"))
    return sorted(own, key=lambda one: one.time)  # the broker is shared with agents of other tests


async def beaten(kafka: str, generation: int, enough: Callable[[list[Heartbeat]], bool], role: Role) -> None:
    async def there() -> bool:
        return enough(await beats(kafka, generation))

    await until(there, role.words)


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL])
async def test_intake_beats_while_it_runs(kafka: str, tmp_path: Path, generation: int, ends: int) -> None:
    await topics.ensure(kafka, generation)
    given = {"kafka": kafka, "generation": str(generation), "self_report_s": "0.3"}
    with Role("intake", tmp_path, **given) as role:
        await beaten(kafka, generation, lambda found: len(found) >= 3, role)
        role.process.send_signal(ends)
        await asyncio.to_thread(role.process.wait, 30)
    found = await beats(kafka, generation)
    assert {one.data.ctx.session_id for one in found} == {"tocsin:intake:0"}
    assert {"events", "dead_letters", "lag_messages", "lag_s", "progress_age_s"} == set(found[0].data.numbers or {})
    states = [one.data.state for one in found]
    assert set(states[:-1]) == {"serving"}
    assert states[-1] == ("idle" if ends == signal.SIGTERM else "serving")


async def test_a_role_whose_reports_are_off_says_nothing(kafka: str, tmp_path: Path, generation: int) -> None:
    await topics.ensure(kafka, generation)
    timeline = topics.TIMELINE._replace(name=named(topics.TIMELINE, generation))
    with Role("intake", tmp_path, kafka=kafka, generation=str(generation), self_report_s="0") as role:

        async def ticking() -> bool:
            return len(await read(kafka, timeline)) >= 3 * topics.TIMELINE.partitions

        await until(ticking, role.words)
        role.process.terminate()
        assert await asyncio.to_thread(role.process.wait, 30) == 0
    assert await beats(kafka, generation) == []
