"""An agent asks a person in Slack before it acts, and goes on, or not, with the person's name and the message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context

import pytest
from respond.outside import rows, until
from sdk.site import TOKEN, everything, message, press, web

from streams.records import PermissionChecked, SessionEnded
from streams.sdk import Approvals, NotApproved, request_approval, request_approval_async
from streams.sdk.testing import Told


@pytest.fixture
async def asking(book, slack) -> AsyncIterator[Told]:
    async with everything(book, slack) as pages:
        told = Told(approvals=Approvals(pages, TOKEN))
        yield told
        await asyncio.to_thread(told.emitter.close)


async def posted(slack) -> bool:
    return message(slack[0]) is not None


async def test_what_a_person_approves_is_done_and_says_who_where_and_after_how_long(asking, slack, book):
    server, _ = slack
    async with asking.emitter.session(session_id="s1") as work:
        question = asyncio.create_task(
            work.request_approval_async("refund.create", reason="order 1", resource="order:1")
        )
        await until(lambda: posted(slack), what="the question")
        assert "refund.create" in str(message(server)[1].blocks)
        assert (await press(server, "approve")).heard
        approval = await question
    assert (approval.result, approval.person) == ("allowed", "ada")
    pending, allowed = asking.of(PermissionChecked)
    assert (str(pending.data.result), str(allowed.data.result)) == ("pending", "allowed")
    assert pending.data.request_id == allowed.data.request_id
    assert (allowed.data.decided_by.kind, allowed.data.decided_by.id) == ("human", "ada")
    assert allowed.data.evidence_ref.endswith(f"/p{message(server)[1].ts.replace('.', '')}")
    assert allowed.data.wait_ms > 0

    async def edited() -> bool:
        said = message(server)[1]
        return said.edited is not None and "Approved" in said.text and "actions" not in str(said.blocks)

    await until(edited, what="the answer in the message")
    assert [state for (state,) in await rows(book, "SELECT state FROM approvals")] == ["approved"]


async def test_what_a_person_refuses_is_not_done(asking, slack):
    async def agent() -> None:
        async with asking.emitter.session():
            await request_approval_async("refund.create")

    task = asyncio.create_task(agent())
    await until(lambda: posted(slack), what="the question")
    await press(slack[0], "refuse", "bruno")
    with pytest.raises(NotApproved, match="not approved: denied by bruno") as raised:
        await task
    assert raised.value.approval.person == "bruno"
    (ended,) = await asyncio.to_thread(lambda: asking.of(SessionEnded))
    assert (str(ended.data.status), ended.data.stop_reason) == ("failed", "NotApproved")


async def test_the_first_answer_counts_and_a_later_press_is_told_so(asking, slack, book):
    server, _ = slack
    async with asking.emitter.session() as work:
        question = asyncio.create_task(work.request_approval_async("refund.create"))
        await until(lambda: posted(slack), what="the question")
        await press(server, "refuse")
        with pytest.raises(NotApproved):
            await question
        place = message(server)
        place[1].blocks = [
            {"type": "actions", "block_id": "tocsin:x", "elements": [
                {"type": "button", "action_id": "tocsin:approve", "value": f"approval:{(await rows(book, 'SELECT id FROM approvals'))[0][0]}"}]}
        ]  # fmt: skip
        await press(server, "approve", "bruno")

    async def whispered() -> bool:
        return any("refused it already" in text for _, text in place[0].whispers)

    await until(whispered, what="the reply")
    assert [state for (state,) in await rows(book, "SELECT state FROM approvals")] == ["refused"]


async def test_unanswered_it_expires_and_the_message_says_so(asking, slack):
    async with asking.emitter.session() as work:
        with pytest.raises(NotApproved) as raised:
            await work.request_approval_async("refund.create", wait_s=1.0)
    assert raised.value.approval.result == "expired"

    async def said() -> bool:
        return message(slack[0]) is not None and "Nobody answered" in message(slack[0])[1].text

    await until(said, what="the end in the message")
    assert [str(event.data.result) for event in asking.of(PermissionChecked)] == ["pending", "expired"]


def test_when_tocsin_is_away_nothing_is_done_and_that_is_said(unused_tcp_port, caplog):
    told = Told(approvals=Approvals(f"http://127.0.0.1:{unused_tcp_port}", TOKEN))
    with told.emitter.session(), pytest.raises(NotApproved, match="could not be asked"):
        request_approval("refund.create")
    denied = told.of(PermissionChecked)[-1].data
    assert (str(denied.result), denied.decided_by.kind) == ("denied", "default")
    assert "could not be asked" in denied.reason
    assert "is not done" in caplog.text
    told.emitter.close()


async def test_with_a_wrong_token_nothing_is_done_and_the_token_is_not_said(book, caplog):
    async with web(book) as pages:
        told = Told(approvals=Approvals(pages, "a-wrong-token"))
        async with told.emitter.session() as work:
            with pytest.raises(NotApproved, match="HTTP 401"):
                await work.request_approval_async("refund.create")
        await asyncio.to_thread(told.emitter.close)
    assert "a-wrong-token" not in caplog.text


def test_without_a_session_or_anybody_to_ask_it_is_denied(tocsin):
    with pytest.raises(NotApproved, match="no open session"):
        Context().run(request_approval, "refund.create")  # whatever this process has open
    with tocsin.emitter.session(), pytest.raises(NotApproved, match="Nobody can be asked"):
        request_approval("refund.create")
