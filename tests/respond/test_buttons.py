"""Somebody presses a button under a page: it is a row before Slack hears that we have it, once, and people see the effect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import builders as b
import pytest
from prometheus_client import CollectorRegistry
from respond.desk import found, running, settling, topics
from respond.outside import CANARY, SLACK_CANARY, Killed, carrying, jira_receiver, rows, slack_receiver, until

from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder
from streams.respond.hearing.ears import ELSEWHERE, STRANGER, UNKNOWN, Ears
from streams.respond.hearing.slack_socket import Socket
from streams.respond.receivers import slack_wire
from streams.respond.receivers.protocol import Receiver
from streams.sandbox.faults import Fault
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.interaction import Press
from streams.settings import Secret

APP_CANARY = f"xapp-{CANARY}"
Running = tuple[SandboxSlack, str]


def socket(uri: str, url: str, *, registry: CollectorRegistry | None = None, **given: Any) -> Socket:
    registry = registry or CollectorRegistry()
    bot, app = (slack_wire.Wire(f"{url}/api/", Secret(token), timeout_s=1.0) for token in (SLACK_CANARY, APP_CANARY))
    return Socket(
        uri, app, Ears(bot, "", Recorder("outcomes", Rules(Persons(), 10)), registry), registry, secure=False, **given
    )


@asynccontextmanager
async def paged(book: str, kafka: str, slack: Running, *others: Receiver) -> AsyncIterator[Any]:
    """A page with buttons in the sandbox, and everything that makes its effect seen; the page's message."""
    server, url = slack
    server.sockets.app_token, server.sockets.ack_s = APP_CANARY, 0.5
    names = await topics(kafka)
    finding = b.finding(0, id="f1", severity="high", about=b.about(agent="billing"))
    await found(kafka, names, [finding])
    async with running(settling(book, kafka, names)), carrying(book, slack_receiver(url, buttons=True), *others):
        await until(lambda: posted(server), what="the page")
        yield message(server)


def message(server: SandboxSlack) -> Any:
    (channel,) = [one for one in server.workspace.channels.values() if list(one.newest(0, 2**62))]
    return channel, list(channel.newest(0, 2**62))[-1]


async def posted(server: SandboxSlack) -> bool:
    return any(list(one.newest(0, 2**62)) for one in server.workspace.channels.values())


async def connected(server: SandboxSlack) -> bool:
    return server.sockets.connections > 0


async def press(slack: Running, action: str, chosen: str = "", name: str = "ada") -> Press:
    server, _ = slack
    person = next(one for one in server.workspace.people.values() if one.name == name)
    return await server.interaction.press(message(server), f"tocsin:{action}", person, chosen)


async def incident(uri: str) -> dict[str, Any]:
    return dict((await rows(uri, "SELECT body FROM incidents"))[0][0])


async def has(uri: str, **wanted: Any) -> bool:
    known = await incident(uri)
    return all(known.get(name) == value for name, value in wanted.items())


async def test_acknowledge_is_heard_over_the_socket_and_the_page_says_who(
    book: str, kafka: str, slack: Running, jira: tuple[Any, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server, url = slack
    async with paged(book, kafka, slack, jira_receiver(jira[1])), running(socket(book, url)):
        await until(lambda: connected(server))
        assert (await press(slack, "acknowledge")).heard
        await until(lambda: has(book, acknowledged_by="ada"), what="the acknowledgement")

        async def edited() -> bool:
            _, root = message(server)
            return root.edited is not None and "ada" in str(root.blocks)

        await until(edited, what="the edit of the page")
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "pressed",
    [
        ("acknowledge", "", "acknowledgement"),
        ("silence", "1h", "silence"),
        ("silence", "tomorrow", "silence"),
        ("assign", "U0BRUNO", "assignment"),
        ("false_positive", "", "outcome"),
        ("fixed", "", "outcome"),
        ("outcome", "wont_fix", "outcome"),
    ],
)
async def test_each_button_says_its_own(book: str, kafka: str, slack: Running, pressed: tuple[str, str, str]) -> None:
    (server, url), (action, chosen, record) = slack, pressed
    async with paged(book, kafka, slack):
        await until(lambda: answered(book), what="the receipt")
    async with running(socket(book, url)):  # nobody takes it out of the inbox
        await until(lambda: connected(server))
        bruno = next(one for one in server.workspace.people.values() if one.name == "bruno")
        person = bruno.id if action == "assign" else ""
        assert (await press(slack, action, person or chosen)).heard
        ((said,),) = await rows(book, "SELECT record FROM inbox WHERE record->>'record' <> 'receipt'")
    known = await incident(book)
    assert said["record"] == record and said["actor"] == "ada" and said["source"] == "slack"
    if record == "silence":
        assert said["matchers"] == {"fingerprint": known["fingerprint"]} and said["until"] > said["at"]
    else:
        assert said["incident"] == known["id"]
    if record == "outcome":
        assert said["outcome"] == (chosen or action)
        assert await rows(book, "SELECT outcome, source FROM outcomes") == [(chosen or action, "slack")]
    if person:
        assert said["to"] == "Bruno Okafor"


async def answered(uri: str) -> bool:
    return bool(await rows(uri, "SELECT 1 FROM obligations WHERE state = 'done' AND receiver = 'slack'"))


async def test_told_twice_it_counts_once(book: str, kafka: str, slack: Running) -> None:
    server, url = slack
    registry = CollectorRegistry()
    async with paged(book, kafka, slack):
        await until(lambda: answered(book))
    async with running(socket(book, url, registry=registry)):
        await until(lambda: connected(server))
        first = await press(slack, "acknowledge")
        assert (await server.interaction.send(first.payload)).heard
    assert await said(book) == 1
    assert registry.get_sample_value("tocsin_heard_total", {"source": "slack_socket", "result": "again"}) == 1


async def said(uri: str) -> int:
    return len(await rows(uri, "SELECT 1 FROM inbox WHERE record->>'record' <> 'receipt'"))


async def test_what_was_not_acknowledged_is_told_again_and_nothing_is_lost(
    book: str, kafka: str, slack: Running
) -> None:
    """The connection breaks before the acknowledgement, and the database is away for the first telling."""
    server, url = slack
    async with paged(book, kafka, slack):
        await until(lambda: answered(book))
    await rows_off(book, "ALTER TABLE heard RENAME TO heard_elsewhere")
    server.sockets.redeliveries = 20
    async with running(socket(book, url)):
        await until(lambda: connected(server))
        pressing = asyncio.create_task(press(slack, "acknowledge"))
        await until(lambda: told(server), what="the first telling")
        assert await said(book) == 0
        await rows_off(book, "ALTER TABLE heard_elsewhere RENAME TO heard")
        assert (await pressing).heard
        await server.sockets.cut()
        await until(lambda: gone(server))
        await until(lambda: connected(server), what="another connection")
    assert await said(book) == 1


async def test_killed_between_the_row_and_the_acknowledgement_nothing_is_doubled(
    book: str, kafka: str, slack: Running
) -> None:
    server, url = slack
    async with paged(book, kafka, slack):
        await until(lambda: answered(book))
    server.sockets.redeliveries = 20

    def kill(step: str) -> None:
        raise Killed(step)

    dying = asyncio.create_task(socket(book, url, reached=kill).run())
    await until(lambda: connected(server))
    pressing = asyncio.create_task(press(slack, "acknowledge"))
    with pytest.raises(Killed):
        await dying
    assert await said(book) == 1 and not pressing.done()
    async with running(socket(book, url)):
        assert (await pressing).heard
    assert await said(book) == 1


async def test_a_press_while_nobody_is_connected_is_heard_when_somebody_is(
    book: str, kafka: str, slack: Running
) -> None:
    server, url = slack
    async with paged(book, kafka, slack):
        await until(lambda: answered(book))
    server.sockets.redeliveries = 20
    pressing = asyncio.create_task(press(slack, "fixed"))
    async with running(socket(book, url)), running(socket(book, url)):  # two replicas do no harm
        assert (await pressing).heard
    assert await said(book) == 1


async def told(server: SandboxSlack) -> bool:
    return any(one.attempts > 0 for one in server.sockets.envelopes)


async def gone(server: SandboxSlack) -> bool:
    return server.sockets.connections == 0


async def rows_off(uri: str, statement: str) -> None:
    from streams.database import connect

    async with await connect(uri) as conn:
        await conn.execute(statement.encode())


async def test_a_refresh_is_followed_by_another_connection(book: str, slack: Running) -> None:
    server, url = slack
    server.sockets.app_token = APP_CANARY
    async with running(socket(book, url)):
        for _ in range(3):
            await until(lambda: connected(server))
            await server.sockets.refresh()
            await until(lambda: gone(server))
        await until(lambda: connected(server))


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "code": 500}, {"kind": "truncated"},
    {"kind": "wrong_content_type", "content_type": "text/plain"},
    {"kind": "status", "code": 429, "headers": {"Retry-After": "1"}}])  # fmt: skip
async def test_a_connection_that_is_not_granted_is_asked_for_again(
    book: str, slack: Running, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server, url = slack
    server.sockets.app_token = APP_CANARY
    server.faults.add(Fault(path="apps.connections.open", when="before", **fault))
    async with running(socket(book, url)):
        await until(lambda: connected(server))
    assert "buttons are not heard" in caplog.text
    assert CANARY not in caplog.text and "ticket=" not in caplog.text.replace("ticket=***", "")


async def test_whoever_may_not_is_told_so_and_nothing_happens(book: str, kafka: str, slack: Running) -> None:
    server, url = slack
    guest = server.workspace.add_person("eve", "Eve Elsewhere", "eve@other.example")
    guest.team = "T0OTHER"
    async with paged(book, kafka, slack):
        await until(lambda: answered(book))
    channel, root = message(server)
    other = next(one for one in server.workspace.channels.values() if one is not channel)
    async with running(socket(book, url)):
        await until(lambda: connected(server))
        await press(slack, "acknowledge", name="eve")
        payload = (await press(slack, "acknowledge", name="eve")).payload
        ada = next(one for one in server.workspace.people.values() if one.name == "ada")
        member = {"id": ada.id, "username": "ada", "team_id": ada.team}
        await server.interaction.send({**payload, "user": member, "channel": {"id": other.id}})
        strange = {**payload["actions"][0], "value": "no-such-incident"}
        await server.interaction.send({**payload, "user": member, "actions": [strange]})
        await until(lambda: whispered(channel, 3))
    assert [text for _, text in channel.whispers] == [STRANGER, STRANGER, UNKNOWN]
    assert [text for _, text in other.whispers] == [ELSEWHERE]
    assert await said(book) == 0 and root.edited is None


async def whispered(channel: Any, count: int) -> bool:
    return len(channel.whispers) >= count


GARBAGE: list[Any] = [
    None, [], "x", 7, {}, {"type": "view_submission"}, {"type": "block_actions"},
    {"type": "block_actions", "actions": [{"action_id": "tocsin:acknowledge"}]},
    {"type": "block_actions", "actions": [{"action_id": "tocsin:acknowledge", "value": "i\0", "action_ts": "1"}], "user": {"id": "U1"}},
    {"type": "block_actions", "actions": [{"action_id": ["tocsin:"], "value": {}}, 7, None]},
]  # fmt: skip


@pytest.mark.parametrize("payload", GARBAGE, ids=range(len(GARBAGE)))
async def test_what_is_no_press_is_acknowledged_and_changes_nothing(book: str, slack: Running, payload: Any) -> None:
    server, url = slack
    server.sockets.app_token = APP_CANARY
    async with running(socket(book, url)):
        await until(lambda: connected(server))
        assert (await server.interaction.send(payload)).heard
    assert await said(book) == 0
