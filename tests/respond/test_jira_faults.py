"""Every fault meets every method of the Jira receiver, on Cloud and on a Data Center, and none doubles anything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from respond.faults_table import FAULTS, Case
from respond.outside import (
    CANARY,
    PACE,
    carrying,
    comment,
    duplicate,
    evidence,
    jira_receiver,
    promise,
    rows,
    ticket,
    tickets,
    until,
)
from respond.test_jira_protocol import World, link, moved

from streams.database import connect
from streams.records import Answer, Done, NotDone, Obligation, Refused, Unknown
from streams.respond.meters import Meters
from streams.respond.receivers.protocol import Blind, Doubt, Stray
from streams.respond.sweeping import Sweep, Sweeper
from streams.sandbox.jira import SandboxDataCenter, SandboxJira
from streams.sandbox.jira.ticket import Ticket

TOGETHER = 8
QUICK_S, PATIENT_S = 1.2, 5.0
BOTH = pytest.mark.parametrize("sort", [SandboxJira, SandboxDataCenter], ids=["cloud", "data-center"])
# kind -> what is carried, the path of its write, and how often it was done
WRITES: dict[str, tuple[Callable[[], Obligation], str, Callable[[Ticket], int]]] = {
    "evidence": (evidence, "/rest/api/*/issue/*/attachments", lambda one: len(one.files)),
    "comment": (comment, "/rest/api/*/issue/*/comment", lambda one: len(one.comments)),
    "link": (link, "/rest/api/*/issue/*/remotelink", lambda one: len(one.remote)),
    "closing": (lambda: moved("done"), "/rest/api/*/issue/*/transitions", lambda one: int(one.status == "10001")),
    "duplicate": (lambda: duplicate("i1", "i2"), "/rest/api/*/issueLink", lambda one: len(one.links)),
}


async def each(check: Callable[[Case], Awaitable[str]], cases: tuple[Case, ...] = FAULTS) -> list[str]:
    """What is wrong, by case."""
    gate = asyncio.Semaphore(TOGETHER)

    async def one(case: Case) -> str:
        async with gate:
            wrong = await check(case)
            return f"{case.name}: {wrong}" if wrong else ""

    return [wrong for wrong in await asyncio.gather(*map(one, cases)) if wrong]


class Scene:
    """A server of its own with two tickets; a receiver that is short of time where the fault takes time."""

    def __init__(self, sort: type[SandboxJira]) -> None:
        self.server = sort(token=CANARY)

    async def __aenter__(self) -> Scene:
        self.url = await self.server.start()
        self.patient = jira_receiver(self.url, cloud=self.server.cloud, timeout_s=PATIENT_S)
        self.quick = jira_receiver(self.url, cloud=self.server.cloud, timeout_s=QUICK_S)
        self.world = World(self.server, self.patient)
        self.ticket = await self.world.open("i1")
        self.other = await self.world.open("i2")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.quick.close()
        await self.patient.close()
        await self.server.stop()

    def receiver(self, case: Case) -> Any:
        return self.quick if case.given["kind"] in ("hang", "stall") else self.patient

    async def released(self) -> None:
        self.server.faults.clear()
        deadline = time.monotonic() + 5.0
        while any(
            call.fault and call.fault.endswith(":hang") and call.status is None for call in self.server.serving.calls
        ):
            assert time.monotonic() < deadline, "a call that was held back never ended"
            await asyncio.sleep(0.01)

    def writes(self, since: int) -> list[str]:
        calls = list(self.server.serving.calls)[since:]
        return [call.path for call in calls if call.method != "GET" and not call.path.endswith("/bulkfetch")]


def silent(caplog: pytest.LogCaptureFixture, *said: object) -> None:
    assert CANARY not in caplog.text and "Authorization" not in caplog.text
    assert not [one for one in said if CANARY in repr(one)]


@BOTH
@pytest.mark.parametrize("kind", WRITES)
async def test_what_is_added_to_a_ticket_is_added_once(
    sort: type[SandboxJira], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make, path, count = WRITES[kind]

    async def check(case: Case) -> str:
        async with Scene(sort) as scene:
            scene.server.faults.add(case.fault(path, method="POST"))
            before = len(scene.server.serving.calls)
            answer = await scene.receiver(case).carry(make(), scene.world.references, "n1")
            same = [one for one in scene.writes(before) if one.endswith(path.rpartition("/")[2])]
            wrong = _arm(kind, case, answer)
            if len(same) != (2 if kind == "evidence" and "413" in case.name else 1):
                wrong += f" {len(same)} writes;"
            await scene.released()
            for _ in range(3):  # by now the carrier has asked, or the refusal was mended
                answer = await scene.patient.carry(make(), scene.world.references, "n2")
            silent(caplog, answer)
            there = count(scene.ticket)
            whole = kind == "evidence" and "413" in case.name  # a shortened file, and the whole one once it was taken
            right = isinstance(answer, Done) and there == 1 + whole
            return wrong if right else f"{wrong} {answer}, {there}"

    assert await each(check) == []


def _arm(kind: str, case: Case, answer: Answer) -> str:
    wanted: tuple[type, ...] = (case.write,)
    if kind == "evidence" and "413" in case.name:
        wanted = (Done,)
    if kind in ("closing", "duplicate") and case.name in ("truncated-after", "stall-after"):
        wanted = (Done, Unknown)  # their answer has no body that could be cut
    return "" if isinstance(answer, wanted) else f"{answer};"


LOOKS = {
    "search": "/rest/api/*/search**",
    "bulk": "/rest/api/*/issue/bulkfetch",
    "read": "/rest/api/*/issue/OPS-*",
}


@BOTH
@pytest.mark.parametrize("look", LOOKS)
async def test_a_ticket_that_is_there_is_never_believed_absent(
    sort: type[SandboxJira], look: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def check(case: Case) -> str:
        async with Scene(sort) as scene:
            scene.server.book.index.blind = look == "bulk"
            scene.server.faults.add(case.fault(LOOKS[look]))
            before = len(scene.server.serving.calls)
            doubt = Doubt(datetime.now(UTC), None if look == "search" else scene.world.references["i1:ticket:1"])
            found = await scene.receiver(case).find(ticket("i2"), {}, doubt)
            silent(caplog, found)
            right = isinstance(found, Blind) or (isinstance(found, Done) and found.reference == scene.other.key)
            return "" if right and not scene.writes(before) else f"{found} {scene.writes(before)}"

    assert await each(check) == []


@BOTH
@pytest.mark.parametrize("look", ["search", "read"])
async def test_an_audit_and_a_sweep_that_cannot_see_change_nothing(
    sort: type[SandboxJira], look: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def check(case: Case) -> str:
        async with Scene(sort) as scene:
            receiver, recorded = scene.receiver(case), scene.world.references["i1:ticket:1"]
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "audit": lambda: receiver.audit(ticket(), recorded),
                "strays": lambda: receiver.strays("test", 0),
                "same": lambda: receiver.same(
                    Stray(scene.other.key, str(scene.other.id), "i2", "i2:ticket:1"), recorded.reference
                ),
            }
            for name, call in calls.items():
                scene.server.faults.clear()
                scene.server.faults.add(case.fault(LOOKS[look], times=None))
                before = len(scene.server.serving.calls)
                said = await call()
                silent(caplog, said)
                blind = isinstance(said, Blind | NotDone | Unknown | Refused) or said in (Done(""), [], False)
                if not blind or scene.writes(before):
                    return f"{name}: {said} {scene.writes(before)}"
            return ""

    assert await each(check) == []


@BOTH
async def test_what_was_retired_with_a_fault_in_between_is_retired_once_in_the_end(sort: type[SandboxJira]) -> None:
    async def check(case: Case) -> str:
        wrong = ""
        for path in ("/rest/api/*/issueLink", "/rest/api/*/issue/*/comment", "/rest/api/*/issue/*/transitions"):
            async with Scene(sort) as scene:
                second = await scene.world.open("i1")
                first = scene.ticket
                stray = Stray(second.key, str(second.id), "i1", "i1:ticket:1")
                scene.server.faults.add(case.fault(path, method="POST"))
                await scene.receiver(case).retire(stray, first.key)
                await scene.released()
                answer = await scene.patient.retire(stray, first.key)
                there = (second.status == "10001", len(second.links), len(second.comments), first.status)
                if not isinstance(answer, Done) or there != (True, 1, 1, "10000"):
                    wrong += f"{path} {answer} {there}; "
        return wrong

    assert await each(check, tuple(case for case in FAULTS if case.name.endswith("after"))) == []


LONG_WAITS = ("401", "429-date")  # all of Jira for a minute, the project for as long as is allowed
AFTERWARDS = tuple(
    case
    for case in FAULTS
    if case.name.endswith("after") and case.write in (Refused, NotDone) and not case.name.startswith(LONG_WAITS)
)


@BOTH
async def test_tickets_whose_creation_was_denied_though_it_happened_are_swept_until_there_is_one_each(
    book: str, sort: type[SandboxJira]
) -> None:
    """A refusal or a limit that some gateway answers after the effect: nobody has reason to look, so the sweep does."""
    server = sort(token=CANARY)
    url = await server.start()
    for case in AFTERWARDS:
        server.faults.add(case.fault("/rest/api/*/issue", method="POST"))
    incidents = [f"i{number}" for number in range(len(AFTERWARDS))]
    await promise(book, *(ticket(one) for one in incidents))
    receiver = jira_receiver(url, cloud=server.cloud, timeout_s=PATIENT_S)
    sweeper = Sweeper(book, receiver, "test", Meters(CollectorRegistry()), Sweep(0.0, 0, 0.0, 0.05))
    carried = jira_receiver(url, cloud=server.cloud, timeout_s=PATIENT_S)
    async with carrying(book, carried, pace=PACE._replace(audits_s=(0.1,))), await connect(book) as conn:
        await until(lambda: answered(book, len(incidents)))

        async def settled() -> bool:
            await sweeper.turn(conn)
            left = await rows(book, "SELECT 1 FROM obligations WHERE state <> 'done' OR confirm_at IS NOT NULL")
            return not left and not await receiver.strays("test", 0)

        await until(settled, 30.0)
    await receiver.close()
    assert {one: len(tickets(server, one)) for one in incidents} == dict.fromkeys(incidents, 1)
    recorded = dict(await rows(book, "SELECT incident, reference FROM obligations"))
    assert recorded == {one: tickets(server, one)[0] for one in incidents}
    await server.stop()


async def answered(uri: str, count: int) -> bool:
    return len(await rows(uri, "SELECT 1 FROM attempts WHERE answered IS NOT NULL")) >= count
