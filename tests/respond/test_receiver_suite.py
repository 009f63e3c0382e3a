"""One contract for all receivers: whatever goes wrong, the answer is the right one of four, and the world ends up right.

Each row is a receiver and a thing it carries; each is met with the whole menu of faults, before and after the effect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from respond.faults_table import FAULTS, Case
from respond.outside import SLACK_CANARY
from respond.suite_worlds import KINDS, PATIENT_S, QUICK_S, SECRETS, Kind, World

from streams.records import Answer, Done, NotDone, Refused, Unknown
from streams.respond.meters import Meters
from streams.respond.receivers.protocol import Absent, Blind, Doubt, Receiver

TOGETHER = 6
CALL_S_MAX = 5.0  # of one method of a receiver, however many calls it makes: none of them may hang for longer
ECHO = Case(
    "400-echo-before",
    {
        "kind": "status", "code": 400, "when": "before",
        "body": '{"errorMessages":["TOKEN"],"ok":false,"error":"TOKEN","message":"TOKEN","errors":["TOKEN"]}'.replace(
            "TOKEN", SLACK_CANARY
        ),
    },
    Refused,
)  # fmt: skip
MENU = (*FAULTS, ECHO)
SOME = tuple(case for case in MENU if case.name.endswith("before"))
BODY = ("truncated", "stall", "wrong-type")  # what is wrong with the body of a 2xx
ROWS = [pytest.param(name, kind, id=f"{name}-{kind.name}") for name, kinds in KINDS.items() for kind in kinds]
LOOKED_FOR = [
    pytest.param(name, kind, id=f"{name}-{kind.name}")
    for name, kinds in KINDS.items()
    for kind in kinds
    if kind.name.startswith("ticket") or (name == "slack" and kind.more)
]


class Wanted(NamedTuple):
    """The arms that are right, and how many calls may write."""

    arms: tuple[type, ...]
    writes: int = 1


def wanted(receiver: str, kind: str, case: Case) -> Wanted:
    """What the menu says, and where a receiver differs from it."""
    what, _, when = case.name.rpartition("-")
    if receiver == "webhook" and what in BODY:
        return Wanted((Done,))  # a 2xx is its word, whatever becomes of the body
    if receiver == "webhook" and what == "503-seconds":
        return Wanted((NotDone,))
    if receiver != "jira" and what == "409":
        return Wanted((Refused,))  # Jira says it of two changes at once
    if kind == "evidence" and what == "413":
        return Wanted((Done,), 2)  # a smaller file is another one
    if kind in ("duplicate", "confirmation") and what in BODY[:2] and when == "after":
        return Wanted((Done, Unknown))  # a 204 has no body that could be cut
    return Wanted((case.write,))


class Witness:
    """Hears everything that a receiver says, in answers, metrics and logs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._meters = Meters(self.registry)
        self.heard: list[str] = []

    def note(self, world: World, answer: Answer | Absent | Blind) -> None:
        self.heard.append(repr(answer))
        if isinstance(answer, Done | NotDone | Refused | Unknown):
            self._meters.answered(world.obligation.destination.partition(":")[0], world.obligation.kind, answer)

    def assert_silent(self, logged: str) -> None:
        said = "\n".join((*self.heard, generate_latest(self.registry).decode(), logged))
        assert not [secret for secret in SECRETS if secret in said]
        assert "Authorization" not in logged


class Scene(NamedTuple):
    world: World
    measured: Receiver  # short of time where the fault takes time
    patient: Receiver

    async def timed(self, call: Awaitable[Any]) -> tuple[Any, str]:
        """What it says, and what is wrong with how long it took."""
        began = time.monotonic()
        answer = await call
        took = time.monotonic() - began
        return answer, "" if took < CALL_S_MAX else f", after {took:.1f} s"

    async def writes(self) -> int:
        """Calls that reached the other side; one whose caller was impatient may still be on its way."""
        deadline = time.monotonic() + 2.0
        while not self.world.writes() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return self.world.writes()

    async def released(self) -> None:
        """What was held back is let go, and happens now."""
        self.world.server.faults.clear()
        deadline = time.monotonic() + 10.0
        while any(_held(call) for call in self.world.server.serving.calls):
            assert time.monotonic() < deadline, "a call that was held back never ended"
            await asyncio.sleep(0.01)

    async def settled(self, answer: Answer, started: datetime) -> Answer:
        """As a carrier does it, without its waits: repeat what was not done, ask about what nobody knows."""
        one, references, receiver = self.world.obligation, self.world.references, self.patient
        for number in range(20):
            if isinstance(answer, Done | Refused):
                break
            if isinstance(answer, Unknown):
                found = await receiver.find(one, references, Doubt(started))
                if isinstance(found, Done):
                    return found
                if isinstance(found, Blind):
                    await asyncio.sleep(0.05)
                    continue
            answer = await receiver.carry(one, references, f"n{number + 2}")
        return answer

    async def cared(self, done: Done) -> None:
        if self.world.obligation.kind in self.patient.confirmed:
            for step in (self.patient.confirm, self.patient.audit):
                answer = await step(self.world.obligation, done)
                assert isinstance(answer, Done), answer


def _held(call: Any) -> bool:
    return bool(call.fault and call.fault.endswith(":hang") and call.status is None)


@asynccontextmanager
async def opened(kind: Kind, case: Case) -> AsyncIterator[Scene]:
    impatient = case.given["kind"] in ("hang", "stall")
    async with kind.open() as world:
        scene = Scene(world, world.make(QUICK_S if impatient else PATIENT_S), world.make(PATIENT_S))
        try:
            yield scene
        finally:
            await scene.measured.close()
            await scene.patient.close()


async def every(kind: Kind, cases: Iterable[Case], run: Callable[[Scene, Case], Awaitable[str]]) -> None:
    """All of them, a few at a time; every trouble is told, not only the first."""
    gate = asyncio.Semaphore(TOGETHER)

    async def one(case: Case) -> str:
        async with gate, opened(kind, case) as scene:
            trouble = await run(scene, case)
            return trouble and f"{case.name}: {trouble}"

    troubles = [trouble for trouble in await asyncio.gather(*(one(case) for case in cases)) if trouble]
    assert not troubles, "\n".join(troubles)


@pytest.mark.parametrize(("name", "kind"), ROWS)
async def test_what_is_carried_is_written_once_answered_right_and_there_in_the_end(
    name: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness()

    async def run(scene: Scene, case: Case) -> str:
        world, (arms, writes) = scene.world, wanted(name, kind.name, case)
        method, path = world.write
        world.server.faults.add(case.fault(path, method=method))
        started = datetime.now(UTC)
        for number in range(5):
            answer, late = await scene.timed(scene.measured.carry(world.obligation, world.references, f"n{number}"))
            witness.note(world, answer)
            if not isinstance(answer, NotDone) or world.writes():
                break  # else a look before the write was too slow for this machine
        if not isinstance(answer, arms) or await scene.writes() != writes or late:
            return f"{answer!r} instead of {arms}, {world.writes()} writes{late}"
        end = await scene.settled(answer, started)
        witness.note(world, end)
        await scene.released()
        if isinstance(end, Done):
            await scene.cared(end)
        there = world.effects()
        return "" if right(case, end, there) else f"ended with {end!r}, and it is there {there} times"

    def right(case: Case, end: Answer, there: int) -> bool:
        what, _, when = case.name.rpartition("-")
        if not isinstance(end, Done):
            return isinstance(end, Refused) and there <= 1
        if there > 1:  # it came late, or the other side did it and said that it had not
            return kind.more and (what in ("hang", "late", "413") or what.startswith("429"))
        return there == 1 or (name == "webhook" and what in BODY and when == "before")

    await every(kind, MENU, run)
    witness.assert_silent(caplog.text)


@pytest.mark.parametrize(("name", "kind"), LOOKED_FOR)
async def test_what_is_there_is_never_believed_absent(name: str, kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """Its answer was lost, and the look for it goes wrong in every way."""
    caplog.set_level(logging.DEBUG)
    witness = Witness()

    async def run(scene: Scene, case: Case) -> str:
        world, started = scene.world, datetime.now(UTC)
        done = await scene.patient.carry(world.obligation, world.references, "n1")
        world.server.faults.add(case.fault(world.look))
        doubt = Doubt(started)
        found, late = await scene.timed(scene.measured.find(world.obligation, world.references, doubt))
        witness.note(world, found)
        # Where Slack may never be read, a page twice is better than none.
        allowed = (Done, Blind, Absent) if name == "slack" and case.write is not Unknown else (Done, Blind)
        if not isinstance(found, allowed) or world.writes() != 1 or late:
            return f"{found!r}, {world.writes()} writes{late}"
        await scene.released()
        again = await scene.patient.find(world.obligation, world.references, doubt)
        same = isinstance(again, Done) and isinstance(done, Done) and again.reference == done.reference
        return "" if same else f"{again!r} instead of {done!r}"

    await every(kind, MENU, run)
    witness.assert_silent(caplog.text)


@pytest.mark.parametrize("name", ["pagerduty", "webhook"])
async def test_what_may_be_repeated_is_not_looked_for(name: str) -> None:
    async with opened(KINDS[name][0], ECHO) as scene:
        assert isinstance(await scene.patient.find(scene.world.obligation, {}, Doubt(datetime.now(UTC))), Absent)
        assert not scene.world.server.serving.calls


@pytest.mark.parametrize("name", ["slack", "pagerduty", "webhook"])
async def test_what_needs_no_confirmation_makes_no_call_for_it(name: str) -> None:
    async with opened(KINDS[name][0], ECHO) as scene:
        one = scene.world.obligation
        assert await scene.patient.confirm(one, Done("r")) == Done("r")
        assert await scene.patient.audit(one, Done("r")) == Done("")
        assert not scene.world.server.serving.calls
        assert not scene.patient.confirmed


async def test_a_confirmation_is_repeated_until_it_holds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness()

    async def run(scene: Scene, case: Case) -> str:
        world, patient = scene.world, scene.patient
        done = await patient.carry(world.obligation, {}, "n1")
        assert isinstance(done, Done)
        world.server.faults.add(case.fault("/rest/api/*/issue/*", method="PUT"))
        answer, late = await scene.timed(scene.measured.confirm(world.obligation, done))
        witness.note(world, answer)
        again = await patient.confirm(world.obligation, done)
        labels = world.server.book.find(done.reference).labels
        well = isinstance(answer, wanted("jira", "confirmation", case).arms) and again == done and not late
        return "" if well and "tocsin-unconfirmed" not in labels else f"{answer!r}, then {again!r}, {labels}{late}"

    await every(KINDS["jira"][0], MENU, run)
    witness.assert_silent(caplog.text)


@pytest.mark.parametrize(
    ("path", "menu"),
    [("/rest/api/*/issue/*/transitions", MENU), ("/rest/api/*/search/jql", SOME), ("/rest/api/*/issue/*", SOME)],
)
async def test_an_audit_closes_the_second_one_whatever_goes_wrong_first(
    path: str, menu: tuple[Case, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness()

    async def run(scene: Scene, case: Case) -> str:
        world, patient = scene.world, scene.patient
        done, _ = [await patient.carry(world.obligation, {}, f"n{n}") for n in range(2)]
        assert isinstance(done, Done)
        await patient.confirm(world.obligation, done)
        world.server.faults.add(case.fault(path))
        answer, late = await scene.timed(scene.measured.audit(world.obligation, done))
        witness.note(world, answer)
        await scene.released()
        again = await patient.audit(world.obligation, done)
        kept = world.server.book.find(done.reference)
        well = isinstance(again, Done) and world.effects() == 1 and kept.status != "10001" and not late
        return "" if well else f"{answer!r}, then {again!r}, {world.effects()} open{late}"

    await every(KINDS["jira"][0], menu, run)
    witness.assert_silent(caplog.text)


@pytest.mark.parametrize("name", [*KINDS])
async def test_what_was_never_sent_is_not_done(name: str) -> None:
    async with KINDS[name][0].open() as world:
        receiver = world.make(QUICK_S)
    answer = await receiver.carry(world.obligation, world.references, "n1")
    await receiver.close()
    assert isinstance(answer, NotDone), answer
