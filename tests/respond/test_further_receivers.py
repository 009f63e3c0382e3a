"""PagerDuty and webhooks beside Slack: who is wired, and that a kill at any point leaves one of each."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from respond.outside import CANARY, Killed, carrying, killed, page, promise, rows, until
from respond.suite_worlds import KINDS, PATIENT_S, SIGNING, World

from streams import policy
from streams.records import Obligation
from streams.respond.meters import Meters
from streams.respond.worker import configured, on_call
from streams.sandbox.faults import Fault
from streams.settings import Secret, Settings

PAGERDUTY = {"pagerduty_keys": Secret(f"payments={CANARY}")}
WEBHOOK = {"webhooks": Secret("desk=https://desk.example/in"), "webhook_secrets": Secret(f"desk={SIGNING}")}
NAMES_BOTH = '[[owners]]\nname = "a"\npagerduty = "payments"\n[[owners.escalation]]\nwebhook = "desk"\n'


@pytest.mark.parametrize(
    ("given", "text", "there", "missing"),
    [
        ({}, "", set(), {"jira", "slack"}),
        ({}, NAMES_BOTH, set(), {"jira", "slack", "pagerduty", "webhook"}),
        (PAGERDUTY, NAMES_BOTH, {"pagerduty"}, {"jira", "slack", "webhook"}),
        (PAGERDUTY | WEBHOOK, NAMES_BOTH, {"pagerduty", "webhook"}, {"jira", "slack"}),
        (PAGERDUTY | WEBHOOK, "", {"pagerduty", "webhook"}, {"jira", "slack"}),
        ({"slack_token": Secret(CANARY), "jira_url": "https://j.example"}, "", {"jira", "slack"}, set()),
    ],
)
async def test_a_receiver_is_missed_only_where_the_policy_names_it(
    given: dict[str, object], text: str, there: set[str], missing: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    settings, believed = Settings(**given), policy.parse(text, "mine.toml")  # type: ignore[arg-type]
    duty = on_call(settings, believed)
    found = configured(settings, believed, Meters(registry), duty)
    assert {receiver.name for receiver in found} == there
    counted = {
        name: registry.get_sample_value("tocsin_receiver_missing", {"receiver": name}) for name in there | missing
    }
    assert {name for name, value in counted.items() if value} == missing
    assert registry.get_sample_value("tocsin_receiver_missing", {"receiver": "elsewhere"}) is None
    assert CANARY not in caplog.text
    for receiver in found:
        await receiver.close()
    await duty.close()


@pytest.mark.parametrize("point", ["taken", "intent", "called", "answered", "ask", "asked"])
@pytest.mark.parametrize("name", ["pagerduty", "webhook"])
async def test_a_kill_at_any_point_leaves_one(book: str, name: str, point: str) -> None:
    async with KINDS[name][0].open() as world:
        if point in ("called", "ask", "asked"):
            world.server.faults.add(Fault(path=world.write[1], method="POST", kind="reset"))
        await promise(book, *story(world.obligation))

        def reached(step: str, *_: object) -> None:
            if step == point:
                raise Killed

        async def nothing_left() -> bool:
            return not await rows(book, "SELECT 1 FROM obligations WHERE state IN ('owed', 'attempting')")

        assert await killed(book, world.make(PATIENT_S), reached, nothing_left)
        async with carrying(book, world.make(PATIENT_S)):
            await until(nothing_left)
        assert_one(name, world)


def story(first: Obligation) -> list[Obligation]:
    """A page, somebody has it in hand, it is over."""
    later = [
        replace(page(ordinal=n, state=state), destination=first.destination)
        for n, state in ((2, "acknowledged"), (3, "resolved"))
    ]
    return [first, *later]  # fmt: skip


def assert_one(name: str, world: World) -> None:
    if name == "pagerduty":
        assert [alert.status for alert in world.server.book.alerts.values()] == ["resolved"]
        return
    told = sorted(kept.body["ordinal"] for kept in world.server.kept.values())
    assert told == [1, 2, 3]
