"""Detect on Apache Kafka: killed, stopped, buggy, it counts every event once and finds what there is to find."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from detect.story import Story
from real.detecting import Timeline, Worker, until

from streams.topics import DEADLETTERS, TIMELINE


@pytest.fixture
def generation() -> int:
    return random.randrange(2, 2**31)


@pytest.fixture
def timeline(kafka: str, generation: int) -> Timeline:
    return Timeline(kafka, generation, Story(seed=7).tell())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def test_counts_every_event_once_and_finds_what_there_is(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path
) -> None:
    await timeline.write()
    with Worker(kafka, generation, tmp_path) as worker:
        await timeline.caught_up(worker)
        assert worker.end(signal.SIGTERM) == 0, worker.log.read_text()
    await timeline.assert_exact()


async def test_killed_again_and_again_it_is_exact(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    """-9 at each step of a group and right after a commit: whoever starts it again loses and doubles nothing."""
    await timeline.write()
    points = [("folded", 2), ("said", 5), ("fenced", 3), ("remembered", 6), ("committed", 2), ("remembered", 9)]
    for step, nth in points:
        worker = stack.enter_context(Worker(kafka, generation, tmp_path, at=step, nth=nth))
        assert await worker.ended() == -signal.SIGKILL, worker.log.read_text()
    worker = stack.enter_context(Worker(kafka, generation, tmp_path))
    await timeline.caught_up(worker)
    worker.end()
    await timeline.assert_exact()


@pytest.mark.parametrize("seed", [11])
async def test_killed_at_random_it_is_exact(
    kafka: str, generation: int, tmp_path: Path, stack: ExitStack, seed: int
) -> None:
    timeline = Timeline(kafka, generation, Story(seed=seed, events=40_000).tell())
    await timeline.write()
    chance = random.Random(seed)
    for _ in range(5):
        worker = stack.enter_context(Worker(kafka, generation, tmp_path, slow_s=0.02))
        await worker.said("recovered")
        until_s = time.monotonic() + chance.uniform(0.1, 1.0)
        await until(lambda until_s=until_s: time.monotonic() > until_s)
        worker.end()
    worker = stack.enter_context(Worker(kafka, generation, tmp_path))
    await timeline.caught_up(worker)
    worker.end()
    await timeline.assert_exact()


async def test_an_exception_in_a_group_ends_the_process_and_loses_nothing(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    await timeline.write()
    for step in ("folded", "said", "remembered"):
        worker = stack.enter_context(Worker(kafka, generation, tmp_path, at=step, nth=3, do="raise"))
        assert await worker.ended() == 70
        assert "a bug in the body" in worker.log.read_text()
    worker = stack.enter_context(Worker(kafka, generation, tmp_path))
    await timeline.caught_up(worker)
    worker.end()
    await timeline.assert_exact()


async def test_stopped_between_saying_and_remembering_it_does_not_overwrite_its_successor(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    """SIGSTOP until Kafka has given the partitions to another worker, then SIGCONT: it must not remember any more."""
    await timeline.write(slice(0, 300))
    zombie = stack.enter_context(Worker(kafka, generation, tmp_path, at="said", nth=4, do="stop", session_s=3))
    await until(zombie.stopped)
    await timeline.write(slice(300, None))
    successor = stack.enter_context(Worker(kafka, generation, tmp_path, "1", session_s=3))
    await timeline.caught_up(successor)
    zombie.process.send_signal(signal.SIGCONT)
    assert await zombie.ended() == 70
    assert "between folding and remembering" in zombie.log.read_text() or "was stopped for" in zombie.log.read_text()
    successor.end()
    await timeline.assert_exact()


async def test_workers_come_and_go_under_load_and_no_message_is_dropped(
    kafka: str, generation: int, tmp_path: Path, stack: ExitStack
) -> None:
    """Each assignment seeks while everything stands still: nobody has to leave because of a gap."""
    timeline = Timeline(kafka, generation, Story(seed=9, events=40_000).tell())
    await timeline.write()
    slow = {"slow_s": 0.1, "session_s": 3}
    first = stack.enter_context(Worker(kafka, generation, tmp_path, **slow))
    await timeline.committed(100)
    for _ in range(2):
        done = len(timeline.story.messages) - (await timeline.lag())[timeline.name(TIMELINE)]
        second = stack.enter_context(Worker(kafka, generation, tmp_path, "1", **slow))
        await second.said("recovered")
        await timeline.committed(done + 300)
        second.end()
    await timeline.caught_up(first)
    first.end()
    assert "detect leaves the process" not in first.log.read_text()
    await timeline.assert_exact()


async def test_asked_to_end_it_finishes_its_group_and_commits(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    await timeline.write()
    for step, nth in (("folded", 2), ("said", 5), ("remembered", 4)):
        worker = stack.enter_context(Worker(kafka, generation, tmp_path, at=step, nth=nth, do="term"))
        assert await worker.ended() == 0, worker.log.read_text()
    worker = stack.enter_context(Worker(kafka, generation, tmp_path))
    await timeline.caught_up(worker)
    worker.end()
    await timeline.assert_exact()


async def test_asked_to_end_while_it_starts_it_ends(
    kafka: str, generation: int, tmp_path: Path, stack: ExitStack
) -> None:
    worker = stack.enter_context(Worker(kafka, generation, tmp_path, at="starting"))
    assert await worker.ended() == 0, worker.log.read_text()


async def test_a_process_that_was_stopped_for_long_ends_itself_when_it_wakes(
    kafka: str, generation: int, tmp_path: Path, stack: ExitStack
) -> None:
    worker = stack.enter_context(Worker(kafka, generation, tmp_path, gap_s=1.0))
    await worker.said("recovered")
    worker.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    await until(lambda: time.monotonic() - stopped > 2.0)
    worker.process.send_signal(signal.SIGCONT)
    assert await worker.ended() == 70
    assert "was stopped for" in worker.log.read_text()


async def test_a_replica_that_starts_again_gets_its_partitions_back_at_once(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    """Static membership: nobody waits for the session of the one that was killed."""
    await timeline.write(slice(0, 300))
    worker = stack.enter_context(Worker(kafka, generation, tmp_path, session_s=50))
    await timeline.committed(200)
    worker.end()
    await timeline.write(slice(300, None))
    worker = stack.enter_context(Worker(kafka, generation, tmp_path, session_s=50))
    began = time.monotonic()
    await timeline.caught_up(worker)
    assert time.monotonic() - began < 40  # far less; the session would last longer
    worker.end()
    await timeline.assert_exact()


async def test_a_message_that_nobody_understands_becomes_a_dead_letter_and_the_rest_goes_on(
    kafka: str, generation: int, timeline: Timeline, tmp_path: Path, stack: ExitStack
) -> None:
    strange = f"not json {generation}".encode()
    timeline.story.messages.insert(50, (1, strange, [("kind", b"events")]))
    await timeline.write()
    worker = stack.enter_context(Worker(kafka, generation, tmp_path))
    await timeline.caught_up(worker)
    worker.end()
    (letter,) = [record for record in await timeline.read(DEADLETTERS) if record.value == strange]
    assert dict(letter.headers)["reason"] == b"undecodable"
    timeline.story.messages.remove((1, strange, [("kind", b"events")]))
    await timeline.assert_exact()
