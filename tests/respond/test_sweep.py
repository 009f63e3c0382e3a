"""Tickets that nobody recorded are found and settled; refusals are tried again; nothing foreign is touched."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from respond.outside import (
    PACE,
    carrying,
    comment,
    evidence,
    jira_receiver,
    promise,
    receipts,
    rows,
    settled,
    states,
    ticket,
    tickets,
    until,
)

from streams.database import connect
from streams.records import Done
from streams.respond import ticketed
from streams.respond.meters import Meters
from streams.respond.sweeping import Sweep, Sweeper
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.jira.ticket import Ticket

CREATE = "/rest/api/*/issue"
NOW = Sweep(every_s=0.0, age_minutes=0, again_s=0.0, turn_s=0.1)


async def sweep(uri: str, url: str, *, cloud: bool = True, deployment: str = "test") -> None:
    receiver = jira_receiver(url, cloud=cloud)
    sweeper = Sweeper(uri, receiver, deployment, Meters(CollectorRegistry()), NOW)
    async with await connect(uri) as conn:
        await sweeper.sweep(conn)
    await receiver.close()


async def made(url: str, *, cloud: bool = True, **given: Any) -> str:
    receiver = jira_receiver(url, cloud=cloud)
    done = await receiver.carry(ticket(**given), {}, "n1")
    await receiver.close()
    assert isinstance(done, Done)
    return done.reference


def labels(server: SandboxJira, key: str) -> list[str]:
    found = server.book.find(key)
    assert found is not None
    return found.labels


@pytest.mark.parametrize("state", ["owed", "attempting", "refused", "expired"])
async def test_a_ticket_that_nobody_recorded_is_adopted_and_then_confirmed(
    book: str, site: tuple[SandboxJira, str, bool], state: str
) -> None:
    server, url, cloud = site
    key = await made(url, cloud=cloud)
    await promise(book, ticket())
    await rows(
        book, "UPDATE obligations SET state = %s, attempt = 1, ask_after = now() + interval '1 day' RETURNING 1", state
    )
    await sweep(book, url, cloud=cloud)
    assert await rows(book, "SELECT state, reference FROM obligations") == [("done", key)]
    assert [one["answer"]["reference"] for one in await receipts(book)] == [key]
    async with carrying(book, jira_receiver(url, cloud=cloud)):
        await until(lambda: confirmed(book))
    assert "tocsin-unconfirmed" not in labels(server, key)
    assert tickets(server, open_only=False) == [key]


async def confirmed(uri: str) -> bool:
    return not await rows(uri, "SELECT 1 FROM obligations WHERE confirm_at IS NOT NULL")


async def test_of_two_that_nobody_recorded_the_first_is_adopted_and_the_other_retired(
    book: str, site: tuple[SandboxJira, str, bool]
) -> None:
    server, url, cloud = site
    first, second = await made(url, cloud=cloud), await made(url, cloud=cloud)
    await promise(book, ticket())
    await rows(book, "UPDATE obligations SET state = 'refused' RETURNING 1")
    await sweep(book, url, cloud=cloud)
    assert tickets(server) == [first]
    assert "tocsin-duplicate" in labels(server, second)
    calls = len(server.serving.calls)
    await sweep(book, url, cloud=cloud)
    assert all(call.method == "GET" for call in list(server.serving.calls)[calls:]), (
        "a second sweep finds nothing to do"
    )


async def test_a_recorded_ticket_whose_confirmation_was_lost_is_confirmed(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    server, url = jira
    await promise(book, ticket())
    server.faults.add(Fault(path="/rest/api/*/issue/*", method="PUT", kind="status", code=403, when="before"))
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    (key,) = tickets(server)
    assert "tocsin-unconfirmed" in labels(server, key)
    await sweep(book, url)
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    assert "tocsin-unconfirmed" not in labels(server, key)


async def test_a_recorded_ticket_that_was_moved_is_not_taken_for_a_second_one(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    server, url = jira
    server.book.projects["DEV"] = "10009"
    server.book.versions["DEV"] = {}
    server.book._numbers["DEV"] = 0
    key = await made(url)
    await promise(book, ticket())
    await rows(book, "UPDATE obligations SET state = 'done', reference = %s RETURNING 1", key)
    found = server.book.find(key)
    assert found is not None
    server.book.rekey(found, "ada", "DEV")
    await sweep(book, url)
    assert found.key == "DEV-1" and found.status == "10000" and not found.links
    assert await rows(book, "SELECT reference FROM obligations WHERE confirm_at IS NOT NULL") == [(key,)]


def _nobodys(found: Ticket) -> None:
    found.properties.clear()


def _another_deployments(found: Ticket) -> None:
    found.properties["tocsin.incident"]["deployment"] = "stage"


def _forgotten(found: Ticket) -> None:
    found.properties["tocsin.incident"]["obligation"] = "i9:ticket:1"


def _forged(found: Ticket) -> None:
    found.properties["tocsin.incident"] = {"deployment": "test", "obligation": ["i1:ticket:1"], "incident": {}}


@pytest.mark.parametrize("whose", [_nobodys, _another_deployments, _forgotten, _forged])
async def test_nothing_is_touched_that_is_not_surely_ours(book: str, jira: tuple[SandboxJira, str], whose: Any) -> None:
    server, url = jira
    key = await made(url)
    found = server.book.find(key)
    assert found is not None
    whose(found)
    await promise(book, ticket())
    before = len(server.serving.calls)
    await sweep(book, url)
    assert await rows(book, "SELECT state, reference FROM obligations") == [("owed", None)]
    assert all(call.method == "GET" for call in list(server.serving.calls)[before:])


async def test_a_blind_sweep_does_nothing(book: str, jira: tuple[SandboxJira, str]) -> None:
    server, url = jira
    await made(url)
    await promise(book, ticket())
    server.book.index.blind = True
    await sweep(book, url)
    server.book.index.blind = False
    server.faults.add(Fault(path="/rest/api/*/search/jql", kind="status", code=503, when="before"))
    await sweep(book, url)
    server.faults.add(Fault(path="/rest/api/*/issue/*", kind="status", code=403, when="before"))
    await sweep(book, url)
    assert await states(book) == {"i1:ticket:1": "owed"}


async def test_a_recorded_ticket_that_a_person_deleted_leaves_the_other_one_to_people(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    server, url = jira
    first, second = await made(url), await made(url)
    await promise(book, ticket())
    await rows(book, "UPDATE obligations SET state = 'done', reference = %s RETURNING 1", first)
    gone = server.book.find(first)
    assert gone is not None
    server.book.delete(gone)
    await sweep(book, url)
    assert tickets(server) == [second]


async def test_a_field_that_is_mended_lets_the_ticket_and_all_that_waits_for_it_through(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    """A new required field, then its removal: nobody restarts anything."""
    server, url = jira
    server.desk.required.add("customfield_10100")
    await promise(book, ticket(), evidence(), comment(), ticket("i2", more={"customfield_10100": {"value": "fixed"}}))
    receiver = jira_receiver(url)
    sweeper = Sweeper(book, receiver, "test", Meters(CollectorRegistry()), NOW._replace(every_s=3600.0))
    async with carrying(book, jira_receiver(url)), await connect(book) as conn:
        await until(lambda: refused(book, 3))
        why = await rows(book, "SELECT why FROM obligations WHERE id = 'i1:ticket:1'")
        assert "Outcome is required" in why[0][0]
        assert (await states(book))["i2:ticket:1"] == "done", "other incidents go on"
        await sweeper.turn(conn)
        await until(lambda: refused(book, 3))
        server.desk.required.remove("customfield_10100")
        await sweeper.turn(conn)
        await settled(book)
    await receiver.close()
    assert len(tickets(server, "i1", open_only=False)) == 1


async def refused(uri: str, count: int) -> bool:
    return list((await states(uri)).values()).count("refused") == count


async def test_a_refusal_that_no_administrator_can_mend_is_not_tried_again(book: str) -> None:
    await promise(book, evidence())
    await rows(book, "UPDATE obligations SET state = 'refused', why = '413: too big', settled_at = now() RETURNING 1")
    async with await connect(book) as conn:
        assert await ticketed.try_again(conn, "jira", 0.0) == 0
        await conn.execute("UPDATE obligations SET why = '400: no', settled_at = now() - interval '1 minute'")
        assert await ticketed.try_again(conn, "jira", 900.0) == 0, "not yet"
        await conn.execute("INSERT INTO tickets (incident, reference, gone_at) VALUES ('i1', 'OPS-1', now())")
        assert await ticketed.try_again(conn, "jira", 0.0) == 0, "a ticket that people deleted is not opened again"
        await conn.execute("DELETE FROM tickets")
        assert await ticketed.try_again(conn, "jira", 0.0) == 1


async def test_what_waited_for_a_ticket_goes_on_once_it_is_there_whatever_had_refused_it(book: str) -> None:
    await promise(book, ticket(), evidence())
    await rows(book, "UPDATE obligations SET state = 'refused', why = '413: no', settled_at = now() RETURNING 1")
    await rows(
        book,
        "UPDATE obligations SET why = 'waits for i1:ticket:1, which is refused: 413: no' WHERE kind = 'evidence' RETURNING 1",
    )
    async with await connect(book) as conn:
        assert await ticketed.try_again(conn, "jira", 0.0) == 1, "the ticket first"
        await conn.execute("UPDATE obligations SET state = 'done', settled_at = now() WHERE kind = 'ticket'")
        assert await ticketed.try_again(conn, "jira", 0.0) == 1
    assert await states(book) == {"i1:ticket:1": "done", "i1:evidence:1": "owed"}


async def test_without_a_sign_that_it_is_mended_only_a_few_are_tried(book: str) -> None:
    await promise(book, *(ticket(f"i{n}") for n in range(30)))
    await rows(
        book,
        "UPDATE obligations SET state = 'refused', why = '403: no', settled_at = now() - interval '1 hour' RETURNING 1",
    )
    async with await connect(book) as conn:
        assert await ticketed.try_again(conn, "jira", 900.0) == ticketed.PROBES
        await conn.execute("UPDATE obligations SET state = 'done', settled_at = now() WHERE id = 'i0:ticket:1'")
        assert await ticketed.try_again(conn, "jira", 900.0) == 10


async def test_the_sweeper_runs_by_itself_until_it_is_stopped(book: str, jira: tuple[SandboxJira, str]) -> None:
    import asyncio

    server, url = jira
    key = await made(url)
    await promise(book, ticket())
    await rows(book, "UPDATE obligations SET state = 'refused' RETURNING 1")
    receiver = jira_receiver(url)
    sweeper = Sweeper(book, receiver, "test", Meters(CollectorRegistry()), NOW)
    task = asyncio.create_task(sweeper.run())

    async def adopted() -> bool:
        return await rows(book, "SELECT reference FROM obligations") == [(key,)]

    await until(adopted)
    sweeper.stop()
    await task
    await receiver.close()
    assert PACE.poll_s < 1.0 and labels(server, key)
