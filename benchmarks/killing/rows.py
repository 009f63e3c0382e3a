"""What the field does when calls fail, row by row, and what we do in the same shape."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from benchmarks.killing import shapes
from benchmarks.killing.judging import by_incident, counted, delays
from benchmarks.killing.outside import State
from benchmarks.killing.shapes import Stage
from benchmarks.killing.world import Servers

SIDE_BY_SIDE = 3


class Result(Struct, kw_only=True):
    row: str
    scenario: str
    elsewhere: str
    incidents: int = 0
    lost_tickets: int = 0
    lost_pages: int = 0
    doubled_ever: int = 0
    doubled_open: int = 0
    doubled_pages: int = 0
    page_s_p50: float = 0.0
    page_s_p99: float = 0.0
    ticket_s_p50: float = 0.0
    ticket_s_p99: float = 0.0
    note: str = ""
    seconds: float = 0.0


Shape = Callable[[Stage], Awaitable[State]]
ROWS: dict[str, tuple[str, str, Shape]] = {
    "quiet": ("no fault", "1 ticket and 1 message each; message after 30.1 s (p50), ticket after 30.3 s", shapes.quiet),
    "gateway": (
        "every create succeeds but answers 504",
        "Alertmanager: 195 of 200 doubled; jiralert, short timing: 37 of 200",
        shapes.gateway,
    ),
    "half-a-minute": ("30 s of such 504s", "91 of 200 doubled, up to 5 tickets for one incident", shapes.half_a_minute),
    "reset": (
        "create reset before doing anything, for 2 minutes",
        "no ticket ever: Alertmanager 16 of 16, jiralert 7 of 7",
        shapes.reset,
    ),
    "crashes": (
        "kill -9 ten times",
        "up to 5 messages per incident; alerts posted only once: 125 of 200 lost",
        shapes.crashes,
    ),
    "limited": (
        "Slack 429 for 20 s",
        "69 of 200 messages five minutes late; 2-minute alerts: 64 of 200 never",
        shapes.limited,
    ),
    "burst": (
        "200 at once, Slack 1 message/s, one channel",
        "after 11 minutes 185 of 200 without a message",
        shapes.burst,
    ),
    "burst-unbudgeted": ("the same without a storm budget", "the same", shapes.burst_unbudgeted),
    "members": (
        "three members, 504 5 %, slow create 5 %, member kills",
        "8 of 9 / 7 of 7 faulted ones doubled; member kills alone: nothing lost",
        shapes.members,
    ),
    "wont-do": (
        "won't do, then fires again",
        "Alertmanager: a second ticket, 50 of 50; jiralert keeps it closed",
        shapes.wont_do,
    ),
    "unavailable": ("Jira 503 for 30 s, nothing done", "nothing lost", shapes.unavailable),
    "too-many": ("Jira 429 for 30 s, nothing done", "nothing lost; Retry-After ignored", shapes.too_many),
}


async def run_rows(servers: Servers, only: Sequence[str], incidents: int, seed: int) -> list[Result]:
    """The first one alone, for its times; then some side by side: they mostly wait."""
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(row: str) -> Result:
        async with turn:
            return await _result(servers, row, incidents, seed)

    alone = [await one(row) for row in only if row == "quiet"]
    return alone + list(await asyncio.gather(*(one(row) for row in only if row != "quiet")))


async def _result(servers: Servers, row: str, incidents: int, seed: int) -> Result:
    scenario, elsewhere, shape = ROWS[row]
    began = time.monotonic()
    stage = Stage(servers, row, list(ROWS).index(row), incidents, seed)
    try:
        state = await shape(stage)
    finally:
        await stage.stop()
    judged = counted(state, stage.world.incidents)
    result = Result(row=row, scenario=scenario, elsewhere=elsewhere, note=stage.note, **delays(stage.world, state))
    for name in ("incidents", "lost_tickets", "lost_pages", "doubled_ever", "doubled_open", "doubled_pages"):
        setattr(result, name, getattr(judged, name))
    if row == "wont-do":
        result.lost_tickets = result.incidents - len(by_incident(state))  # closed is as it should be
    result.seconds = round(time.monotonic() - began, 1)
    sys.stderr.write(f"{row}: {result.seconds:.0f} s\n")
    return result


def row_table(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    head = ("scenario", "Alertmanager 0.34.2, jiralert 1.4.1", "Tocsin: lost tickets / pages", "doubled ever / open",
            "pages doubled", "message s p50 / p99", "ticket s p50 / p99", "")  # fmt: skip
    return head, [
        (
            one.scenario,
            one.elsewhere,
            f"{one.lost_tickets} / {one.lost_pages} of {one.incidents}",
            f"{one.doubled_ever} / {one.doubled_open}",
            str(one.doubled_pages),
            f"{one.page_s_p50:.1f} / {one.page_s_p99:.1f}",
            f"{one.ticket_s_p50:.1f} / {one.ticket_s_p99:.1f}",
            one.note,
        )
        for one in results
    ]
