"""Pages and news in Slack: where they stand, whom they mention, how often they come, and what a refusal means."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from respond.outside import (
    CHANNEL,
    SLACK_CANARY,
    carrying,
    page,
    pages,
    posts,
    promise,
    settled,
    slack_receiver,
    states,
)

from streams.records import Done, NotDone, Obligation, Refused, Unknown
from streams.respond.messages import NoteDoc, body
from streams.respond.receivers.pacing import Allowed, Buckets
from streams.respond.receivers.protocol import Absent, Blind, Doubt
from streams.respond.receivers.slack import Rates, Slack
from streams.sandbox.faults import Fault
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number

Running = tuple[SandboxSlack, str]
AGENTS = number("C", "agents")
FAST = Rates(Allowed(1000, 0.001), Allowed(1000, 0.001), Allowed(1000, 0.001))
DOUBT = Doubt(datetime.now(UTC))


def note(incident: str = "i1", ordinal: int = 1, **given: Any) -> Obligation:
    doc = NoteDoc(
        incident=incident, deployment="test", page=f"{incident}:page:1", headline="It seems to be over", **given
    )
    return Obligation(f"{incident}:note:{ordinal}", incident, "note", ordinal, f"slack:{CHANNEL}", body(doc))


def elsewhere(obligation: Obligation) -> Obligation:
    return replace(obligation, destination=f"slack:{AGENTS}")


async def rooted(receiver: Slack) -> dict[str, Done]:
    root = await receiver.carry(page(), {}, "n1")
    assert isinstance(root, Done)
    return {"i1:page:1": root}


async def test_news_stand_in_the_thread_mention_nobody_and_are_found_there(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    assert isinstance(await receiver.find(note(), known, DOUBT), Absent)
    done = await receiver.carry(note(lines=("<!channel> see",)), known, "n2")
    assert isinstance(done, Done)
    (root,) = pages(server)
    (reply,) = server.workspace.channels[CHANNEL].replies(root.ts)
    assert done.reference == f"{CHANNEL}/{reply.ts}" and not reply.broadcast
    assert "<!" not in reply.text and reply.text.startswith("It seems to be over")
    found = await receiver.find(note(), known, DOUBT)
    assert isinstance(found, Done) and found.reference == done.reference
    await receiver.close()


async def test_news_of_a_page_that_never_was_stand_by_themselves(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    assert isinstance(await receiver.carry(note(), {}, "n1"), Done)
    assert len(pages(server)) == 1
    await receiver.close()


async def test_a_page_that_wakes_again_answers_in_the_thread_and_is_seen_in_the_channel(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    again = page(ordinal=3, mention="S0SECOND", level=1)
    done = await receiver.carry(again, known, "n3")
    newest, root = pages(server)
    assert newest.thread_ts == root.ts and newest.broadcast and "<!subteam^S0SECOND>" in newest.text
    found = await receiver.find(again, known, DOUBT)
    assert isinstance(found, Done) and found == done
    await receiver.close()


async def test_a_page_in_another_channel_is_a_page_of_its_own(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    again = elsewhere(page(ordinal=3, mention="S0SECOND"))
    done = await receiver.carry(again, known, "n3")
    (own,) = server.workspace.channels[AGENTS].newest(0, 2**62)
    assert own.thread_ts is None and done == await receiver.find(again, known, DOUBT)
    await receiver.close()


class Duty:
    def __init__(self, **answers: str | None) -> None:
        self.answers, self.asked = answers, []  # type: ignore[var-annotated]

    async def who(self, name: str) -> str | None:
        self.asked.append(name)
        if name not in self.answers:
            raise RuntimeError("a receiver's bug")
        return self.answers[name]


class Slow:
    async def who(self, name: str) -> str | None:
        await asyncio.sleep(3600)
        return name


@pytest.mark.parametrize(("duty", "oncall", "mention", "says"), [
    (Duty(**{"rota:a": "U0ADA"}), "rota:a", "S0TEAM", ("<@U0ADA>", "")),
    (Duty(**{"rota:a": None}), "rota:a", "S0TEAM", ("<!subteam^S0TEAM>", "on call could not be asked")),
    (Duty(), "rota:a", "S0TEAM", ("<!subteam^S0TEAM>", "on call could not be asked")),
    (Duty(**{"rota:a": "<!channel>"}), "rota:a", "S0TEAM", ("<!subteam^S0TEAM>", "on call could not be asked")),
    (None, "rota:a", "S0TEAM", ("<!subteam^S0TEAM>", "on call could not be asked")),
    (Duty(**{"email:ada@example.com": "U0ADA"}), "", "ada@example.com", ("<@U0ADA>", "")),
    (Duty(**{"group:oncall": "S0ONCALL"}), "", "@oncall", ("<!subteam^S0ONCALL>", "")),
    (Duty(**{"group:nobody": None}), "", "nobody", ("", "nobody is not known in Slack")),
    (Duty(**{"email:<!channel>@x": None}), "", "<!channel>@x", ("", "is not known in Slack")),
])  # fmt: skip
async def test_whom_a_page_mentions_is_asked_when_it_is_sent(
    slack: Running, duty: Any, oncall: str, mention: str, says: tuple[str, str]
) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST, oncall=duty)
    assert isinstance(await receiver.carry(page(oncall=oncall, mention=mention), {}, "n1"), Done)
    (message,) = pages(server)
    wakes, remark = says
    assert message.text.startswith(f"{wakes} High:" if wakes else "High:")
    assert remark in str(message.blocks) and ("Mentioned" in str(message.blocks)) is bool(remark)
    assert "<!channel>" not in message.text
    await receiver.close()


async def test_a_page_does_not_wait_long_for_a_name(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST, oncall=Slow())
    began = time.monotonic()
    assert isinstance(await receiver.carry(page(oncall="rota:a", mention="S0TEAM"), {}, "n1"), Done)
    assert time.monotonic() - began < 5.0
    assert "<!subteam^S0TEAM>" in pages(server)[0].text
    await receiver.close()


# -- what Slack answers -----------------------------------------------------------------------------------------------

WORDS: dict[str, type] = {
    **dict.fromkeys(("internal_error", "fatal_error", "request_timeout", "service_unavailable"), Unknown),
    **dict.fromkeys(("ratelimited", "rate_limited"), NotDone),
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "channel_not_found",
         "not_in_channel", "is_archived", "missing_scope", "invalid_blocks", "msg_too_long", "msg_blocks_too_long",
         "no_text", "restricted_action", "something_new"), Refused),
}  # fmt: skip
METHODS = {"post": "chat.postMessage", "edit": "chat.update", "note": "chat.postMessage"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("word", WORDS)
async def test_each_word_of_slack_is_one_of_four_answers(slack: Running, word: str, method: str) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    server.faults.add(
        Fault(path=METHODS[method], kind="status", code=200, body=f'{{"ok": false, "error": "{word}"}}', when="before")
    )
    obligation = {"post": page("i2"), "edit": page(ordinal=2), "note": note()}[method]
    answer = await receiver.carry(obligation, known, "n1")
    assert isinstance(answer, WORDS[word]), answer
    await receiver.close()


@pytest.mark.parametrize("thread", [False, True], ids=["channel", "thread"])
@pytest.mark.parametrize(("word", "arm"), [
    ("internal_error", Blind), ("fatal_error", Blind), ("ratelimited", Blind), ("service_unavailable", Blind),
    ("missing_scope", Absent), ("not_in_channel", Absent), ("channel_not_found", Absent), ("thread_not_found", Absent),
])  # fmt: skip
async def test_a_look_that_fails_is_no_absence_unless_we_may_never_look(
    slack: Running, word: str, arm: type, thread: bool
) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    path = "conversations.replies" if thread else "conversations.history"
    server.faults.add(Fault(path=path, kind="status", code=200, body=f'{{"ok": false, "error": "{word}"}}', times=None))
    assert isinstance(await receiver.find(note() if thread else page("i2"), known, DOUBT), arm)
    await receiver.close()


@pytest.mark.parametrize("thread", [False, True], ids=["channel", "thread"])
@pytest.mark.parametrize("answer", ["{}", '{"ok": true}', '{"ok": true, "messages": 7}', '{"ok": true, "messages": [7, null, {"ts": "x"}]}',
    '{"ok": true, "messages": [{"metadata": {"event_type": "tocsin_incident", "event_payload": []}}]}'])  # fmt: skip
async def test_a_look_at_something_strange_raises_nothing(slack: Running, answer: str, thread: bool) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    known = await rooted(receiver)
    path = "conversations.replies" if thread else "conversations.history"
    server.faults.add(Fault(path=path, kind="status", code=200, body=answer, times=None))
    assert isinstance(await receiver.find(note() if thread else page("i2"), known, DOUBT), Absent | Blind)
    await receiver.close()


async def test_what_the_sandbox_refuses_is_refused_in_words(slack: Running) -> None:
    server, url = slack
    channel = server.workspace.channels[CHANNEL]
    receiver = slack_receiver(url, rates=FAST)
    channel.is_member = False
    assert await receiver.carry(page(), {}, "n1") == Refused("not_in_channel")
    channel.is_member, channel.is_archived = True, True
    assert await receiver.carry(page(), {}, "n1") == Refused("is_archived")
    channel.is_archived, server.limits.scopes = False, ("channels:history",)
    assert await receiver.carry(page(), {}, "n1") == Refused("missing_scope")
    assert await receiver.carry(replace(page(), destination="slack:C0NOWHERE"), {}, "n1") == Refused("missing_scope")
    await receiver.close()


# -- how often --------------------------------------------------------------------------------------------------------


def test_a_bucket_gives_what_it_holds_and_fills_with_time() -> None:
    now = [100.0]
    buckets = Buckets(lambda: now[0])
    allowed = Allowed(3, 2.0)
    assert [buckets.take("a", allowed) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert buckets.take("b", allowed) == 0.0
    now[0] += 2.0
    assert [buckets.take("a", allowed), buckets.take("a", allowed)] == [0.0, 2.0]
    buckets.hold("a", allowed, 30.0)
    assert buckets.take("a", allowed) == 30.0
    now[0] += 30.0
    assert buckets.take("a", allowed) == 0.0 and buckets.take("a", allowed) > 0


def test_channels_edits_and_questions_do_not_wait_for_each_other(slack: Running) -> None:
    receiver = slack_receiver(slack[1])
    assert receiver.pace(page("i1")) == 0.0
    assert 0.9 < receiver.pace(page("i2")) <= 1.1
    assert receiver.pace(elsewhere(page("i2"))) == 0.0
    edits = [receiver.pace(page(f"i{n}", ordinal=2)) for n in range(60)]
    assert edits.count(0.0) <= 6 and receiver.edits(page(ordinal=2))
    assert receiver.pace(elsewhere(page("i9", ordinal=3, mention="S0SECOND"))) > 0.9
    assert not receiver.edits(page(ordinal=3, mention="S0SECOND")) and not receiver.edits(
        page(ordinal=3, oncall="rota:a")
    )
    assert receiver.pace(page("i2"), asking=True) == 0.0


async def test_without_a_place_no_call_is_made_and_with_one_exactly_one(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url)
    assert receiver.pace(page("i1")) == 0.0
    assert isinstance(await receiver.carry(page("i1"), {}, "n1"), Done)
    early = await receiver.carry(page("i2"), {}, "n1")
    assert isinstance(early, NotDone) and early.after_s is not None and early.after_s <= 1.1
    assert posts(server.serving.calls, "/chat.postMessage") == 1
    await receiver.close()


@pytest.mark.parametrize(("headers", "least", "most"), [
    ({"Retry-After": "7"}, 6.5, 8.2), ({}, 0.5, 2.2), ({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, 60.0, 1e12),
    ({"Retry-After": "soon"}, 0.5, 2.2),
])  # fmt: skip
async def test_too_many_calls_hold_that_channel_for_as_long_as_slack_says(
    slack: Running, headers: dict[str, str], least: float, most: float
) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    server.faults.add(Fault(path="chat.postMessage", kind="status", code=429, headers=headers, when="before"))
    answer = await receiver.carry(page(), {}, "n1")
    assert isinstance(answer, NotDone) and answer.after_s is not None and least <= answer.after_s <= most
    assert least <= receiver.pace(page()) <= most
    assert receiver.pace(elsewhere(page())) == 0.0 and receiver.pace(page(ordinal=2)) == 0.0
    await receiver.close()


async def test_a_carrier_keeps_slacks_limits_and_lets_no_page_wait_behind_an_edit(
    book: str, slack: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight pages to two channels, each edited at once: two a second, and nobody counts a violation."""
    caplog.set_level(logging.DEBUG)
    server, url = slack
    pages_ = [page(f"i{n}") if n % 2 else elsewhere(page(f"i{n}")) for n in range(8)]
    edits = [replace(page(f"i{n}", ordinal=2), destination=one.destination) for n, one in enumerate(pages_)]
    await promise(book, *[one for both in zip(pages_, edits, strict=True) for one in both])
    began = time.monotonic()
    async with carrying(book, slack_receiver(url)):
        await settled(book, "done", 30.0)
    assert time.monotonic() - began >= 3.0
    assert not server.violations
    assert set((await states(book)).values()) == {"done"}
    assert SLACK_CANARY not in caplog.text


async def test_the_address_of_a_page_is_asked_for_once_and_never_insisted_on(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    server.faults.add(Fault(path="auth.test", kind="hang", when="before"))
    first = await receiver.carry(page("i1"), {}, "n1")
    server.faults.clear()
    answers = await asyncio.gather(*(receiver.carry(page(f"i{n}"), {}, "n1") for n in range(2, 9)))
    assert isinstance(first, Done) and first.url is None
    assert all(isinstance(one, Done) for one in answers)
    assert sum(call.path.endswith("auth.test") for call in server.serving.calls) == 1
    await receiver.close()
    again = slack_receiver(url, rates=FAST)
    links = await asyncio.gather(*(again.carry(page(f"j{n}"), {}, "n1") for n in range(8)))
    assert all(isinstance(one, Done) and one.url and one.url.startswith(url) for one in links)
    assert sum(call.path.endswith("auth.test") for call in server.serving.calls) == 2
    await again.close()
