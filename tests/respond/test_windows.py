"""After an outcome was pressed a window asks what belongs to it; what is written there counts, and nothing is lost without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from respond.desk import running
from respond.outside import SLACK_CANARY, rows, until
from respond.test_buttons import Running, connected, paged, press, socket
from web.serving import living

from streams import policy as policies
from streams.respond.hearing import views
from streams.respond.hearing.clicks import Nonsense
from streams.sandbox.faults import Fault
from streams.sandbox.slack.interaction import encoded
from streams.settings import Secret, Settings
from streams.web.app import create


async def said(uri: str) -> list[dict[str, Any]]:
    return [body for (body,) in await rows(uri, "SELECT body FROM outcomes ORDER BY id")]


async def opened(slack: Running) -> bool:
    return bool(slack[0].interaction.windows.opened)


def whispers(slack: Running) -> list[str]:
    return [text for one in slack[0].workspace.channels.values() for _, text in one.whispers]


async def test_a_press_counts_at_once_and_the_window_says_more(book: str, kafka: str, slack: Running) -> None:
    server, url = slack
    async with paged(book, kafka, slack), running(socket(book, url)):
        await until(lambda: connected(server))
        assert (await press(slack, "fixed")).heard
        await until(lambda: opened(slack), what="the window")
        (first,) = await said(book)
        assert (first["outcome"], first["fixed_in"], first["inferred"]) == ("fixed", "next", True)
        (view,) = server.interaction.windows.opened
        assert (await server.interaction.submit(view, fixed_in="2026.09.4", cause="prompt", reason="repaired")).heard
    _, more = await said(book)
    assert (more["fixed_in"], more["cause"], more["reason"], more["actor"]) == (
        "2026.09.4",
        "prompt",
        "repaired",
        "ada",
    )
    assert "inferred" not in more
    assert whispers(slack) == []


async def test_a_window_that_is_told_twice_counts_once(book: str, kafka: str, slack: Running) -> None:
    server, url = slack
    async with paged(book, kafka, slack), running(socket(book, url)):
        await until(lambda: connected(server))
        await press(slack, "outcome", "accepted_risk")
        await until(lambda: opened(slack), what="the window")
        (view,) = server.interaction.windows.opened
        day = f"{datetime.now(UTC) + timedelta(days=10):%Y-%m-%d}"
        told = await server.interaction.submit(view, expires_at=day)
        assert told.heard and (await server.interaction.send(told.payload)).heard
    first, more = await said(book)
    assert first["inferred"] and "inferred" not in more
    assert more["expires_at"] > first["at"]


async def test_where_no_window_can_be_opened_the_person_is_told_how_to_say_more(
    book: str, kafka: str, slack: Running
) -> None:
    server, url = slack
    async with paged(book, kafka, slack), running(socket(book, url)):
        await until(lambda: connected(server))
        server.faults.add(Fault(path="views.open", when="before", kind="status", code=500))
        await press(slack, "false_positive")

        async def told() -> bool:
            return any("/fp why=stale_reference" in text for text in whispers(slack))

        await until(told, what="the words")
    assert [one["outcome"] for one in await said(book)] == ["false_positive"]


def window(**given: Any) -> dict[str, Any]:
    shown = views.view("fixed", "i#1", "C1")
    assert shown is not None
    view = {"id": "V1", **shown, "state": {"values": {}}}
    known = {"type": "view_submission", "user": {"id": "U1", "username": "ada", "team_id": "T1"}, "view": view}
    return {**known, **given}


@pytest.mark.parametrize(
    "payload",
    [
        window(view={"id": "V1", "callback_id": "somebody.else"}),
        window(view={"id": "V1", "callback_id": views.CALLBACK, "private_metadata": "{}"}),
        window(view={"id": "V1", "callback_id": views.CALLBACK, "private_metadata": '["i","odd","C"]'}),
        window(user={}),
    ],
)
def test_a_window_that_is_not_ours_is_nonsense(payload: dict[str, Any]) -> None:
    with pytest.raises(Nonsense):
        views.submitted(payload)


def test_an_empty_window_says_what_the_button_said() -> None:
    found = views.submitted(window())
    assert found is not None
    assert views.outcome(found, datetime.now(UTC)).fixed_in is None
    assert views.submitted({"type": "block_actions"}) is None


async def test_a_window_is_heard_over_signed_http_too(book: str, kafka: str, slack: Running) -> None:
    server, url = slack
    async with paged(book, kafka, slack), running(socket(book, url)):
        await until(lambda: connected(server))
        await press(slack, "outcome", "external_cause")
        await until(lambda: opened(slack), what="the window")
    app = create(
        Settings(
            database=book,
            slack_url=f"{url}/api/",
            slack_token=Secret(SLACK_CANARY),
            slack_signing_secret=Secret("s" * 32),
        ),
        policies.load(),
        CollectorRegistry(),
    )
    server.interaction.secret = "s" * 32
    (view,) = server.interaction.windows.opened
    told = await server.interaction.submit(view, provider="openai")
    body = encoded(told.payload)
    transport = httpx.ASGITransport(app)
    async with living(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        answer = await client.post("/v1/slack/interactions", content=body, headers=server.interaction.signed(body))
        assert (answer.status_code, answer.text) == (200, "")
    assert [one.get("provider") for one in await said(book)] == [None, "openai"]
