"""Nobody is woken for what is over: pages that were not sent expire with the reason, whatever the carrier is doing."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
import pytest
from respond.desk import click, found, read_all, running, settling, topics
from respond.outside import carrying, pages, rows, slack_receiver, until

from streams.database import connect
from streams.records import Acknowledgement, Expired, Hushed, Incident, Outcome
from streams.respond import book_rows, owed
from streams.respond.ready import READY, Look
from streams.sandbox.slack import SandboxSlack

NAME = b.incident().id
TOLD = {"page": 2, "ticket": 1}


def waking(ordinal: int = 1, *, to: str = "slack:C0TOCSIN", **given: Any) -> Any:
    name = f"{NAME}:page:{ordinal}" + ("" if to.startswith("slack:") else f":{to}")
    body = {"doc": "page", "incident": NAME, "mention": "", "oncall": "", "level": 0, **given}
    return b.obligation(NAME, "page", ordinal, id=name, destination=to, body=body)


def edit(ordinal: int = 2) -> Any:
    return msgspec.structs.replace(waking(ordinal), after=(f"{NAME}:page:1",))


async def said(uri: str, *records: Any) -> None:
    conn = await connect(uri)
    try:
        async with conn.transaction():
            await book_rows.say(conn, records, "incidents")
    finally:
        await conn.close()


def opened(**given: Any) -> Incident:
    return b.incident(**{"told": TOLD, **given})


async def states(uri: str) -> dict[str, tuple[str, str | None]]:
    found_ = await rows(uri, "SELECT id, state, why FROM obligations ORDER BY seq")
    return {name.removeprefix(f"{NAME}:"): (state, why) for name, state, why in found_}


async def heard(uri: str) -> list[Expired]:
    return [msgspec.convert(one, Expired) for (one,) in await rows(uri, "SELECT record FROM inbox ORDER BY id")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stage": "resolved", "outcome": "fixed"}, "resolved as fixed meanwhile"),
        ({"stage": "closed"}, "closed meanwhile: not seen any more"),
        ({"stage": "merged", "parent": "p#1"}, "merged into p#1 meanwhile"),
    ],
)
async def test_what_is_over_wakes_nobody_any_more(book: str, changes: dict[str, Any], why: str) -> None:
    await said(book, opened(), waking(), waking(to="pagerduty:platform"), edit(), b.obligation(NAME, "ticket"))
    await said(book, opened(**changes), edit(3))
    gone = ("expired", why)
    assert await states(book) == {
        "page:1": gone,
        "page:1:pagerduty:platform": gone,
        "page:2": gone,
        "ticket:1": ("owed", None),
        "page:3": gone,
    }
    (told,) = await heard(book)
    assert (told.incident, told.ordinal) == (NAME, 3)


async def test_a_page_that_was_sent_is_edited_and_later_ones_that_wake_are_not_sent(book: str) -> None:
    await said(book, opened(), waking(), waking(2, mention="U2", level=1), waking(3, mention="U1"), edit(4))
    await rows(book, "UPDATE obligations SET state = 'done' WHERE ordinal = 1 RETURNING id")
    await said(book, opened(stage="resolved", outcome="fixed"), edit(5))
    after = {name: state for name, (state, _) in (await states(book)).items()}
    assert after == {"page:1": "done", "page:2": "expired", "page:3": "expired", "page:4": "owed", "page:5": "owed"}
    assert await heard(book) == []


async def test_a_second_time_changes_nothing(book: str) -> None:
    await said(book, opened(), waking(), edit())
    for _ in range(2):
        await said(book, opened(stage="resolved", outcome="fixed"))
    assert len(await heard(book)) == 1


async def attempt(uri: str) -> Any:
    conn = await connect(uri)
    try:
        (row,) = await owed.due(conn, READY, Look("slack", (), (), 10))
        assert await owed.intend(conn, row, 0.0)
        return row._replace(attempt=row.attempt + 1, state="attempting")
    finally:
        await conn.close()


@pytest.mark.parametrize("again", [False, True])
async def test_an_attempt_that_did_not_happen_is_not_made_again_unless_it_is_open_again(book: str, again: bool) -> None:
    await said(book, opened(), waking())
    row = await attempt(book)
    await said(book, opened(stage="resolved", outcome="fixed"))
    assert (await states(book))["page:1"][0] == "attempting"
    if again:
        await said(book, opened())
    conn = await connect(book)
    try:
        assert await owed.answered(conn, row, b.r.NotDone("503"), None)
    finally:
        await conn.close()
    found_ = (await states(book))["page:1"]
    assert found_ == (("owed", "503") if again else ("expired", "resolved as fixed meanwhile"))
    assert len(await heard(book)) == (0 if again else 1)


async def test_an_attempt_that_did_happen_is_done(book: str) -> None:
    await said(book, opened(), waking())
    row = await attempt(book)
    await said(book, opened(stage="resolved", outcome="fixed"), edit())
    conn = await connect(book)
    try:
        assert await owed.answered(conn, row, b.r.Done("C/1"), None)
    finally:
        await conn.close()
    assert {name: state for name, (state, _) in (await states(book)).items()} == {"page:1": "done", "page:2": "owed"}


async def test_a_silence_is_also_about_pages_that_wait(book: str) -> None:
    await said(book, opened(), waking(), edit())
    await said(book, Hushed(b.silence(0, 600, id="other", matchers={"agent": "nobody"})))
    assert (await states(book))["page:1"][0] == "owed"
    await said(book, Hushed(b.silence(0, 600, matchers={"agent": "bill*"})))
    gone = ("expired", "silenced meanwhile, by quiet")
    assert await states(book) == {"page:1": gone, "page:2": gone}
    silences = await rows(book, "SELECT id, kind, matchers, reason, ended_at FROM silences WHERE id = 'quiet'")
    assert silences == [("quiet", "silence", {"agent": "bill*"}, "maintenance", None)]


async def test_the_end_of_a_silence_stands_until_it_begins_again(book: str) -> None:
    first = b.silence(0, 600)
    for ended, expected in ((None, None), (b.at(600), b.at(600)), (b.at(700), b.at(600)), (None, None)):
        await said(book, Hushed(first, ended))
        assert await rows(book, "SELECT ended_at FROM silences") == [(expected,)]


async def test_what_is_resolved_before_slack_answers_is_never_posted_and_is_paged_once_it_is_reopened(
    book: str, kafka: str, slack: tuple[SandboxSlack, str]
) -> None:
    server, url = slack
    names = await topics(kafka)
    await found(kafka, names, [b.finding(trouble="search")])
    async with running(settling(book, kafka, names)):
        await until(lambda: read_all(book, names, 1), what="reading the finding")
        await click(book, Outcome(NAME, "fixed", b.at(10), "ann", "web"))
        await until(lambda: expired(book), what="the page to expire")
        async with carrying(book, slack_receiver(url)):
            await click(book, Acknowledgement(NAME, b.at(20), "ann"))
            await until(lambda: read_all(book, names, 1), what="reading the inbox")
            assert pages(server) == []
            await click(book, Outcome(NAME, "unspecified", b.at(30), "ann", "web", reopened=True))
            await until(lambda: posted(server), what="the page")
    (message,) = pages(server)
    assert "search keeps failing" in str(message)
    (state,) = await rows(book, "SELECT state FROM obligations WHERE receiver = 'slack' AND ordinal = 1")
    assert state == ("expired",)


async def expired(uri: str) -> bool:
    (heard_,) = await rows(uri, "SELECT count(*) FROM obligations WHERE state = 'expired'")
    return heard_[0] >= 2 and not await rows(uri, "SELECT 1 FROM inbox")


async def posted(server: SandboxSlack) -> bool:
    return len(pages(server)) > 0
