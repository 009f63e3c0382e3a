"""A long file costs no more memory than a short one: what is over is forgotten by event time."""

import os
from datetime import timedelta
from pathlib import Path

import builders as b
import pytest

from streams.records import SessionStatus
from streams.records.timeline import encode
from streams.replay import run

SESSION_EVENTS = 5
SHORT, LONG = 25_000, 75_000
GROWTH_MB_MAX = 3


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def days_of_work(events: int):
    """A new session every ten seconds; a few of them fail, in ever new words."""
    for n in range(events // SESSION_EVENTS):
        about = {"session": f"s{n}", "agent": f"agent{n % 5}"}
        bad, at = n % 100 == 0, b.EPOCH + timedelta(seconds=10 * n)
        failed = [b.tool_failed(at, message=f"order {n} is gone", **about) for _ in range(3)]
        fine = [b.llm_called(at, **about), b.tool_called(at, **about), b.eval_scored(at, **about)]
        events_of = [b.session_started(at, attribution=b.attribution("payments"), **about), *(failed if bad else fine)]
        events_of.append(b.session_ended(at, status=SessionStatus.failed if bad else SessionStatus.succeeded, **about))
        for event in events_of:
            event.position = None
            yield encode(event)


@pytest.mark.slow
def test_memory_stays_flat_over_three_times_as_many_events(shipped):
    seen = {}

    def lines():
        for n, line in enumerate(days_of_work(LONG)):
            if n in (SHORT, LONG - 1):
                seen[n] = resident_mb()
            yield line

    found = sum(record.__struct_config__.tag == "finding" for record in run(lines(), shipped))
    assert found == LONG // SESSION_EVENTS // 100  # it had something to do
    assert seen[LONG - 1] - seen[SHORT] < GROWTH_MB_MAX, seen
