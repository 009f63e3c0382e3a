"""What Jira and Slack say, in their own words, and what they are told. Faults of the exchange: test_receiver_suite.py."""

from __future__ import annotations

from typing import Any

import pytest
from respond.outside import (
    CANARY,
    HOSTILE,
    evidence,
    jira_receiver,
    page,
    pages,
    slack_receiver,
    ticket,
    tickets,
)

from streams.records import Done, NotDone, Refused, Unknown
from streams.respond.receivers.jira_answers import AFTER_S_MAX, retry_after
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]


@pytest.mark.parametrize(
    ("given", "after_s"),
    [("7", 7.0), ("1.5", 1.5), ("9" * 400, AFTER_S_MAX), ("Wed, 21 Oct 9999 23:59:59 -2359", AFTER_S_MAX),
     ("", None), ("-1", None), ("\xb2", None), ("soon", None),
     ("Wed, 21 Oct 2099 07:28:00 -9999999999999", None)],
)  # fmt: skip
def test_however_a_proxy_writes_how_long_to_wait_nothing_is_raised(given: str, after_s: float | None) -> None:
    assert retry_after({"Retry-After": given}) == after_s


@pytest.mark.parametrize(
    ("word", "arm"),
    [(word, Unknown) for word in ("internal_error", "fatal_error", "request_timeout", "service_unavailable")]
    + [(word, NotDone) for word in ("ratelimited", "rate_limited")]
    + [(word, Refused) for word in ("invalid_auth", "token_revoked", "channel_not_found", "not_in_channel", "is_archived",
       "missing_scope", "invalid_blocks", "msg_too_long")],
)  # fmt: skip
async def test_slack_says_no_in_words(slack: SlackRunning, word: str, arm: type) -> None:
    server, url = slack
    body = f'{{"ok": false, "error": "{word}"}}'
    server.faults.add(Fault(path="chat.postMessage", kind="status", code=200, body=body, when="before"))
    receiver = slack_receiver(url)
    assert isinstance(await receiver.carry(page(), {}, "n1"), arm)
    await receiver.close()


async def test_how_long_to_wait_is_heeded_as_a_number_and_as_a_date(jira: JiraRunning) -> None:
    server, url = jira
    receiver = jira_receiver(url)
    for given, least in (("7", 7.0), ("Wed, 21 Oct 2099 07:28:00 GMT", 3600.0)):
        server.faults.add(
            Fault(path="/rest/api/*/issue", kind="status", code=429, when="before", headers={"Retry-After": given})
        )
        answer = await receiver.carry(ticket(), {}, "n1")
        assert isinstance(answer, NotDone) and answer.after_s is not None and answer.after_s >= least
    await receiver.close()


async def test_a_refusal_names_the_field_and_credentials_are_told_apart(jira: JiraRunning) -> None:
    server, url = jira
    server.desk.off_screen.add("labels")
    receiver = jira_receiver(url)
    answer = await receiver.carry(ticket(), {}, "n1")
    assert isinstance(answer, Refused) and answer.why.startswith("400: labels: ")
    server.desk._token = "another"
    answer = await receiver.carry(ticket(), {}, "n1")
    assert isinstance(answer, Refused) and answer.why.startswith("credentials: 401")
    await receiver.close()


async def test_a_token_that_jira_echoes_is_not_repeated(jira: JiraRunning) -> None:
    server, url = jira
    body = f'{{"errorMessages": ["bad token {CANARY}"]}}'
    server.faults.add(Fault(path="/rest/api/*/issue", kind="status", code=400, body=body, when="before"))
    receiver = jira_receiver(url)
    answer = await receiver.carry(ticket(), {}, "n1")
    await receiver.close()
    assert answer == Refused("400: bad token ***")


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "data-center"])
async def test_a_created_ticket_bears_label_property_and_unconfirmed_until_confirmed(
    jira: JiraRunning, cloud: bool
) -> None:
    server, url = jira
    receiver = jira_receiver(url, cloud=cloud)
    done = await receiver.carry(ticket(), {}, "n1")
    assert done == Done("OPS-1", f"{url}/browse/OPS-1")
    found = server.book.find("OPS-1")
    assert found is not None
    assert found.properties["tocsin.incident"] == {
        "incident": "i1", "deployment": "test", "obligation": "i1:ticket:1", "nonce": "n1",
    }  # fmt: skip
    assert tickets(server) == ["OPS-1"] and "tocsin-unconfirmed" in found.labels
    for _ in range(2):
        assert await receiver.confirm(ticket(), done) == done
    assert "tocsin-unconfirmed" not in found.labels and tickets(server) == ["OPS-1"]
    await receiver.close()


async def test_evidence_is_attached_once(jira: JiraRunning) -> None:
    server, url = jira
    receiver = jira_receiver(url)
    done = await receiver.carry(ticket(), {}, "n1")
    assert isinstance(done, Done)
    given = {"i1:ticket:1": done}
    first = await receiver.carry(evidence(), given, "n1")
    assert isinstance(first, Done)
    assert await receiver.carry(evidence(), given, "n2") == first
    found = server.book.find("OPS-1")
    assert found is not None and len(found.files) == 1
    assert found.files[0].name.startswith("evidence-") and found.files[0].name.endswith(".json")
    await receiver.close()


async def test_a_page_says_whom_and_is_found_by_its_metadata(slack: SlackRunning) -> None:
    server, url = slack
    receiver = slack_receiver(url)
    done = await receiver.carry(page(), {}, "n1")
    assert isinstance(done, Done)
    (message,) = pages(server)
    assert done.reference.endswith(f"/{message.ts}") and done.url is not None and done.url.startswith(url)
    assert message.text.startswith("<!subteam^S0ONCALL> High: a tool fails")
    assert message.metadata["event_type"] == "tocsin_incident"
    assert "i1" not in str(message.metadata["event_payload"]["incident"])
    assert message.metadata["event_payload"]["nonce"] == "n1"
    edited = await receiver.carry(
        page(ordinal=2, headline="Acknowledged", after=("i1:page:1", "i1:ticket:1")),
        {"i1:page:1": done, "i1:ticket:1": Done("OPS-7", "https://jira.example/browse/OPS-7")},
        "n2",
    )
    assert edited == done
    (message,) = pages(server)
    assert message.text.startswith("Acknowledged")
    assert "<https://jira.example/browse/OPS-7|Ticket OPS-7>" in str(message.blocks)
    await receiver.close()


async def test_hostile_text_stays_text_in_a_page(slack: SlackRunning) -> None:
    server, url = slack
    receiver = slack_receiver(url)
    given = {"headline": HOSTILE, "lines": (("What", HOSTILE), (HOSTILE, "x")), "evidence": (HOSTILE,), "todo": HOSTILE,
             "ticket_pending": HOSTILE, "mention": "channel", "links": (("x", "javascript:alert(1)"),)}  # fmt: skip
    assert isinstance(await receiver.carry(page(**given), {}, "n1"), Done)
    (message,) = pages(server)
    marked = [message.text, *(one["text"] for one in texts(message.blocks) if one["type"] == "mrkdwn")]
    assert len(marked) > 1
    for text in marked:
        assert "<" not in text and ">" not in text
    await receiver.close()


def texts(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for one in node for found in texts(one)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("type") in ("mrkdwn", "plain_text") else []
    return own + [found for one in node.values() for found in texts(one)]


async def test_a_page_that_is_too_long_is_cut_and_not_refused(slack: SlackRunning) -> None:
    server, url = slack
    receiver = slack_receiver(url)
    long = "x" * 5000
    given = {
        "headline": long,
        "lines": tuple((f"l{n}", long) for n in range(12)),
        "evidence": (long, long),
        "steps": (long,) * 3,
    }
    assert isinstance(await receiver.carry(page(**given), {}, "n1"), Done)
    (message,) = pages(server)
    assert len(str(message.blocks)) < 13_000
    await receiver.close()


async def test_hostile_text_stays_text_in_a_ticket(jira: JiraRunning) -> None:
    server, url = jira
    receiver = jira_receiver(url)
    hostile = {"summary": f"{HOSTILE}\nsecond line", "sections": ((HOSTILE, (HOSTILE, "")),), "fields": ((HOSTILE, HOSTILE), ("", "")),
               "evidence": (HOSTILE, "x" * 40_000), "links": (("x", "javascript:alert(1)"), (HOSTILE, "https://ok.example/"))}  # fmt: skip
    assert isinstance(await receiver.carry(ticket(**hostile), {}, "n1"), Done)
    found = server.book.find("OPS-1")
    assert found is not None and "\n" not in found.summary
    kinds = {node["type"] for node in nodes(found.description)}
    assert not kinds & {"mention", "inlineCard", "emoji"}
    assert [
        mark["attrs"]["href"]
        for node in nodes(found.description)
        for mark in node.get("marks", [])
        if mark["type"] == "link"
    ] == ["https://ok.example/"]
    await receiver.close()


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for child in node.get("content", []) for found in nodes(child))]


async def test_hostile_text_stays_text_in_wiki_markup(jira: JiraRunning) -> None:
    server, url = jira
    receiver = jira_receiver(url, cloud=False)
    assert isinstance(await receiver.carry(ticket(sections=(("x", (HOSTILE,)),)), {}, "n1"), Done)
    found = server.book.find("OPS-1")
    assert found is not None
    for markup in ("{code}", "[~admin]", "\nh1.", "https://evil", "*bold*", "\\\\"):
        assert markup not in found.description
    await receiver.close()
