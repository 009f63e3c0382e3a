"""What is done to a ticket after it exists: links, comments, files, closing; and what people did to it first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from respond.outside import comment, duplicate, evidence, jira_receiver, posts, ticket

from streams.records import Answer, Done, NotDone, Obligation, Refused
from streams.respond.messages import CommentDoc, EvidenceDoc, LinkDoc, TransitionDoc, body, read
from streams.respond.receivers.jira import Jira
from streams.respond.receivers.jira_comments import OURS_MAX
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.jira.rules import Workflow
from streams.sandbox.jira.ticket import Ticket

Site = tuple[SandboxJira, str, bool]
TICKET = "i1:ticket:1"
DONE = "10001"


class World:
    """A receiver and a ticket that it has opened."""

    def __init__(self, server: SandboxJira, receiver: Jira) -> None:
        self.server, self.receiver = server, receiver
        self.references: dict[str, Done] = {}

    async def open(self, incident: str = "i1", **given: Any) -> Ticket:
        done = await self.receiver.carry(ticket(incident, **given), {}, "n1")
        assert isinstance(done, Done), done
        self.references[f"{incident}:ticket:1"] = done
        found = self.server.book.find(done.reference)
        assert found is not None
        return found

    async def carry(self, obligation: Obligation) -> Answer:
        return await self.receiver.carry(obligation, self.references, "n")

    def writes(self) -> int:
        return sum(call.method != "GET" for call in self.server.serving.calls)


@pytest.fixture
async def world(site: Site) -> AsyncIterator[World]:
    server, url, cloud = site
    receiver = jira_receiver(url, cloud=cloud, timeout_s=5.0)
    yield World(server, receiver)
    await receiver.close()


def owed(kind: Any, doc: Any, ordinal: int = 1) -> Obligation:
    return Obligation(f"i1:{kind}:{ordinal}", "i1", kind, ordinal, "jira:OPS", body(doc), (TICKET,))


def link(**given: Any) -> Obligation:
    known = {
        "incident": "i1",
        "deployment": "test",
        "ticket": TICKET,
        "url": "https://tocsin.example/i/1",
        "title": "x",
    }
    return owed("link", LinkDoc(**{**known, **given}))


def moved(to: Any, ordinal: int = 1) -> Obligation:
    doc = TransitionDoc(
        incident="i1", deployment="test", to=to, ticket=TICKET, parent="", parent_ticket="", lines=("Over.",)
    )
    return owed("transition", doc, ordinal)


def big(count: int) -> Obligation:
    small = read(evidence().body)
    assert isinstance(small, EvidenceDoc)
    return owed(
        "evidence", msgspec.structs.replace(small, excerpts=tuple({"n": n, "x": "y" * 200} for n in range(count)))
    )


# -- the ticket itself ------------------------------------------------------------------------------------------------


async def test_further_fields_of_an_owner_are_sent_and_cannot_take_the_identity(world: World) -> None:
    more = {
        "customfield_10100": {"value": "fixed"}, "project": {"key": "DEV"}, "issuetype": {"name": "Bug"}, "summary": "mine",
        "labels": ["team-a", "not a label", "tocsin"], "priority": {"name": "Lowest"},
    }  # fmt: skip
    found = await world.open(more=more)
    assert (found.outcome, found.key, found.kind, found.summary) == ("fixed", "OPS-1", "10001", "A tool fails")
    assert found.priority == "2", "severity decides it, where the policy says how"
    assert found.labels[:2] == ["tocsin", "team-a"] and found.labels[-1] == "tocsin-unconfirmed"
    assert len(found.labels) == 4


async def test_what_people_write_into_a_ticket_stays(world: World) -> None:
    found = await world.open()
    mine = {"summary": "Mine", "priority": "5", "assignee": "ada", "labels": [*found.labels, "mine"]}
    world.server.book.change(found, "ada", mine)
    await world.receiver.confirm(ticket(), world.references[TICKET])
    await world.carry(comment())
    await world.carry(link())
    assert (found.summary, found.priority, found.assignee) == ("Mine", "5", "ada")
    assert "mine" in found.labels and "tocsin-unconfirmed" not in found.labels


# -- the way back -----------------------------------------------------------------------------------------------------


async def test_the_link_to_the_page_is_there_once_and_says_when_it_is_over(world: World) -> None:
    found = await world.open()
    first = await world.carry(link())
    assert isinstance(first, Done)
    assert await world.carry(link(resolved=True, summary="Resolved as fixed\n now")) == first
    (there,) = found.remote
    assert there.global_id == "tocsin:test:i1"
    assert there.body["object"] == {
        "url": "https://tocsin.example/i/1", "title": "x", "summary": "Resolved as fixed now", "status": {"resolved": True},
    }  # fmt: skip


async def test_a_long_name_still_links_once_and_a_harmful_address_never(world: World) -> None:
    found = await world.open()
    for _ in range(2):
        assert isinstance(await world.carry(link(deployment="d" * 300)), Done)
    assert len(found.remote) == 1 and len(found.remote[0].global_id or "") <= 255
    assert isinstance(await world.carry(link(url="javascript:alert(1)")), Refused)
    assert len(found.remote) == 1


# -- comments ---------------------------------------------------------------------------------------------------------


async def test_a_comment_is_written_once_however_many_people_have_written_since(world: World) -> None:
    found = await world.open()
    first = await world.carry(comment())
    for number in range(150):
        world.server.book.comment(found, "ada", f"chatter {number}")
    assert await world.carry(comment()) == first
    assert len(found.comments) == 151


async def test_there_is_an_end_to_our_comments_but_not_to_those_of_people(world: World) -> None:
    found = await world.open()
    for number in range(OURS_MAX):
        world.server.book.comment(found, "us", "x", [{"key": "tocsin.comment", "value": {"mark": str(number)}}])
        world.server.book.comment(found, "ada", "x")
    answer = await world.carry(comment())
    assert isinstance(answer, Refused) and str(OURS_MAX) in answer.why
    assert len(found.comments) == 2 * OURS_MAX
    assert posts(world.server.serving.calls, "/comment") == 0


# -- files ------------------------------------------------------------------------------------------------------------


async def test_evidence_that_is_too_big_is_shortened_and_the_ticket_says_what_is_missing(world: World) -> None:
    found = await world.open()
    world.server.rules.upload_limit = 5000
    for _ in range(2):
        assert isinstance(await world.carry(big(100)), Done)
    (file,) = found.files
    assert file.name.endswith("-shortened.json") and 2500 < file.size <= 5000
    (said,) = found.comments
    assert "of 100 excerpts are left out" in str(said.body)


async def test_a_limit_that_only_a_refusal_tells_shortens_as_well(world: World) -> None:
    found = await world.open()
    world.server.faults.add(
        Fault(path="/rest/api/*/issue/*/attachments", kind="status", code=413, when="before", body="<html>", headers={"Content-Type": "text/html"})
    )  # fmt: skip
    assert isinstance(await world.carry(big(3)), Done)
    (file,) = found.files
    assert file.name.endswith("-shortened.json")
    assert "3 of 3 excerpts are left out" in str(found.comments[0].body)


async def test_evidence_that_nobody_takes_is_listed_as_missing_and_blocks_nothing(world: World) -> None:
    found = await world.open()
    world.server.rules.attachments = False
    for _ in range(2):
        answer = await world.carry(evidence())
        assert isinstance(answer, Refused) and "switched off" in answer.why
    world.server.rules.attachments = True
    assert isinstance(await world.carry(comment()), Done)
    assert ["could not be attached" in str(one.body) for one in found.comments] == [True, False]


# -- closing ----------------------------------------------------------------------------------------------------------


async def test_an_untouched_ticket_is_closed_when_nobody_answered_and_says_why(world: World) -> None:
    found = await world.open()
    await world.carry(comment())
    assert await world.carry(moved("done")) == Done(found.key)
    assert (found.status, len(found.comments)) == (DONE, 2)


def _edited(world: World, found: Ticket) -> None:
    world.server.book.change(found, "ada", {"summary": "mine"})


def _commented(world: World, found: Ticket) -> None:
    world.server.book.comment(found, "ada", "mine")


def _started(world: World, found: Ticket) -> None:
    world.server.book.move(found, "ada", "3", {})


@pytest.mark.parametrize("touch", [_edited, _commented, _started])
async def test_a_ticket_that_a_person_has_touched_is_left_open(world: World, touch: Callable[..., None]) -> None:
    found = await world.open()
    touch(world, found)
    assert isinstance(await world.carry(moved("done")), Done)
    assert found.status != DONE


async def test_an_assignee_from_the_policy_is_no_person_who_touched_it(world: World) -> None:
    cloud = world.server.cloud
    found = await world.open(more={"assignee": {"accountId": "5b10ac8d82e05b22cc7d4ef5"} if cloud else {"name": "ada"}})
    assert found.assignee is not None
    await world.carry(moved("done"))
    assert found.status == DONE


async def test_a_workflow_without_a_way_there_is_left_and_one_that_insists_gets_its_resolution(world: World) -> None:
    found = await world.open()
    world.server.rules.workflow["OPS"] = Workflow(done=False)
    assert isinstance(await world.carry(moved("done")), Done)
    assert found.status != DONE
    world.server.rules.workflow["OPS"] = Workflow(resolution="required")
    assert isinstance(await world.carry(moved("done", 2)), Done)
    assert (found.status, found.resolution) == (DONE, "10000")


async def test_a_field_that_only_people_can_fill_is_named(world: World) -> None:
    await world.open()
    world.server.rules.workflow["OPS"] = Workflow(needs=["fixVersions"])
    answer = await world.carry(moved("done"))
    assert isinstance(answer, Refused) and "Fix versions is required" in answer.why


async def test_a_ticket_is_opened_again_unless_a_person_has_closed_it_twice(world: World) -> None:
    found = await world.open()
    await world.carry(moved("done"))
    await world.carry(moved("open", 2))
    assert found.status != DONE
    for _ in range(2):
        world.server.book.move(found, "ada", DONE, {})
        world.server.book.move(found, "ada", "10000", {})
    world.server.book.move(found, "ada", DONE, {})
    await world.carry(moved("open", 3))
    assert found.status == DONE


async def test_a_duplicate_of_itself_is_none(world: World) -> None:
    await world.open()
    world.references["i2:ticket:1"] = world.references[TICKET]
    before = world.writes()
    assert isinstance(await world.carry(duplicate("i1", "i2")), Done)
    assert world.writes() == before


# -- what people do to the place --------------------------------------------------------------------------------------


async def test_whatever_is_owed_to_a_moved_ticket_reaches_it_by_its_old_key(world: World) -> None:
    found = await world.open()
    book = world.server.book
    book.projects["DEV"], book.versions["DEV"], book._numbers["DEV"] = "10009", {}, 0
    book.rekey(found, "ada", "DEV")
    for one in (comment(), evidence(), link()):
        assert isinstance(await world.carry(one), Done)
    assert (len(found.comments), len(found.files), len(found.remote)) == (1, 1, 1)


@pytest.mark.parametrize("make", [comment, evidence, link, lambda: moved("done")])
async def test_a_deleted_ticket_is_refused_and_never_opened_again(world: World, make: Callable[[], Obligation]) -> None:
    found = await world.open()
    world.server.book.delete(found)
    answer = await world.carry(make())
    assert isinstance(answer, Refused) and answer.why.startswith("404")
    assert posts(world.server.serving.calls, "/issue") == 1


async def test_an_archived_project_says_so_and_other_projects_go_on(world: World) -> None:
    await world.open()
    book = world.server.book
    book.projects["DEV"], book.versions["DEV"], book._numbers["DEV"] = "10009", {}, 0
    world.server.rules.archived.add("OPS")
    for one in (comment(), ticket("i2")):
        answer = await world.carry(one)
        assert isinstance(answer, Refused) and "archived" in answer.why
    assert isinstance(await world.carry(ticket("i3", project="DEV")), Done)


async def test_what_comes_without_its_ticket_is_refused(world: World) -> None:
    doc = CommentDoc(incident="i1", deployment="test", ticket=TICKET, lines=("x",))
    assert isinstance(await world.carry(owed("comment", doc)), Refused)


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "begins"),
    [("jira-quota-global-based", "quota: "), ("jira-quota-tenant-based", "quota: "), ("jira-per-issue-on-write", "this one: "),
     ("jira-burst-based", "429"), ("", "429"), ("<b>\n", "429: too many requests")],
)  # fmt: skip
async def test_a_limit_says_whom_it_is_about(world: World, reason: str, begins: str) -> None:
    headers = {"Retry-After": "9", **({"RateLimit-Reason": reason.strip()} if reason else {})}
    world.server.faults.add(Fault(path="/rest/api/*/issue", kind="status", code=429, when="before", headers=headers))
    answer = await world.carry(ticket())
    assert isinstance(answer, NotDone) and answer.after_s == 9.0 and answer.why.startswith(begins)


async def test_without_seconds_the_time_of_the_reset_is_heeded(world: World) -> None:
    for given, least in (("2099-01-01T00:00:00Z", 3600.0), ("2020-01-01T00:00Z", 0.0)):
        headers = {"X-RateLimit-Reset": given}
        world.server.faults.add(
            Fault(path="/rest/api/*/issue", kind="status", code=429, when="before", headers=headers)
        )
        answer = await world.carry(ticket())
        assert isinstance(answer, NotDone) and answer.after_s == least


async def test_a_conflict_is_repeated_a_little_later_and_holds_up_nobody_else(world: World) -> None:
    await world.open()
    world.server.faults.add(
        Fault(path="/rest/api/*/issue/*/transitions", method="POST", kind="status", code=409, when="before")
    )
    answer = await world.carry(moved("done"))
    assert isinstance(answer, NotDone) and answer.why.startswith("this one: 409") and answer.after_s == 5.0
    assert isinstance(await world.carry(moved("done")), Done)


async def test_all_that_an_incident_gets_stays_within_the_limits_of_one_ticket(world: World) -> None:
    await world.open()
    calls: list[Awaitable[Answer]] = [world.carry(one) for one in (comment(), evidence(), link(), moved("done"))]
    await asyncio.gather(*calls)
    assert world.server.violations == {}
