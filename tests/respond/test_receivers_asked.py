"""After an answer was lost, the receivers say found, absent or blind, and are never wrong about absent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from respond.outside import (
    CANARY,
    CHANNEL,
    TIMEOUT_S,
    duplicate,
    jira_receiver,
    page,
    pages,
    posts,
    slack_receiver,
    ticket,
    tickets,
)

from streams.records import Done
from streams.respond.messages import TicketDoc, read
from streams.respond.receivers import jira_wire
from streams.respond.receivers.jira_search import Search
from streams.respond.receivers.protocol import Absent, Blind, Doubt
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]


def doubt(known: str | None = None, *, age_s: float = 0.0) -> Doubt:
    return Doubt(datetime.now(UTC) - timedelta(seconds=age_s), Done(known) if known else None)


async def made(url: str, *incidents: str) -> list[str]:
    receiver = jira_receiver(url)
    answers = [await receiver.carry(ticket(one), {}, "n1") for one in incidents]
    await receiver.close()
    return [answer.reference for answer in answers if isinstance(answer, Done)]


async def test_a_lost_ticket_is_found_by_its_key_while_the_index_lags(jira: JiraRunning) -> None:
    server, url = jira
    (known,) = await made(url, "before")
    server.index_lag = 3600.0
    await made(url, "i1")
    receiver = jira_receiver(url)
    assert await receiver.find(ticket("i1"), {}, doubt(known)) == Done("OPS-2", f"{url}/browse/OPS-2")
    assert isinstance(await receiver.find(ticket("i2"), {}, doubt(known)), Absent)
    await receiver.close()


async def test_where_keys_cannot_be_read_in_bulk_they_are_read_one_by_one(jira: JiraRunning) -> None:
    _, url = jira
    await made(url, "before", "i1")
    wire = jira_wire.Wire(url, "tocsin@example.com", Secret(CANARY), cloud=False, timeout_s=TIMEOUT_S)
    search = Search(wire, 0.0)
    doc = read(ticket("i1").body)
    assert isinstance(doc, TicketDoc)
    assert await search._probe(doc, 1) == ["OPS-2"]
    assert await search._probe(doc, 2) == []
    await wire.close()


async def test_the_first_ticket_of_a_project_is_found_though_nothing_can_be_searched(jira: JiraRunning) -> None:
    server, url = jira
    server.index_lag = 3600.0
    await made(url, "i1")
    receiver = jira_receiver(url, quiet_s=30.0)
    assert isinstance(await receiver.find(ticket("i1"), {}, doubt(age_s=1)), Blind)
    assert await receiver.find(ticket("i1"), {}, doubt(age_s=31)) == Done("OPS-1", f"{url}/browse/OPS-1")
    assert isinstance(await receiver.find(ticket("i2"), {}, doubt(age_s=31)), Absent)
    await receiver.close()


async def test_a_search_that_does_not_show_what_is_there_is_blind(jira: JiraRunning) -> None:
    server, url = jira
    (known,) = await made(url, "before")
    server.book.index.blind = True
    receiver = jira_receiver(url)
    found = await receiver.find(ticket("i1"), {}, doubt(known))
    assert isinstance(found, Blind) and known in found.why
    await receiver.close()


async def test_a_known_ticket_that_was_deleted_does_not_blind_for_ever(jira: JiraRunning) -> None:
    server, url = jira
    known, other = await made(url, "before", "other")
    gone = server.book.find(known)
    assert gone is not None and other
    server.book.delete(gone)
    receiver = jira_receiver(url)
    assert isinstance(await receiver.find(ticket("i1"), {}, doubt(known)), Absent)
    await receiver.close()


@pytest.mark.parametrize("path", ["/rest/api/*/search/jql", "/rest/api/*/issue/bulkfetch", "/rest/api/*/issue/*"])
@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
async def test_a_look_that_fails_is_blind(jira: JiraRunning, path: str, code: int) -> None:
    server, url = jira
    (known,) = await made(url, "before")
    server.faults.add(Fault(path=path, kind="status", code=code, when="before", times=None))
    receiver = jira_receiver(url)
    assert isinstance(await receiver.find(ticket("i1"), {}, doubt(known)), Blind)
    assert posts(server.serving.calls, "/issue") == 1
    await receiver.close()


async def test_a_copy_that_a_person_made_is_not_ours(jira: JiraRunning) -> None:
    server, url = jira
    known, ours = await made(url, "before", "i1")
    original = server.book.find(ours)
    assert original is not None
    values = {"summary": original.summary, "labels": list(original.labels), "kind": "10001"}
    server.book.create("OPS", "someone", values)
    original.properties.clear()
    receiver = jira_receiver(url)
    assert isinstance(await receiver.find(ticket("i1"), {}, doubt(known)), Absent)
    await receiver.close()


async def test_another_deployment_in_the_same_project_keeps_its_own_tickets(jira: JiraRunning) -> None:
    _, url = jira
    receiver = jira_receiver(url)
    done = await receiver.carry(ticket("i1"), {}, "n1")
    assert isinstance(done, Done)
    theirs = ticket("i1", deployment="stage", seed="stage/i1")
    assert isinstance(await receiver.find(theirs, {}, doubt(done.reference)), Absent)
    await receiver.close()


async def test_a_doubled_ticket_is_closed_as_a_duplicate_of_the_recorded_one(jira: JiraRunning) -> None:
    server, url = jira
    first, second = await made(url, "i1", "i1")
    receiver = jira_receiver(url)
    await receiver.confirm(ticket(), Done(second))
    assert await receiver.audit(ticket(), Done(second)) == Done(first)
    assert tickets(server) == [second]
    retired = server.book.find(first)
    assert (
        retired is not None and retired.resolution == "10002" and len(retired.links) == 1 and len(retired.comments) == 1
    )
    await receiver.close()


@pytest.mark.parametrize("touch", ["comment", "status", "assignee"])
async def test_a_ticket_that_a_person_has_touched_stays_open(jira: JiraRunning, touch: str) -> None:
    from streams.sandbox.jira.ticket import Comment, now

    server, url = jira
    child, parent = await made(url, "i1", "i2")
    found = server.book.find(child)
    assert found is not None
    match touch:
        case "comment":
            found.comments.append(Comment(1, "ada", now(), "mine"))
        case "status":
            server.book.move(found, "ada", "3", {})
        case "assignee":
            server.book.change(found, "ada", {"assignee": "ada"})
    receiver = jira_receiver(url)
    references = {"i1:ticket:1": Done(child), "i2:ticket:1": Done(parent)}
    for _ in range(2):
        assert isinstance(await receiver.carry(duplicate("i1", "i2"), references, "n"), Done)
    assert found.status != "10001" and len(found.links) == 1
    assert len(found.comments) == 1 + (touch == "comment")
    await receiver.close()


async def test_an_untouched_duplicate_is_linked_explained_and_closed(jira: JiraRunning) -> None:
    server, url = jira
    child, parent = await made(url, "i1", "i2")
    receiver = jira_receiver(url)
    references = {"i1:ticket:1": Done(child), "i2:ticket:1": Done(parent)}
    assert await receiver.carry(duplicate("i1", "i2"), references, "n") == Done(child)
    found = server.book.find(child)
    assert found is not None and (found.status, found.resolution) == ("10001", "10002")
    await receiver.close()


async def test_a_lost_page_is_found_by_its_metadata_and_an_absent_one_is_looked_for_twice(slack: SlackRunning) -> None:
    server, url = slack
    receiver = slack_receiver(url)
    done = await receiver.carry(page("i1"), {}, "n1")
    assert await receiver.find(page("i1"), {}, doubt()) == done
    server.serving.calls.clear()
    assert isinstance(await receiver.find(page("i2"), {}, doubt()), Absent)
    assert sum(call.path == "/api/conversations.history" for call in server.serving.calls) == 2
    assert len(pages(server)) == 1
    await receiver.close()


async def test_of_two_pages_the_older_is_adopted_and_only_recent_ones_are_looked_at(slack: SlackRunning) -> None:
    _, url = slack
    receiver = slack_receiver(url)
    first = await receiver.carry(page("i1"), {}, "n1")
    await receiver.carry(page("i1"), {}, "n2")
    assert await receiver.find(page("i1"), {}, doubt()) == first
    assert isinstance(await receiver.find(page("i1"), {}, doubt(age_s=-3600)), Absent)
    await receiver.close()


async def test_a_busy_channel_is_read_page_by_page(slack: SlackRunning) -> None:
    from streams.sandbox.slack.state import Message

    server, url = slack
    receiver = slack_receiver(url)
    done = await receiver.carry(page("i1"), {}, "n1")
    channel = server.workspace.channels[CHANNEL]
    for _ in range(450):
        channel.put(Message(channel.next_ts(), "U0ADA", "chatter"))
    assert await receiver.find(page("i1"), {}, doubt()) == done
    await receiver.close()


@pytest.mark.parametrize("code", [429, 500])
async def test_a_channel_that_cannot_be_read_now_is_blind(slack: SlackRunning, code: int) -> None:
    server, url = slack
    server.faults.add(Fault(path="conversations.history", kind="status", code=code, when="before", times=None))
    receiver = slack_receiver(url)
    assert isinstance(await receiver.find(page("i1"), {}, doubt()), Blind)
    await receiver.close()


async def test_a_channel_that_may_never_be_read_keeps_nobody_from_being_paged(slack: SlackRunning) -> None:
    server, url = slack
    body = '{"ok": false, "error": "missing_scope"}'
    server.faults.add(
        Fault(path="conversations.history", kind="status", code=200, body=body, when="before", times=None)
    )
    receiver = slack_receiver(url)
    assert isinstance(await receiver.find(page("i1"), {}, doubt()), Absent)
    await receiver.close()
