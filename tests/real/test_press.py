"""A press on a button reaches the book through a real respond process, killed between the row and the acknowledgement."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from real.test_respond import environ, found, role
from respond.outside import CANARY, SLACK_CANARY, rows, until

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

__all__ = ["environ"]
APP_CANARY = f"xapp-{CANARY}"


def page_of(slack: SandboxSlack) -> tuple[Any, Any] | None:
    for channel in slack.workspace.channels.values():
        for message in channel.newest(0, 2**62):
            return channel, message
    return None


@pytest.mark.slow
async def test_killed_between_the_row_and_the_acknowledgement_the_press_counts_once(
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    jira, slack = SandboxJira(token=CANARY), SandboxSlack(token=SLACK_CANARY)
    slack.sockets.app_token, slack.sockets.ack_s, slack.sockets.redeliveries = APP_CANARY, 1.0, 60
    environ |= {
        "TOCSIN_JIRA_URL": await jira.start(),
        "TOCSIN_SLACK_URL": f"{await slack.start()}/api/",
        "TOCSIN_SLACK_APP_TOKEN": APP_CANARY,
    }
    uri, log = environ["TOCSIN_DATABASE"], tmp_path / "respond.log"
    await found(environ, 0, 1)
    ada = next(one for one in slack.workspace.people.values() if one.name == "ada")
    async with role({**environ, "POINT": "heard"}, log) as process:
        await until(lambda: ready(slack, uri), 60, "the page and a socket")
        place = page_of(slack)
        assert place is not None
        pressing = asyncio.create_task(slack.interaction.press(place, "tocsin:acknowledge", ada))
        await asyncio.wait([pressing, asyncio.create_task(process.wait())], timeout=30, return_when="FIRST_COMPLETED")
        assert not pressing.done(), pressing.result()
        assert process.returncode == -signal.SIGKILL, log.read_text()[-3000:]
    async with role(environ, log):
        assert (await pressing).heard
        await until(lambda: acknowledged(uri, place), 60, "the acknowledgement and the edit of the page")
    assert len(await rows(uri, "SELECT 1 FROM heard WHERE source = 'slack'")) == 1
    assert CANARY not in log.read_text(errors="replace")
    await jira.stop()
    await slack.stop()


async def ready(slack: SandboxSlack, uri: str) -> bool:
    done = await rows(uri, "SELECT 1 FROM obligations WHERE receiver = 'slack' AND kind = 'page' AND state = 'done'")
    return bool(done) and slack.sockets.connections > 0 and page_of(slack) is not None


async def acknowledged(uri: str, place: tuple[Any, Any]) -> bool:
    known = await rows(uri, "SELECT body->>'acknowledged_by' FROM incidents")
    channel, message = place
    return known == [("ada",)] and "ada" in str(channel.find(message.ts).blocks)
