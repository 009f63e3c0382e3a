"""What gates read of the book."""

import pytest
from learn.booking import book, sighted

from streams.database import connect, migrate
from streams.learn.gates.reading import snapshot


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield conn


async def test_a_detector_on_trial_blocks_nobody(conn):
    await book(conn, sighted(1))
    await book(conn, sighted(2, held=("dry_run",)))
    assert [one.id for one in (await snapshot(conn, ["high"])).incidents] == [sighted(1).id]
