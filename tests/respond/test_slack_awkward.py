"""What people and busy channels do to pages in Slack: a root that was deleted, more messages than anybody can read."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from respond.outside import CHANNEL, page, pages, slack_receiver

from streams.records import Done
from streams.respond.receivers import slack_search
from streams.respond.receivers.pacing import Allowed
from streams.respond.receivers.protocol import Absent, Doubt
from streams.respond.receivers.slack import LATE_S, Rates
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import Message

Running = tuple[SandboxSlack, str]
FAST = Rates(Allowed(1000, 0.001), Allowed(1000, 0.001), Allowed(1000, 0.001))


async def test_whoever_is_woken_again_is_woken_also_when_somebody_deleted_the_first_page(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    gone: dict[str, Any] = {"i1:page:1": Done(f"{CHANNEL}/1700000000.000100")}
    done = await receiver.carry(page(ordinal=3, mention="S0SECOND", level=1), gone, "n3")
    (alone,) = pages(server)
    assert done == Done(f"{CHANNEL}/{alone.ts}", getattr(done, "url", None))
    assert alone.thread_ts is None and "<!subteam^S0SECOND>" in alone.text
    await receiver.close()


def chatter(server: SandboxSlack, count: int, since: float) -> None:
    channel = server.workspace.channels[CHANNEL]
    for number in range(count):
        server.workspace.keep(channel, Message(f"{since + number / 1000:.6f}", "U0OTHER", f"chat {number}", []))


async def test_a_page_is_found_however_much_was_said_after_it(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST)
    done = await receiver.carry(page(), {}, "n1")
    chatter(server, slack_search.PAGE_SIZE * slack_search.PAGES_MAX + 1, time.time() + 2 * LATE_S)
    assert await receiver.find(page(), {}, Doubt(datetime.now(UTC))) == done
    await receiver.close()


async def test_a_channel_that_nobody_can_read_through_keeps_no_page_back_for_ever(slack: Running) -> None:
    server, url = slack
    receiver = slack_receiver(url, rates=FAST, again_s=0.0)
    since = datetime.now(UTC) - timedelta(days=1)
    chatter(server, slack_search.PAGE_SIZE * slack_search.PAGES_MAX + 1, since.timestamp())
    assert isinstance(await receiver.find(page(), {}, Doubt(since)), Absent)
    await receiver.close()
