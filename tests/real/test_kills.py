"""A small kill matrix: everything that can die does, and people get one ticket and a page for each incident."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.killing.lives import prepare
from benchmarks.killing.matrix import Matrix
from benchmarks.killing.plan import KAFKA, POSTGRES
from benchmarks.killing.world import Servers

SEED = 20260105
KILLS = 16
QUICK = {"TOCSIN_CALL_TIMEOUT_S": "1.0", "TOCSIN_ASK_AFTER_S": "3.0", "TOCSIN_AUDIT_AFTER_S": "0.3"}


@pytest.mark.slow
def test_whatever_dies_every_incident_has_one_open_ticket_and_its_page(tmp_path: Path) -> None:
    prepare()
    servers = Servers(tmp_path)
    servers.start()
    try:
        tally = asyncio.run(Matrix(servers, KILLS, SEED, pace=QUICK, lag_s=0.3).run(within_s=120.0))
    finally:
        servers.stop()
    judged = tally.judged
    assert tally.drained, f"seed {SEED}: not everything was settled; {judged.complaints}"
    assert not judged.complaints, f"seed {SEED}: {judged.complaints}"
    assert (judged.lost_tickets, judged.lost_pages, judged.doubled_open) == (0, 0, 0)
    assert tally.kills == KILLS and judged.incidents >= KILLS
    assert tally.kinds[KAFKA] and tally.kinds[POSTGRES]
