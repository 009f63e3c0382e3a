"""`tocsin approval`: what waits is listed, and answered once."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sdk.site import TOKEN, learning, web

from streams.database import connect, migrate
from streams.learn.controls.questions import question
from streams.learn.recording import tell
from streams.records import ApprovalAsked


async def tocsin(url: str, *arguments: str, token: str = TOKEN) -> tuple[int, str, str]:
    environ = {**os.environ, "TOCSIN_TOKEN": token}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams", "approval", *arguments, "--url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def url(database: str):
    migrate(database)
    now = datetime.now(UTC)
    async with await connect(database) as conn:
        await tell(
            conn, ApprovalAsked(id="q1", action="refund\x1b[31m", at=now, until=now + timedelta(hours=1), agent="bot")
        )
        async with learning(database), web(database) as pages:
            while (found := await question(conn, "q1")) is None or not await _row(conn):
                await asyncio.sleep(0.02)
            assert found.state == "pending"
            yield pages


async def _row(conn) -> bool:
    return bool(await (await conn.execute("SELECT 1 FROM approvals")).fetchall())


async def test_people_see_what_waits_and_the_first_answer_counts(url: str) -> None:
    code, out, _ = await tocsin(url, "list", "--pending")
    assert (code, out.split()[:3]) == (0, ["q1", "pending", "bot"])
    assert "\x1b" not in out
    assert (await tocsin(url, "approve", "q1", "--actor", "ada"))[:2] == (0, "approved q1\n")
    while "approved" not in (await tocsin(url, "list"))[1]:
        pass
    code, _, err = await tocsin(url, "refuse", "q1", "--actor", "bob")
    assert (code, err) == (4, "It was approved already.\n")
    assert (await tocsin(url, "list", "--pending"))[1] == "None.\n"


async def test_wrong_tokens_and_unknown_questions_have_their_own_codes(url: str) -> None:
    assert (await tocsin(url, "approve", "q1", token="wrong"))[0] == 3
    assert (await tocsin(url, "approve", "nothing"))[0] == 5
