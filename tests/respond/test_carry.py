"""What is owed is done: one ticket, a page that is recognisably the same, whatever the outside answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from respond.outside import (
    CHANNEL,
    PACE,
    Killed,
    carrying,
    comment,
    duplicate,
    evidence,
    jira_receiver,
    killed,
    page,
    pages,
    posts,
    promise,
    receipts,
    rows,
    settled,
    slack_receiver,
    states,
    ticket,
    tickets,
    until,
)

from streams.database import connect
from streams.respond import owed
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]

# What goes wrong, and how many posts it takes until the end.
FAULTS: list[tuple[dict[str, Any], int]] = [
    *(({"kind": kind, "when": "after"}, 1) for kind in ("reset", "close", "truncated", "stall")),
    ({"kind": "hang", "when": "after", "seconds": 1.5}, 1),
    ({"kind": "status", "code": 503, "when": "after"}, 1),
    ({"kind": "wrong_content_type", "when": "after"}, 1),
    ({"kind": "reset", "when": "before"}, 2),
    ({"kind": "status", "code": 502, "when": "before"}, 2),
    ({"kind": "status", "code": 429, "when": "before"}, 2),
    ({"kind": "status", "code": 429, "when": "before", "headers": {"Retry-After": "1"}}, 2),
]
NAMES = [f"{fault['kind']}-{fault.get('code', '')}-{fault['when']}-{n}" for n, (fault, _) in enumerate(FAULTS)]


@pytest.mark.parametrize(("fault", "calls"), FAULTS, ids=NAMES)
async def test_there_is_one_ticket_in_the_end(book: str, jira: JiraRunning, fault: dict[str, Any], calls: int) -> None:
    server, url = jira
    server.index_lag = 2.0 if calls == 1 else 0.0
    server.faults.add(Fault(path="/rest/api/*/issue", method="POST", **fault))
    await promise(book, ticket(), evidence())
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    assert posts(server.serving.calls, "/issue") == calls
    (key,) = tickets(server, open_only=False)
    found = server.book.find(key)
    assert found is not None and "tocsin-unconfirmed" not in found.labels and len(found.files) == 1
    done = [receipt["answer"] for receipt in await receipts(book) if receipt["kind"] == "ticket"]
    assert done == [{"answer": "done", "reference": key, "url": f"{url}/browse/{key}"}]


@pytest.mark.parametrize(("fault", "calls"), FAULTS, ids=NAMES)
async def test_there_is_one_page_in_the_end(book: str, slack: SlackRunning, fault: dict[str, Any], calls: int) -> None:
    server, url = slack
    server.faults.add(Fault(path="chat.postMessage", **fault))
    await promise(book, page())
    async with carrying(book, slack_receiver(url)):
        await settled(book)
    assert posts(server.serving.calls, "/chat.postMessage") == calls
    (message,) = pages(server)
    assert [receipt["answer"]["reference"] for receipt in await receipts(book)] == [f"{CHANNEL}/{message.ts}"]


async def test_a_ticket_that_appears_after_it_was_given_up_is_closed_again(book: str, jira: JiraRunning) -> None:
    """The call is held back beyond every deadline, and comes true when another ticket has been recorded."""
    server, url = jira
    await promise(book, ticket("before"))
    pace = PACE._replace(audits_s=(0.3, 0.6, 1.0))
    async with carrying(book, jira_receiver(url), pace=pace):
        await settled(book)
        server.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="hang", when="before", seconds=1.5))
        await promise(book, ticket())
        await settled(book)
    assert len(tickets(server, open_only=False)) == 2
    (left,) = tickets(server)
    assert await rows(book, "SELECT reference FROM obligations WHERE incident = 'i1'") == [(left,)]


async def test_an_unanswered_call_is_not_repeated_before_its_time(book: str, jira: JiraRunning) -> None:
    server, url = jira
    server.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="reset", when="before", times=None))
    await promise(book, ticket())
    async with carrying(book, jira_receiver(url)):
        await until(lambda: reached(server, 3))
    calls = [call.at for call in server.serving.calls if call.method == "POST" and call.path.endswith("/issue")]
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert all(gap >= PACE.ask_after_s for gap in gaps)


async def reached(server: SandboxJira, count: int) -> bool:
    return posts(server.serving.calls, "/issue") >= count


async def test_nothing_is_created_while_the_search_is_blind(book: str, jira: JiraRunning) -> None:
    server, url = jira
    await promise(book, ticket("before"))
    async with carrying(book, jira_receiver(url)):
        await settled(book)
        server.book.index.blind = True
        server.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="reset", when="before"))
        await promise(book, ticket())
        await until(lambda: asked(book, "blind", 2))
        assert posts(server.serving.calls, "/issue") == 2
        server.book.index.blind = False
        await settled(book)
    assert len(tickets(server)) == 1


async def asked(uri: str, answer: str, count: int) -> bool:
    return len(await rows(uri, "SELECT 1 FROM attempts WHERE answer = %s", answer)) >= count


async def test_a_page_does_not_wait_for_jira_and_is_edited_when_the_ticket_exists(
    book: str, jira: JiraRunning, slack: SlackRunning
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    tracker.faults.add(
        Fault(path="/rest/api/*/issue", method="POST", kind="status", code=429, when="before", times=None)
    )
    await promise(book, page(), ticket(), page(ordinal=2, after=("i1:page:1", "i1:ticket:1")))
    async with carrying(book, jira_receiver(jira_url), slack_receiver(slack_url)):
        await until(lambda: paged(server, "Ticket: being opened"))
        tracker.faults.clear()
        await settled(book)
    (message,) = pages(server)
    assert "|Ticket OPS-1>" in str(message.blocks) and message.edited is not None
    assert posts(server.serving.calls, "/chat.postMessage") == 1


async def paged(server: SandboxSlack, text: str) -> bool:
    return any(text in str(message.blocks) for message in pages(server))


async def test_a_refused_ticket_takes_its_evidence_along_but_not_the_page(
    book: str, jira: JiraRunning, slack: SlackRunning
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    tracker.desk.off_screen.add("labels")
    await promise(book, page(), ticket(), evidence(), comment(), page(ordinal=2, after=("i1:page:1", "i1:ticket:1")))
    async with carrying(book, jira_receiver(jira_url), slack_receiver(slack_url)):
        await until(lambda: over(book))
    assert await states(book) == {
        "i1:page:1": "done", "i1:page:2": "done",
        "i1:ticket:1": "refused", "i1:evidence:1": "refused", "i1:comment:1": "refused",
    }  # fmt: skip
    whys = dict(await rows(book, "SELECT kind, why FROM obligations WHERE state = 'refused'"))
    assert whys["ticket"].startswith("400: labels") and "i1:ticket:1, which is refused: 400: labels" in whys["evidence"]
    assert await paged(server, "Ticket: could not be opened")
    assert {(one["kind"], one["answer"]["answer"]) for one in await receipts(book)} == {
        ("page", "done"), ("ticket", "refused"), ("evidence", "refused"), ("comment", "refused"),
    }  # fmt: skip


async def over(uri: str) -> bool:
    return not await rows(uri, "SELECT 1 FROM obligations WHERE state IN ('owed', 'attempting')")


async def test_refused_credentials_stop_the_calls_and_a_restart_makes_up_for_it(book: str, jira: JiraRunning) -> None:
    server, url = jira
    token, server.desk._token = server.desk._token, "revoked"
    await promise(book, *(ticket(f"i{n}") for n in range(40)))
    async with carrying(book, jira_receiver(url)):
        await until(lambda: refused_some(book))
    assert posts(server.serving.calls, "/issue") <= 16
    server.desk._token = token
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    assert len(list(server.book.tickets())) == 40


async def refused_some(uri: str) -> bool:
    return "refused" in (await states(uri)).values()


async def test_a_refused_obligation_can_be_owed_again_by_a_person(book: str, jira: JiraRunning) -> None:
    server, url = jira
    server.desk.off_screen.add("labels")
    await promise(book, ticket())
    async with carrying(book, jira_receiver(url)):
        await settled(book, "refused")
        server.desk.off_screen.clear()
        async with await connect(book) as conn:
            assert await owed.owe_again(conn, "jira", "i1:ticket:1") == 1
        await settled(book)
    assert len(tickets(server)) == 1


async def test_what_hangs_together_is_done_in_order_and_duplicates_are_closed(book: str, jira: JiraRunning) -> None:
    server, url = jira
    await promise(book, comment("i1"), evidence("i1"), ticket("i1"), duplicate("i1", "i2"), ticket("i2"))
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    assert len(tickets(server, "i2")) == 1 and not tickets(server, "i1")
    (child,) = tickets(server, "i1", open_only=False)
    found = server.book.find(child)
    assert found is not None and len(found.comments) == 2 and len(found.files) == 1


async def test_a_channel_that_asks_to_wait_holds_back_nobody_else(book: str, slack: SlackRunning) -> None:
    server, url = slack
    other = page("i2")
    other = type(other)(
        **{**{name: getattr(other, name) for name in other.__struct_fields__}, "destination": "slack:general"}
    )
    server.faults.add(
        Fault(path="chat.postMessage", kind="status", code=429, when="before", headers={"Retry-After": "3600"})
    )
    await promise(book, page("i1"))
    async with carrying(book, slack_receiver(url)):
        await until(lambda: tried(book, "i1:page:1"))
        await promise(book, page("i3"), other)
        await until(lambda: is_done(book, "i2:page:1"))
        assert (await states(book))["i3:page:1"] == "owed"
    assert posts(server.serving.calls, "/chat.postMessage") == 2


async def tried(uri: str, name: str) -> bool:
    return bool(await rows(uri, "SELECT 1 FROM attempts WHERE obligation = %s AND answer = 'not_done'", name))


async def is_done(uri: str, name: str) -> bool:
    return (await states(uri))[name] == "done"


async def test_two_carriers_do_not_work_twice(book: str, jira: JiraRunning) -> None:
    server, url = jira
    await promise(book, *(ticket(f"i{n}") for n in range(20)))
    async with carrying(book, jira_receiver(url), jira_receiver(url)):
        await settled(book)
    assert posts(server.serving.calls, "/issue") == 20


async def test_a_zombie_that_answers_late_leaves_one_open_ticket(book: str, jira: JiraRunning) -> None:
    """A carrier is held up between intent and answer until another one has recorded its own ticket."""
    server, url = jira
    await promise(book, ticket("before"))
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    (row,) = await prepared(book, ticket())
    async with await connect(book) as conn:
        assert await owed.intend(conn, row, 0.0)
    zombie = jira_receiver(url)
    async with carrying(book, jira_receiver(url)):
        await settled(book)
        late = await zombie.carry(ticket(), {}, "n1")
        async with await connect(book) as conn:
            assert not await owed.answered(conn, row._replace(attempt=1), late, None)
            await owed.doubled(conn, row)
        await until(lambda: one_open(server))
        await settled(book)
    await zombie.close()
    assert len(tickets(server, open_only=False)) == 2


async def prepared(uri: str, obligation: Any) -> list[owed.Row]:
    await promise(uri, obligation)
    async with await connect(uri) as conn:
        return await owed.due(conn, owed.READY, owed.Look("jira", [], [], 1))


async def one_open(server: SandboxJira) -> bool:
    return len(tickets(server)) == 1


@pytest.mark.parametrize("point", ["intent", "called", "answered", "confirmed", "ask", "asked"])
@pytest.mark.parametrize("lost", [False, True], ids=["answers-arrive", "answers-are-lost"])
async def test_a_kill_at_any_point_leaves_one_ticket_and_one_page(
    book: str, jira: JiraRunning, slack: SlackRunning, point: str, lost: bool
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    if lost or point in ("ask", "asked"):
        tracker.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="reset"))
        server.faults.add(Fault(path="chat.postMessage", kind="reset"))
    await promise(book, page(), ticket(), evidence(), page(ordinal=2, after=("i1:page:1", "i1:ticket:1")))

    def reached(step: str) -> None:
        if step == point:
            raise Killed

    async def nothing_left(receiver: str) -> bool:
        query = "SELECT 1 FROM obligations WHERE receiver = %s AND (state IN ('owed', 'attempting') OR confirm_at IS NOT NULL)"
        return not await rows(book, f"{query} AND ordinal = 1", receiver)

    kills = [
        await killed(book, jira_receiver(jira_url), reached, lambda: nothing_left("jira")),
        await killed(book, slack_receiver(slack_url), reached, lambda: nothing_left("slack")),
    ]
    assert any(kills)
    async with carrying(book, jira_receiver(jira_url), slack_receiver(slack_url)):
        await settled(book)
    assert len(tickets(tracker, open_only=False)) == 1
    (message,) = pages(server)
    assert "|Ticket OPS-1>" in str(message.blocks)
