"""PagerDuty has one open trouble per incident: told, taken in hand, worse, over and back, whatever is repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from respond.outside import CANARY, HOSTILE, comment, page

from streams.records import Done, NotDone, Obligation, Refused
from streams.respond.receivers.http_wire import AGAIN_S, WAIT_S_MAX, Wire
from streams.respond.receivers.pagerduty import KEY_MAX, PagerDuty, incident_of, key_of
from streams.sandbox.faults import Fault
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.settings import Secret

TO = "pagerduty:platform"


class Service:
    def __init__(self, server: SandboxPagerDuty, url: str) -> None:
        self.server = server
        keys = {"platform": Secret(CANARY), "unknown": Secret(f"{CANARY}-not-there")}
        self.receiver = PagerDuty(Wire(timeout_s=5.0), f"{url}/v2/enqueue", keys)

    async def told(self, ordinal: int = 1, **given: Any) -> Any:
        return await self.receiver.carry(owed(ordinal, **given), {}, "n")

    def statuses(self) -> list[str]:
        return [alert.status for alert in self.server.book.alerts.values()]


def owed(ordinal: int = 1, to: str = TO, **given: Any) -> Obligation:
    return replace(page(ordinal=ordinal, **given), destination=to)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    server = SandboxPagerDuty()
    server.services["platform"] = CANARY
    found = Service(server, await server.start())
    yield found
    await found.receiver.close()
    await server.stop()


async def test_an_incident_is_one_trouble_there_from_its_beginning_to_its_end(service: Service) -> None:
    story: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["triggered"]),
        ({}, ["triggered"]),  # repeated: nobody knew whether it had happened
        ({"severity": "critical", "headline": "Worse"}, ["triggered"]),
        ({"state": "acknowledged"}, ["acknowledged"]),
        ({"state": "acknowledged", "wakes": True}, ["acknowledged"]),
        ({"state": "mitigated"}, ["resolved"]),
        ({"state": "mitigated"}, ["resolved"]),
        ({"state": "open", "headline": "Back again"}, ["resolved", "triggered"]),
        ({"state": "resolved"}, ["resolved", "resolved"]),
        ({"state": "closed"}, ["resolved", "resolved"]),
    ]
    for place, (given, statuses) in enumerate(story):
        assert isinstance(await service.told(1 if place < 2 else place, **given), Done)
        assert service.statuses() == statuses, given


async def test_what_got_worse_has_the_new_severity_there(service: Service) -> None:
    found = []
    for ordinal, severity in enumerate(("low", "medium", "high", "critical", "strange"), 1):
        await service.told(ordinal, severity=severity)
        found.append(service.server.book.alerts[1].severity)
    assert found == ["info", "warning", "error", "critical", "error"]


async def test_what_is_merged_into_another_ends_there(service: Service) -> None:
    await service.told()
    await service.told(2, state="merged")
    assert service.statuses() == ["resolved"]


async def test_the_end_of_what_was_never_told_is_dropped_there(service: Service) -> None:
    assert isinstance(await service.told(2, state="resolved"), Done)
    assert service.statuses() == []


async def test_what_somebody_resolved_there_is_not_opened_again_by_news(service: Service) -> None:
    """It came back as an acknowledgement, and news of what is in hand call nobody."""
    await service.told()
    service.server.book.put(service.server.book.alerts[1], "resolved", "Ada")
    await service.told(2, state="acknowledged")
    assert service.statuses() == ["resolved"]
    await service.told(3, state="acknowledged", level=2, wakes=True)
    assert service.statuses() == ["resolved", "triggered"], "an escalation calls somebody all the same"


async def test_a_person_reads_what_it_is_about(service: Service) -> None:
    links = (("Incident", "https://tocsin.example/incidents/1"), ("Strange", "javascript:alert(1)"))
    await service.told(headline="High: a tool fails\n\u202enow", links=links, steps=("Look.",) * 3)
    event = service.server.book.alerts[1].event
    assert event["payload"]["summary"] == "High: a tool fails now"
    assert event["payload"]["source"] == "billing"
    assert event["payload"]["custom_details"]["Owner"] == "platform"
    assert event["payload"]["custom_details"]["First steps"] == ["Look."] * 3
    assert event["links"] == [{"href": links[0][1], "text": "Incident"}]
    assert event["client_url"] == links[0][1]


async def test_what_is_too_long_is_cut_and_not_refused(service: Service) -> None:
    long = HOSTILE + "\U0001f525" * 40_000
    given = {
        "headline": long,
        "lines": tuple((f"l{n}", long) for n in range(50)),
        "evidence": (long,) * 50,
        "todo": long,
    }
    assert isinstance(await service.told(**given), Done)
    assert len(service.server.book.alerts[1].summary) <= 1024


def test_a_key_names_the_incident_and_comes_back_to_it() -> None:
    assert key_of("prod", "v1:tool.error:6f.1") == "tocsin:prod:v1:tool.error:6f.1"
    assert incident_of("prod", key_of("prod", "v1:tool.error:6f.1")) == "v1:tool.error:6f.1"
    for strange in ("", "tocsin:prod:", "tocsin:stage:i1", "tocsin:production:i1", "prod:i1"):
        assert incident_of("prod", strange) is None
    long = key_of("d" * 300, "i1")
    assert len(long) <= KEY_MAX and long != key_of("d" * 301, "i1") != key_of("d" * 300, "i2")


async def test_a_wrong_key_of_one_service_is_owed_again_at_a_start_and_stops_no_other(service: Service) -> None:
    for name in ("unknown", "strange"):
        answer = await service.receiver.carry(owed(to=f"pagerduty:{name}"), {}, "n")
        assert isinstance(answer, Refused) and answer.why.startswith(f"{name}: credentials: ")
        assert CANARY not in answer.why


async def test_a_refusal_says_what_pagerduty_says(service: Service) -> None:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": [f"strange {CANARY}", 7]}
    service.server.faults.add(
        Fault(path="/v2/enqueue", kind="status", code=400, when="before", body=msgspec.json.encode(body).decode())
    )
    assert await service.told() == Refused("platform: 400: Event object is invalid; strange ***")


@pytest.mark.parametrize(
    ("given", "after_s"),
    [("7", 7.0), ("Wed, 21 Oct 2099 07:28:00 GMT", WAIT_S_MAX), ("x", AGAIN_S), ("0", AGAIN_S)],
)
async def test_how_long_to_wait_is_heeded_within_reason(service: Service, given: str, after_s: float) -> None:
    service.server.faults.add(
        Fault(path="/v2/enqueue", kind="status", code=429, when="before", headers={"Retry-After": given})
    )
    assert await service.told() == NotDone("429: too many events", after_s)


async def test_a_limit_of_events_is_counted_there(service: Service) -> None:
    service.server.rate_limit = 2
    assert [type(await service.told(n)) for n in range(1, 5)] == [Done, Done, NotDone, NotDone]
    assert len(service.server.violations) == 2


async def test_pagerdutys_limit_is_kept_in_every_minute_and_news_never_hold_up_a_page(service: Service) -> None:
    now = 0.0
    receiver = PagerDuty(Wire(), "http://localhost/", {}, clock=lambda: now)
    sent: list[tuple[float, bool]] = []
    for _ in range(600):  # five minutes in which there is always something to tell, of both kinds
        for wakes in (False, True):
            for _ in range(60):
                if receiver.pace(owed(1 if wakes else 2)):
                    break
                sent.append((now, wakes))
        now += 0.5
    assert all(sum(at <= one < at + 60 for one, _ in sent) <= 120 for at, _ in sent)
    assert sum(wakes for _, wakes in sent[:100]) >= 40, "at the beginning many can be woken at once"
    assert receiver.pace(owed(2), asking=True) == 0.0
    await receiver.close()


async def test_what_is_no_page_is_refused(service: Service) -> None:
    answer = await service.receiver.carry(replace(comment(), destination=TO), {}, "n")
    assert answer == Refused("PagerDuty has no use for a comment")
    broken = await service.receiver.carry(replace(owed(), body={"doc": "nonsense"}), {}, "n")
    assert isinstance(broken, Refused)
    assert not service.server.serving.calls
