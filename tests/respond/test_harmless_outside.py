"""What strangers write arrives outside as text, whatever it is, and leaves no trace in names, logs or dead letters."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import builders as b
import msgspec
import pytest
from intake.test_redacting import SECRETS
from respond import places
from respond.nasty import NASTY
from respond.outside import CANARY, CHANNEL, jira_receiver, pages, slack_receiver
from respond.suite_worlds import OFTEN, PATIENT_S
from respond.test_harmless import core

from streams.records import Done, Obligation
from streams.records.timeline import encode
from streams.respond import writing
from streams.respond.inputs import sighted
from streams.respond.messages import Doc, body
from streams.respond.receivers import jira_text
from streams.sandbox.jira import SandboxDataCenter, SandboxJira
from streams.sandbox.slack import SandboxSlack
from streams.settle import Read

SlackRunning = tuple[SandboxSlack, str]
EACH = pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())


@pytest.fixture(params=["Cloud", "Data Center"])
async def jira(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Any, str, bool]]:
    cloud = request.param == "Cloud"
    server = (SandboxJira if cloud else SandboxDataCenter)(token=CANARY)
    yield server, await server.start(), cloud
    await server.stop()


def owed(one: Any, kind: Any, doc: Doc, ordinal: int = 1) -> Obligation:
    to = f"slack:{CHANNEL}" if kind in ("page", "note") else "jira:OPS"
    return Obligation(f"{one.id}:{kind}:{ordinal}", one.id, kind, ordinal, to, body(doc))


@EACH
async def test_a_page_and_its_news_are_taken_by_slack(
    slack: SlackRunning, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server, url = slack
    one = places.incident(text)
    receiver = slack_receiver(url, rates=OFTEN, timeout_s=PATIENT_S)
    root = await receiver.carry(owed(one, "page", places.pages(one)[0]), {}, "n")
    assert isinstance(root, Done)
    (message,) = pages(server)
    assert CANARY not in caplog.text
    places.slack_is_harmless([message.text, message.blocks])
    for doc in places.notes(one)[:2]:
        assert isinstance(await receiver.carry(owed(one, "note", doc), {doc.page: root}, "n"), Done)
    await receiver.close()
    assert_unlogged(text, caplog)


@EACH
async def test_a_ticket_and_what_belongs_to_it_are_taken_by_jira(
    jira: tuple[Any, str, bool], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server, url, cloud = jira
    one = places.incident(text)
    receiver = jira_receiver(url, cloud=cloud, timeout_s=PATIENT_S)
    done = await receiver.carry(owed(one, "ticket", places.ticket(one)), {}, "n")
    assert isinstance(done, Done), done
    references = {f"{one.id}:ticket:1": done}
    for kind, doc in (
        ("comment", writing.understood(places.VALUES, one)),
        ("evidence", writing.evidence(places.VALUES, one)),
        ("link", writing.link(places.VALUES, one)),
    ):
        answer = await receiver.carry(owed(one, kind, doc), references, "n")
        assert isinstance(answer, Done), answer
    await receiver.close()
    ticket = server.book.find(done.reference)
    assert ticket.summary.isprintable() and len(ticket.summary.encode("utf-16-le")) // 2 <= 255
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", label) for label in ticket.labels)
    (file,) = ticket.files
    assert re.fullmatch(r"evidence-[0-9a-f]{12}\.json", file.name)
    (places.adf_is_harmless if cloud else places.wiki_is_harmless)(ticket.description)
    assert_unlogged(text, caplog)


def assert_unlogged(text: str, caplog: pytest.LogCaptureFixture) -> None:
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("streams")]
    assert all(line.isprintable() for line in ours)
    if len(text.strip()) > 3:
        assert not any(text[:30] in line for line in ours)


@pytest.mark.parametrize(("kind", "secret"), [(kind, all_of[0]) for kind, all_of in SECRETS.items()])
def test_a_finding_that_cannot_be_read_is_buried_without_its_secrets(kind: str, secret: str) -> None:
    whole = encode(b.finding(0, title=f"it says {secret} there"))
    for value in (
        whole[:-1],
        whole.replace(b'"severity":"high"', b'"severity":"' + json.dumps(secret).encode()[1:-1] + b'"'),
    ):
        buried = sighted(Read("tocsin.findings/0", 7, b"k", value, 0), 1, b.at(0))
        assert buried.record is None and buried.letter is not None
        assert core(kind, secret) not in repr(msgspec.to_builtins(buried.letter))


def test_signs_that_count_twice_fit_as_well() -> None:
    smileys = "\N{PILE OF POO}" * 300
    one = places.incident(smileys)
    assert len(jira_text.line(places.ticket(one).summary).encode("utf-16-le")) // 2 <= 255
    for _, blocks in places.slack_pages(one):
        assert len(blocks[0]["text"]["text"].encode("utf-16-le")) // 2 <= 150


def test_the_name_of_an_incident_is_one_part_of_an_address() -> None:
    one = places.incident("x", id="v1:x/../<a>|b?#%#1")
    for doc in places.pages(one):
        address = dict(doc.links)["Incident"]
        assert re.fullmatch(r"https://tocsin\.example/incidents/[A-Za-z0-9%._~-]+", address)
