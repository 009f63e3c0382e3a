"""Two copies of intake under one name take the partitions from each other; whoever notices ends and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streams.intake.kafka import MOVES_MAX, Input, MemberTwice


@pytest.fixture
async def named() -> AsyncIterator[Input]:
    source = Input("127.0.0.1:1", "agent.events", group="tocsin.intake", epoch=1, member="intake-0")
    yield source
    await source.stop()


async def test_partitions_that_keep_moving_end_the_role_with_an_explanation(named: Input) -> None:
    for _ in range(MOVES_MAX):
        await named.on_partitions_assigned([])
    with pytest.raises(MemberTwice, match=r"is there another copy running as intake-0\?.*TOCSIN_REPLICA"):
        await named.poll(1, 0.01)


async def test_a_few_assignments_are_ordinary(named: Input) -> None:
    for _ in range(MOVES_MAX - 1):
        await named.on_partitions_assigned([])
    assert named.sources == []
    assert await named.poll(1, 0.01) == {}
