"""People have what was promised to them, or somebody says so: by the other receiver, as an incident, to the outside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry
from respond.desk import running, settling, topics
from respond.outside import carrying, jira_receiver, page, pages, promise, rows, slack_receiver, ticket, until

from streams.beliefs import Canary as CanaryBelief
from streams.database import connect
from streams.policy import load
from streams.records import ClockForwarded, Finding
from streams.records.timeline import encode
from streams.respond import promise as promises
from streams.respond.auditor import Auditor, Promised, Words
from streams.respond.book_rows import tidy
from streams.respond.canary import Canary, Schedule
from streams.respond.heartbeat import Heartbeat
from streams.respond.meters import Meters
from streams.respond.standing import EventTime
from streams.respond.worker import WiredBook
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number
from streams.settings import Secret, Settings
from streams.settle import Publisher

Outsides = tuple[tuple[SandboxJira, str], tuple[SandboxSlack, str]]


class Stands:
    """Event time that stands still for as long as a test says."""

    def __init__(self, seconds: float | None = 0.0) -> None:
        self.seconds = seconds

    async def stands_s(self) -> float | None:
        return self.seconds

    async def stop(self) -> None:
        pass


class Watch:
    """An auditor, and what it shows."""

    def __init__(self, uri: str, *, url: str = "", refused_again_s: float = 1800.0) -> None:
        self.uri, self.registry, self.clock = uri, CollectorRegistry(), Stands()
        meters = Meters(self.registry)
        words = Words(
            lambda what, count, oldest, at: promises.broken(what, count, oldest, "p1", at),
            lambda late, at: promises.elsewhere(late, "test", at),
            "findings",
            "incidents",
        )
        promised = Promised(60.0, 300.0, ("slack", "jira"), refused_again_s=refused_again_s)
        self.heartbeat = Heartbeat(Secret(url), meters)
        self.auditor = Auditor(uri, promised, words, meters, heartbeat=self.heartbeat, clock=self.clock)

    async def turn(self) -> bool:
        async with await connect(self.uri) as conn:
            well = await self.auditor.turn(conn)
            if well:
                await self.heartbeat.beat()
            return well

    def number(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def incident(
    uri: str, name: str = "i1", *, stage: str = "open", severity: str = "high", held: str = "[]"
) -> None:
    async with await connect(uri) as conn:
        await conn.execute(
            "INSERT INTO incidents (id, fingerprint, episode, stage, severity, owner, detector, agent, first_seen,"
            " last_seen, opened_at, count, body) VALUES (%s, %s, 1, %s, %s, 'o', 'd', 'a', now(), now(),"
            " now() - interval '10 minutes', 1, jsonb_build_object('held', %s::jsonb))",
            [name, name, stage, severity, held],
        )


async def aged(uri: str, obligation: str, state: str, seconds: float = 600.0) -> None:
    async with await connect(uri) as conn:
        await conn.execute(
            "UPDATE obligations SET state = %(state)s, created_at = now() - make_interval(secs => %(s)s),"
            " reference = CASE WHEN %(state)s = 'done' THEN 'X-1' END, why = 'because', not_before = now() + interval '1 hour',"
            " settled_at = now() - make_interval(secs => %(s)s) WHERE id = %(id)s",
            {"state": state, "s": seconds, "id": obligation},
        )


async def said(uri: str) -> list[str]:
    return [key for (key,) in await rows(uri, "SELECT key FROM publish WHERE topic = 'findings' ORDER BY id")]


async def test_a_page_that_does_not_arrive_is_told_under_the_ticket_and_as_an_incident_once(book: str) -> None:
    await incident(book)
    await promise(book, page(), ticket())
    await aged(book, "i1:ticket:1", "done")
    await aged(book, "i1:page:1", "owed")
    watch = Watch(book)
    assert [await watch.turn() for _ in range(3)] == [False, False, False]
    (comment,) = await rows(
        book, "SELECT destination, body->>'ticket', body->'lines' FROM obligations WHERE kind = 'comment'"
    )
    assert comment[:2] == ("jira:OPS", "i1:ticket:1")
    assert "The page of this incident has not arrived" in comment[2][0] and "because" in comment[2][1]
    assert len(set(await said(book))) == 1
    assert watch.number("tocsin_promise_broken", what="page") == 1
    assert watch.number("tocsin_promise_broken", what="ticket") == 0


async def test_a_ticket_that_does_not_come_is_told_under_the_page(book: str) -> None:
    await incident(book)
    await promise(book, page(), ticket())
    await aged(book, "i1:page:1", "done")
    await aged(book, "i1:ticket:1", "owed")
    assert not await Watch(book).turn()
    (note,) = await rows(book, "SELECT destination, body->>'page' FROM obligations WHERE kind = 'note'")
    assert note[0].startswith("slack:") and note[1] == "i1:page:1"


async def test_what_is_told_by_the_other_receiver_arrives(book: str, jira: Any, slack: Any) -> None:
    for name in ("i1", "i2"):
        await incident(book, name)
    await promise(book, page("i1"), ticket("i1"), page("i2"), ticket("i2"))
    for name in ("i1:page:1", "i2:ticket:1"):  # nobody may send these yet
        await aged(book, name, "owed")
        await rows(book, "UPDATE obligations SET not_before = 'infinity' WHERE id = %s RETURNING 1", name)
    async with carrying(book, jira_receiver(jira[1]), slack_receiver(slack[1])):
        await until(lambda: all_done(book, "i1:ticket:1", "i2:page:1"))
        watch = Watch(book)
        watch.auditor._retried = {("i1", "page"), ("i2", "ticket")}
        assert not await watch.turn()
        await until(lambda: all_done(book, "i1:comment:0", "i2:note:0"))
    (found,) = jira[0].book.tickets()
    assert "has not arrived" in str(found.comments)


async def all_done(uri: str, *names: str) -> bool:
    states = dict(await rows(uri, "SELECT id, state FROM obligations"))
    assert "refused" not in states.values()
    return all(states.get(name) == "done" for name in names)


async def test_what_is_late_is_tried_again_at_once_but_once(book: str) -> None:
    await incident(book)
    await promise(book, page(), ticket())
    watch = Watch(book)
    due = "SELECT not_before <= now() FROM obligations WHERE id = 'i1:page:1'"
    await aged(book, "i1:page:1", "owed")
    await watch.turn()
    assert await rows(book, due) == [(True,)]
    await aged(book, "i1:page:1", "owed")
    await watch.turn()
    assert await rows(book, due) == [(False,)]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"stage": "resolved"}, "page"),
        ({"stage": "merged"}, "ticket"),
        ({"held": '["silenced:s1"]'}, "ticket"),
        ({"severity": "medium"}, "page"),
    ],
    ids=["over", "merged", "held-back", "not-for-pages"],
)
async def test_what_nobody_is_owed_breaks_no_promise(book: str, given: dict[str, Any], kind: str) -> None:
    await incident(book, **given)
    await promise(book, page(), ticket())
    for name in ("page", "ticket"):
        await aged(book, f"i1:{name}:1", "owed" if name == kind else "done")
    assert await Watch(book).turn()


async def test_an_incident_that_the_book_promised_nothing_for_is_missed(book: str) -> None:
    await incident(book)
    watch = Watch(book)
    assert not await watch.turn()
    assert watch.number("tocsin_promise_broken", what="ticket") == 1


async def test_a_page_that_is_owed_after_one_that_nobody_needed_is_missed(book: str) -> None:
    await incident(book)
    await promise(book, page(), page(ordinal=2, mention="S0ONCALL"), ticket())
    for name, state in (("page:1", "expired"), ("page:2", "owed"), ("ticket:1", "done")):
        await aged(book, f"i1:{name}", state)
    watch = Watch(book)
    assert not await watch.turn()
    assert watch.number("tocsin_promise_broken", what="page") == 1


async def test_what_is_quiet_and_was_never_for_pages_is_not_missed(book: str) -> None:
    await incident(book, stage="mitigated")  # more severe since then, by what came late
    await promise(book, ticket())
    await aged(book, "i1:ticket:1", "done")
    assert await Watch(book).turn()


async def test_refused_ones_of_open_incidents_are_owed_again_and_told(book: str) -> None:
    await incident(book)
    await incident(book, "i2", stage="resolved")
    await promise(book, page(), ticket(), ticket("i2"))
    await aged(book, "i1:page:1", "done")
    for name in ("i1:ticket:1", "i2:ticket:1"):
        await aged(book, name, "refused")
    watch = Watch(book, refused_again_s=300.0)
    assert not await watch.turn()
    assert watch.number("tocsin_promise_broken", what="refused") == 1
    found = dict(await rows(book, "SELECT id, state FROM obligations WHERE kind = 'ticket'"))
    assert found == {"i1:ticket:1": "owed", "i2:ticket:1": "refused"}


async def test_event_time_that_stands_still_is_an_incident(book: str) -> None:
    watch = Watch(book)
    watch.clock.seconds = 61.0
    assert not await watch.turn()
    (mark,) = await said(book)
    assert mark.startswith("v1:pipeline.self:")
    watch.clock.seconds = 0.5
    assert await watch.turn()
    assert watch.number("tocsin_promise_broken", what="event_time") == 0


async def test_event_time_is_read_from_the_clocks_that_detection_forwards(kafka: str) -> None:
    names = await topics(kafka)
    facts = f"facts-{names.findings}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(facts, 1, 1)])
    await admin.close()
    ahead = {"s": 0.0}
    began = datetime.now(UTC)
    time = EventTime(kafka, facts, lambda: datetime.now(UTC).timestamp() + ahead["s"])
    try:
        assert await time.stands_s() is None  # nothing has begun
        await forwarded(kafka, facts, encode(ClockForwarded("t/0", 1, began)))
        assert (await time.stands_s() or 0.0) < 10.0
        ahead["s"] = 100.0
        await forwarded(kafka, facts, b'{"record":"facts","position":["t/0",1],"facts":[]}')
        assert (await time.stands_s() or 0.0) > 60.0
    finally:
        await time.stop()


async def forwarded(kafka: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, value)
    await producer.stop()


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, list[str], dict[str, int]]]:
    """An outside address, what came there, and what it answers."""
    heard: list[str] = []
    status = {"is": 200}

    async def beat(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response(status=status["is"], headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{name}", beat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/secret-address", heard, status
    await runner.cleanup()


async def test_the_outside_hears_a_heartbeat_once_a_minute_and_only_while_all_is_well(book: str, address: Any) -> None:
    url, heard, _ = address
    watch = Watch(book, url=url)
    watch.clock.seconds = 100.0
    await watch.turn()
    assert heard == []
    watch.clock.seconds = 0.0
    await watch.turn()
    await watch.turn()
    assert heard == ["/secret-address"]
    assert watch.number("tocsin_outside_heartbeats_total", answer="sent") == 1


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_heartbeat_that_is_not_taken_is_counted_and_tells_the_address_to_nobody(
    book: str, address: Any, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    url, heard, answers = address
    answers["is"] = status
    with caplog.at_level(logging.DEBUG):
        watch = Watch(book, url=url)
        await watch.turn()
        nowhere = Watch(book, url="http://127.0.0.1:1/secret-address")
        await nowhere.turn()
    assert heard == ["/secret-address"]
    assert watch.number("tocsin_outside_heartbeats_total", answer="failed") == 1
    assert nowhere.number("tocsin_outside_heartbeats_total", answer="failed") == 1
    assert "secret-address" not in caplog.text


def drill(registry: CollectorRegistry, findings: str, incidents: str, every_s: float = 3600.0) -> Canary:
    def closed(name: str, owed: str, destination: str, at: datetime) -> Any:
        return promises.canary_closed(name, owed, destination, at, deployment="test")

    def made_up(slot: int, at: datetime) -> Finding:
        return promises.canary(slot, every_s, "p1", at)

    slots = Schedule(every_s, 60.0, lambda at: promises.slot_of(at, every_s), made_up, closed, findings, incidents)
    return Canary(slots, Meters(registry))


def drilled_book() -> WiredBook:
    belief = CanaryBelief(every_s=3600.0, channel=number("C", "canary"), project="CAN")
    values = load()
    return WiredBook(Settings(web_url="https://tocsin.example"), type(values)(**{**fields(values), "canary": belief}))


def fields(values: Any) -> dict[str, Any]:
    return {name: getattr(values, name) for name in values.__struct_fields__}


@pytest.fixture
async def apart() -> AsyncIterator[Outsides]:
    """A Jira and a Slack with a project and a channel for drills."""
    jira, slack = SandboxJira(projects=("OPS", "CAN")), SandboxSlack(channels=("incidents", "canary"))
    yield (jira, await jira.start()), (slack, await slack.start())
    await jira.stop()
    await slack.stop()


async def test_a_canary_goes_through_everything_and_closes_itself(book: str, kafka: str, apart: Outsides) -> None:
    (jira, jira_url), (slack, slack_url) = apart
    names = await topics(kafka)
    registry = CollectorRegistry()
    canary = drill(registry, names.findings, names.incidents)
    loops = (settling(book, kafka, names, drilled_book()), Publisher(book, kafka))

    async def closed() -> bool:
        async with await connect(book) as conn:
            assert await canary.turn(conn, datetime.now(UTC)) == 0
        return await rows(book, "SELECT stage FROM incidents WHERE detector = 'canary'") == [("resolved",)]

    async def done() -> bool:
        (found,) = jira.book.tickets()
        return found.status == "10001"

    async with running(loops[0]), running(loops[1]), carrying(book, jira_receiver(jira_url), slack_receiver(slack_url)):
        await until(closed, 40.0, "the canary came home")
        await until(done, 20.0, "its ticket is closed")
        assert await closed()
    (found,) = jira.book.tickets()
    assert found.key.startswith("CAN-") and "drill" in found.summary
    (message,) = slack.workspace.channels[number("C", "canary")].newest(0, 2**62)
    assert "drill" in str(message.blocks) and not pages(slack)
    assert 0 < (registry.get_sample_value("tocsin_canary_seconds") or 0) < 40
    assert await rows(book, "SELECT count(*) FROM seen") == [(1,)]  # once for a slot
    async with await connect(book) as conn:
        await tidy(conn, datetime.now(UTC) + timedelta(days=1), datetime.now(UTC) - timedelta(days=90))
    assert not await rows(book, "SELECT 1 FROM memories WHERE decider = 'incident'")


async def test_a_canary_that_does_not_arrive_is_counted(book: str) -> None:
    canary = drill(CollectorRegistry(), "findings", "incidents")
    now = datetime.now(UTC)
    async with await connect(book) as conn:
        assert await canary.turn(conn, now) == 0
        assert await canary.turn(conn, now + timedelta(seconds=61)) == 1
    assert len(await said(book)) == 1


async def test_a_canary_that_was_over_before_it_was_looked_for_is_no_trouble(book: str) -> None:
    canary = drill(CollectorRegistry(), "findings", "incidents")
    now = datetime.now(UTC)
    async with await connect(book) as conn:
        assert await canary.turn(conn, now) == 0
        (mark,) = await said(book)
        await incident(book, mark, stage="resolved")
        assert await canary.turn(conn, now + timedelta(seconds=61)) == 0


async def test_a_canary_whose_page_slack_refuses_is_counted(book: str, kafka: str, apart: Outsides) -> None:
    (_, jira_url), (slack, slack_url) = apart
    slack.faults.add(Fault(path="chat.postMessage", kind="status", code=503, when="before", times=None))
    names = await topics(kafka)
    canary = drill(CollectorRegistry(), names.findings, names.incidents)

    async def ticketed() -> bool:
        async with await connect(book) as conn:
            await canary.turn(conn, datetime.now(UTC))
        return bool(await rows(book, "SELECT 1 FROM obligations WHERE kind = 'ticket' AND state = 'done'"))

    loops = (settling(book, kafka, names, drilled_book()), Publisher(book, kafka))
    async with running(loops[0]), running(loops[1]), carrying(book, jira_receiver(jira_url), slack_receiver(slack_url)):
        await until(ticketed, 40.0)
    async with await connect(book) as conn:
        assert await canary.turn(conn, datetime.now(UTC) + timedelta(seconds=61)) == 1
