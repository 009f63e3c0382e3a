"""Who is on call is asked when a page is sent: quickly, rarely, and never in a page's way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from respond.outside import CANARY, SLACK_CANARY, page

from streams.records import Done
from streams.respond.receivers import http_wire, slack_wire
from streams.respond.receivers.oncall import AGAIN_S, FRESH_S, SLACK, STALE_S, OnCall, Schedules
from streams.respond.receivers.slack import Slack
from streams.sandbox.faults import Fault
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.sandbox.pagerduty.server import SCHEDULE
from streams.sandbox.pagerduty.state import Person
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number
from streams.settings import Secret

ADA, BRUNO = number("U", "ada@example.com"), number("U", "bruno@example.com")
GROUP = number("S", "oncall")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Duty:
    """Somebody to ask, and those who are asked."""

    def __init__(self, slack: SandboxSlack, pagerduty: SandboxPagerDuty, urls: tuple[str, str]) -> None:
        self.slack, self.pagerduty, self.url, self.clock = slack, pagerduty, urls[0], Clock()
        wire = slack_wire.Wire(f"{urls[0]}/api/", Secret(SLACK_CANARY), timeout_s=1.0)
        schedules = Schedules(http_wire.Wire(timeout_s=1.0), urls[1], Secret(CANARY))
        self.oncall = OnCall(wire, schedules, lambda name, _: {"nights": "U0NIGHT"}.get(name), clock=self.clock)

    async def who(self, name: str) -> str | None:
        return await self.oncall.who(name)

    def calls(self) -> list[str]:
        return [call.path for server in (self.slack, self.pagerduty) for call in server.serving.calls]


@pytest.fixture
async def duty() -> AsyncIterator[Duty]:
    slack, pagerduty = SandboxSlack(token=SLACK_CANARY), SandboxPagerDuty(token=CANARY)
    found = Duty(slack, pagerduty, (await slack.start(), await pagerduty.start()))
    yield found
    await found.oncall.close()
    await slack.stop()
    await pagerduty.stop()


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("rota:nights", "U0NIGHT"),
        ("rota:strange", None),
        ("group:oncall", GROUP),
        ("group:@oncall", GROUP),
        ("group:strange", None),
        ("email:ada@example.com", ADA),
        ("email:nobody@example.com", None),
        (f"pagerduty:{SCHEDULE}", ADA),
        ("pagerduty:PSTRANGE", None),
        ("phone:1", None),
        ("", None),
    ],
)
async def test_each_kind_of_name_comes_to_a_person_a_group_or_nobody(duty: Duty, name: str, who: str | None) -> None:
    assert await duty.who(name) == who


async def test_of_several_on_a_schedule_the_lowest_level_is_meant(duty: Duty) -> None:
    duty.pagerduty.book.schedules[SCHEDULE] = [
        Person("P2", "Ada", "ada@example.com", 2),
        Person("P1", "Bruno", "bruno@example.com", 1),
    ]
    assert await duty.who(f"pagerduty:{SCHEDULE}") == BRUNO


async def test_somebody_is_asked_once_a_minute_however_many_pages_there_are(duty: Duty) -> None:
    assert set(await asyncio.gather(*(duty.who("group:oncall") for _ in range(50)))) == {GROUP}
    assert len(duty.calls()) == 1
    duty.clock.now += FRESH_S + 1
    assert await duty.who("group:oncall") == GROUP
    assert len(duty.calls()) == 2


async def test_a_shift_that_ends_is_noticed_within_a_minute(duty: Duty) -> None:
    assert await duty.who(f"pagerduty:{SCHEDULE}") == ADA
    duty.pagerduty.book.schedules[SCHEDULE] = [Person("P1", "Bruno", "bruno@example.com")]
    duty.clock.now += FRESH_S + 1
    assert await duty.who(f"pagerduty:{SCHEDULE}") == BRUNO


FAULTS: list[dict[str, Any]] = [
    *({"kind": kind} for kind in ("reset", "close", "hang", "stall", "truncated", "wrong_content_type")),
    *({"kind": "status", "code": code} for code in (302, 401, 403, 404, 429, 500, 503)),
    {"kind": "status", "code": 429, "headers": {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}},
    {"kind": "status", "code": 200, "body": "[]"},
    {"kind": "status", "code": 200, "body": '{"ok": true, "oncalls": [7], "user": 7, "usergroups": 7}'},
    {"kind": "status", "code": 200, "body": '{"ok": true, "oncalls": {}}'},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']}-{fault.get('code', '')}")
async def test_while_nobody_answers_whoever_was_on_call_is_meant_for_a_day(
    duty: Duty, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    name = f"pagerduty:{SCHEDULE}"
    assert await duty.who(name) == ADA
    duty.pagerduty.faults.add(Fault(path="/oncalls", times=None, **fault))
    duty.clock.now += FRESH_S + 1
    assert await duty.who(name) == ADA
    duty.clock.now += STALE_S
    assert await duty.who(name) is None
    duty.pagerduty.faults.clear()
    duty.clock.now += AGAIN_S + 60.0  # longer than anybody may ask us to wait
    assert await duty.who(name) == ADA
    assert CANARY not in caplog.text


@pytest.mark.parametrize("fault", FAULTS[:-3], ids=lambda fault: f"{fault['kind']}-{fault.get('code', '')}")
async def test_slack_that_does_not_answer_is_no_reason_to_forget(duty: Duty, fault: dict[str, Any]) -> None:
    assert await duty.who("email:ada@example.com") == ADA
    duty.slack.faults.add(Fault(path="users.lookupByEmail", times=None, **fault))
    duty.clock.now += FRESH_S + 1
    assert await duty.who("email:ada@example.com") == ADA


async def test_a_page_does_not_wait_for_somebody_who_does_not_answer(duty: Duty) -> None:
    duty.slack.faults.add(Fault(path="usergroups.list", kind="hang", times=None))
    wire = slack_wire.Wire(f"{duty.url}/api/", Secret(SLACK_CANARY))
    slow = OnCall(wire, None, lambda *_: None, wait_s=0.2)
    began = time.monotonic()
    assert await slow.who("group:oncall") is None
    assert time.monotonic() - began < 2.0
    await slow.close()


async def test_after_a_failure_nobody_is_asked_again_at_once(duty: Duty) -> None:
    duty.slack.faults.add(Fault(path="usergroups.list", kind="status", code=500, times=None))
    for _ in range(5):
        assert await duty.who("group:oncall") is None
    assert len(duty.calls()) == 1
    duty.clock.now += AGAIN_S + 1
    await duty.who("group:oncall")
    assert len(duty.calls()) == 2


async def test_a_wait_that_slack_asks_for_is_kept_for_all_names(duty: Duty) -> None:
    limited = Fault(path="usergroups.list", kind="status", code=429, headers={"Retry-After": "30"})
    duty.slack.faults.add(limited)
    assert await duty.who("group:oncall") is None
    assert await duty.who("email:ada@example.com") is None
    assert len(duty.calls()) == 1
    duty.clock.now += 31
    assert await duty.who("email:ada@example.com") == ADA


async def test_many_names_at_once_stay_within_their_share_of_slack(duty: Duty) -> None:
    names = [f"email:somebody{n}@example.com" for n in range(100)]
    assert set(await asyncio.gather(*(duty.who(name) for name in names))) == {None}
    assert len(duty.calls()) == SLACK.at_once


async def test_forty_owners_with_a_group_each_are_all_woken_in_a_storm(duty: Duty) -> None:
    groups = {f"team-{n}": duty.slack.workspace.add_group(f"team-{n}", "Team", []).id for n in range(2 * SLACK.at_once)}
    found = await asyncio.gather(*(duty.who(f"group:{handle}") for handle in groups))
    assert found == [*groups.values()]
    assert len(duty.calls()) == 1


async def test_without_a_token_of_pagerduty_nobody_is_on_its_schedules(duty: Duty) -> None:
    oncall = OnCall(None, None, lambda *_: None)
    assert await oncall.who(f"pagerduty:{SCHEDULE}") is None
    assert await oncall.who("group:oncall") is None
    await oncall.close()


async def test_a_token_that_pagerduty_does_not_know_is_not_shown(duty: Duty, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    duty.pagerduty._token = "another"
    assert await duty.who(f"pagerduty:{SCHEDULE}") is None
    assert "PagerDuty: 401" in caplog.text
    assert CANARY not in caplog.text


async def test_a_page_mentions_whoever_is_on_call_in_pagerduty_when_it_is_sent(duty: Duty) -> None:
    wire = slack_wire.Wire(f"{duty.url}/api/", Secret(SLACK_CANARY), timeout_s=5.0)
    receiver = Slack(wire, oncall=duty.oncall)
    owed = page(oncall=f"pagerduty:{SCHEDULE}", mention=GROUP)
    assert isinstance(await receiver.carry(owed, {}, "n1"), Done)
    duty.pagerduty.faults.add(Fault(path="/oncalls", kind="status", code=500, times=None))
    duty.clock.now += STALE_S + 1
    assert isinstance(await receiver.carry(replace(owed, destination="slack:general"), {}, "n2"), Done)
    await receiver.close()
    (first,), (second,) = (duty.slack.workspace.channel(name).newest(0, 2**62) for name in ("incidents", "general"))
    assert first.text.startswith(f"<@{ADA}> ")
    assert second.text.startswith(f"<!subteam^{GROUP}> "), "nobody answers: whom the policy names besides"
