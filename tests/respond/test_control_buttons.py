"""A page offers to hold agents back: whom it hits is asked before, who pressed is kept, and it ends by itself."""

from __future__ import annotations

from typing import Any

import pytest
from learn.booking import book as booked
from learn.booking import sighted
from prometheus_client import CollectorRegistry
from psycopg.types.json import Jsonb
from respond.outside import CHANNEL, page, promise, rows

from streams.database import connect
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder
from streams.respond import writing
from streams.respond.hearing.ears import ELSEWHERE, STRANGER, Ears
from streams.respond.receivers import slack_text
from streams.respond.routing import BookValues
from streams.sandbox.slack import blocks as rules
from streams.sandbox.slack.state import TEAM

NAMES = ["pause_release", "pause", "throttle", "deny_tool"]


def ears() -> Ears:
    return Ears(None, TEAM, Recorder("outcomes", Rules(Persons(), 10)), CollectorRegistry())


def payload(action: str, incident: str, **given: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U0ADA", "username": "ada", "team_id": given.get("team", TEAM)},
        "channel": {"id": given.get("channel", CHANNEL)},
        "actions": [{"action_id": f"tocsin:{action}", "value": incident, "action_ts": given.get("at", "1.0")}],
    }


async def pressed(uri: str, *payloads: dict[str, Any]) -> list[str]:
    async with await connect(uri) as conn:
        return [reply.text for one in payloads for reply in await ears().pressed(conn, one, "slack_http")]


async def asked(uri: str) -> list[dict[str, Any]]:
    return [record for (record,) in await rows(uri, "SELECT record FROM learn_inbox ORDER BY id")]


@pytest.fixture
async def incident(book: str) -> Any:
    one = sighted()
    async with await connect(book) as conn:
        await booked(conn, one)
        for release, sessions in (("2026.09.3", 25), ("2026.09.2", 75)):
            await conn.execute(
                "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad)"
                " VALUES ('support-bot', %s, 'prod', 1, date_trunc('minute', now()), %s, 0)",
                [release, sessions],
            )
    await promise(book, page(one.id))
    return one


def drawn(one: Any, *, buttons: bool = True) -> list[dict[str, Any]]:
    doc = writing.page(BookValues(), one, one.opened_at)
    found = slack_text.blocks(doc, {}, buttons=buttons)
    assert rules.wrong(found) == []
    return [element for block in found for element in block.get("elements", ()) if "confirm" in element]


def test_every_button_asks_first_and_says_whom_it_hits_and_when_it_ends() -> None:
    buttons = {one["action_id"].removeprefix("tocsin:"): one for one in drawn(sighted())}
    assert [name for name in buttons if name in NAMES] == NAMES
    for name in NAMES:
        words = buttons[name]["confirm"]["text"]["text"]
        assert "support-bot" in words
        assert "for 60 min" in words or "for 1 h" in words
        assert len(words) <= 300
    assert "2026.09.3" in buttons["pause_release"]["confirm"]["text"]["text"]
    assert "/refund" in buttons["deny_tool"]["confirm"]["text"]["text"]


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        ({"subject": {"agent": "support-bot"}, "releases": ()}, ["pause", "throttle"]),
        ({"subject": {"tool": "/refund"}, "agents": ("a", "b")}, ["deny_tool"]),
        ({"subject": {"provider": "openai"}, "agents": ("a", "b")}, []),
        ({"subject": {"agent": "tocsin-intake"}}, []),
        ({"stage": "resolved"}, []),
        ({"stage": "mitigated"}, NAMES),
    ],
)
def test_where_nobody_is_named_or_it_is_over_there_is_nothing_to_press(
    given: dict[str, Any], offered: list[str]
) -> None:
    names = [one["action_id"].removeprefix("tocsin:") for one in drawn(sighted(**given))]
    assert [name for name in names if name in NAMES] == offered
    assert not drawn(sighted(**given), buttons=False)


def test_names_of_the_greatest_length_still_fit_slacks_limits() -> None:
    one = sighted(subject={"agent": "a" * 199, "tool": "t" * 256}, releases=("r" * 256,))
    assert len([each for each in drawn(one) if each["action_id"].removeprefix("tocsin:") in NAMES]) == 4


@pytest.mark.parametrize(
    ("action", "meant"),
    [
        ("pause", ("pause", {"kind": "agent", "agent": "support-bot"}, 1.0)),
        ("pause_release", ("pause", {"kind": "release", "agent": "support-bot", "id": "2026.09.3"}, 0.25)),
        ("throttle", ("throttle", {"kind": "agent", "agent": "support-bot"}, 1.0)),
        ("deny_tool", ("deny_tool", {"kind": "agent_tool", "agent": "support-bot", "id": "/refund"}, None)),
    ],
)
async def test_a_press_asks_for_it_with_who_where_for_what_and_until_when(
    book: str, incident: Any, action: str, meant: tuple[str, dict[str, str], float | None]
) -> None:
    assert await pressed(book, payload(action, incident.id)) == []
    (one,) = await asked(book)
    assert (one["want"], one["scope"], one.get("affected")) == meant
    assert (one["actor"], one["source"], one["incident"]) == ("ada", "slack", incident.id)
    assert "automatic" not in one
    (lasts,) = (await rows(book, "SELECT extract(epoch FROM (record->>'until')::timestamptz"
                                 " - (record->>'at')::timestamptz)::int FROM learn_inbox"))[0]  # fmt: skip
    assert lasts == 3600


async def test_a_press_told_twice_is_one(book: str, incident: Any) -> None:
    await pressed(book, payload("pause", incident.id), payload("pause", incident.id))
    assert len(await asked(book)) == 1


async def test_strangers_and_other_channels_hold_nobody_back(book: str, incident: Any) -> None:
    said = await pressed(
        book, payload("pause", incident.id, team="T0OTHER"), payload("pause", incident.id, channel="C0OTHER")
    )
    assert said == [STRANGER, ELSEWHERE]
    assert await asked(book) == []


async def test_of_an_incident_that_names_nobody_any_more_nothing_is_asked(book: str, incident: Any) -> None:
    async with await connect(book) as conn:
        await conn.execute("UPDATE incidents SET body = body || %s", [Jsonb({"agents": ["a", "b"], "subject": {}})])
    (said,) = await pressed(book, payload("pause", incident.id))
    assert "nothing was changed" in said
    assert await asked(book) == []
