"""Writes down what was pressed: who may, where, about what; once, however often it is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, Counter

from ...database import Connection
from ...learn.outcomes.recorder import Recorder
from ...records import NotDone, Outcome, Refused, Unknown
from ..receivers.slack_wire import Wire
from . import further, views
from .clicks import Click, Nonsense, clicks, printable, record

log = logging.getLogger(__name__)

KEPT_S = 2 * 86_400
TIDY_S = 60.0
TIDY_MAX = 1000  # at a time: a press is acknowledged in time
NAME_S_MAX = 1.0  # of the three seconds that Slack waits
STRANGER = "Only members of this workspace can do that."
ELSEWHERE = "That works only where the incident was paged."
UNKNOWN = "This incident is not known any more; nothing was changed."
FORGOTTEN = """
DELETE FROM heard WHERE (source, key) IN (
    SELECT source, key FROM heard WHERE at < now() - make_interval(secs => %s)
    ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
"""
GARBLED = "That could not be understood; nothing was changed. The incident's page offers the same."


class NotNow(Exception):
    """It cannot be told whether it may be heard: it is not acknowledged, and told again."""


class Reply(NamedTuple):
    """What one person is told, and nobody else."""

    channel: str
    user: str
    text: str
    trigger: str = ""  # a window is opened with it, if it can be; otherwise the text is said
    view: dict[str, Any] | None = None


class Ears:
    """`wire`: of the bot, for who we are and for replies; `team`: whose members may press, empty: our own."""

    def __init__(self, wire: Wire | None, team: str, recorder: Recorder, registry: CollectorRegistry) -> None:
        self._wire, self._team, self._recorder = wire, team, recorder
        self._tidied = 0.0
        self.hold_s = 3600.0  # so long holds what a page's button asks for; policy breaker.person_s
        self._heard = Counter(
            "tocsin_heard", "What was told from outside, by what became of it", ("source", "result"), registry=registry
        )

    def count(self, source: str, result: str) -> None:
        self._heard.labels(source, result).inc()

    async def pressed(
        self, conn: Connection, payload: Any, source: str, once: Callable[[], Awaitable[None]] | None = None
    ) -> list[Reply]:
        """All or nothing; raises Nonsense, NotNow. `once` runs in the same transaction, before anything is written."""
        window = views.submitted(payload)
        found = [window.click] if window else [await self._named(click) for click in clicks(payload)]
        team = await self._own_team() if found else ""
        results, replies = [], []
        async with conn.transaction():
            if once is not None:
                await once()
            for click in found:
                result, text = await self._click(conn, click, team, window)
                results.append(result)
                replies += [_reply(click, text)] if text and click.channel else []
        for result in results:
            self.count(source, result)
        await self.tidy(conn)
        return replies

    async def reply(self, replies: Sequence[Reply]) -> None:
        """Best effort."""
        for one in replies if self._wire is not None else ():
            if one.view is not None and await self._opened(one):
                continue
            answer = await self._wire.call(  # type: ignore[union-attr]
                lambda slack, one=one: slack.chat_postEphemeral(channel=one.channel, user=one.user, text=one.text)  # type: ignore[misc]
            )
            if not isinstance(answer, dict):
                log.warning("a reply to a press could not be given: %s", answer.why)

    async def _opened(self, one: Reply) -> bool:
        answer = await self._wire.call(  # type: ignore[union-attr]
            lambda slack: slack.views_open(trigger_id=one.trigger, view=one.view)  # type: ignore[arg-type]
        )
        return isinstance(answer, dict)

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()

    async def _click(
        self, conn: Connection, click: Click, team: str, window: views.Submission | None = None
    ) -> tuple[str, str]:
        if click.user_team != team:
            return "stranger", STRANGER
        if click.action in further.ACTIONS:
            if not await _ours(conn, click):
                return "elsewhere", ELSEWHERE
            if not await first(conn, "slack", click.key):
                return "again", ""
            click = click._replace(name=self._recorder.in_slack(click.user, click.name))
            return await further.heard(conn, click, datetime.now(UTC), self.hold_s)
        fingerprint = await _fingerprint(conn, click.incident)
        if fingerprint is None:
            return "unknown", UNKNOWN
        if not await _ours(conn, click):
            return "elsewhere", ELSEWHERE
        try:
            click = click._replace(name=self._recorder.in_slack(click.user, click.name))
            now = datetime.now(UTC)
            said = views.outcome(window._replace(click=click), now) if window else record(click, fingerprint, now)
        except Nonsense:
            return "garbage", GARBLED
        if not await first(conn, "slack", click.key):
            return "again", ""
        if isinstance(said, Outcome):
            await self._recorder.record(conn, said)
            asked = window is None and not said.reopened and said.outcome in views.FIELDS
            return "heard", views.more(said.outcome) if asked else ""
        await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [msgspec.json.encode(said).decode()])
        return "heard", ""

    async def _named(self, click: Click) -> Click:
        """Slack tells the number of whoever was chosen; people read names. Not insisted on."""
        if click.action != "assign" or not click.chosen or self._wire is None:
            return click
        with suppress(TimeoutError):
            async with asyncio.timeout(NAME_S_MAX):
                answer = await self._wire.call(lambda slack: slack.users_info(user=click.chosen))
            user = answer.get("user") if isinstance(answer, dict) else None
            name = user.get("real_name") or user.get("name") if isinstance(user, dict) else None
            return click._replace(chosen=printable(name)) if isinstance(name, str) and name else click
        return click

    async def _own_team(self) -> str:
        if not self._team:
            if self._wire is None:
                raise NotNow("neither TOCSIN_SLACK_TEAM nor TOCSIN_SLACK_TOKEN is set")
            answer = await self._wire.call(lambda slack: slack.auth_test())
            if isinstance(answer, NotDone | Refused | Unknown):
                raise NotNow(f"Slack does not say who we are: {answer.why}")
            self._team = str(answer.get("team_id") or "")
        if not self._team:
            raise NotNow("Slack does not say who we are")
        return self._team

    async def tidy(self, conn: Connection) -> None:
        """What is too old to be told again need not be remembered. Whoever writes down what was heard asks for it."""
        now = time.monotonic()
        if not self._tidied or now - self._tidied > TIDY_S:
            self._tidied = now
            await conn.execute(FORGOTTEN, [KEPT_S, TIDY_MAX])


def _reply(click: Click, text: str) -> Reply:
    """An outcome that was pressed is written down already; the window asks what belongs to it."""
    outcome = click.chosen if click.action == "outcome" else click.action
    asked = click.trigger and outcome in views.FIELDS and text == views.more(outcome)
    view = views.view(outcome, click.incident, click.channel) if asked else None  # type: ignore[arg-type]
    return Reply(click.channel, click.user, text, click.trigger if view else "", view)


async def first(conn: Connection, source: str, key: str) -> bool:
    """Whether this is told for the first time. Kept with the caller's transaction."""
    cursor = await conn.execute(
        "INSERT INTO heard (source, key) VALUES (%s, %s) ON CONFLICT DO NOTHING", [source, key[:2000]]
    )
    return cursor.rowcount == 1


async def _fingerprint(conn: Connection, incident: str) -> str | None:
    row = await (await conn.execute("SELECT fingerprint FROM incidents WHERE id = %s", [incident])).fetchone()
    return str(row[0]) if row else None


async def _ours(conn: Connection, click: Click) -> bool:
    """Whether something of this incident was posted there; the answer to a post may still be on its way."""
    cursor = await conn.execute(
        "SELECT 1 FROM obligations WHERE incident = %s AND receiver = 'slack' AND (split_part(reference, '/', 1) = %s"
        " OR destination = %s OR (reference IS NULL AND state = 'attempting')) LIMIT 1",
        [click.incident, click.channel, f"slack:{click.channel}"],
    )
    return await cursor.fetchone() is not None
