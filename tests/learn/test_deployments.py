"""What pipelines say of deployments becomes findings: once, in one transaction, whoever dies in between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from learn.test_counting import counting, delivered

from streams import policy
from streams.learn.deciders import Wired, writers
from streams.learn.settling import Settling
from streams.records import Finding

POLICY = policy.load()


class Nobody:
    """Nothing is asked of agents here."""

    def writers(self) -> dict[type, Any]:
        return {}


def settling(**given: Any) -> Settling:
    commanding: Any = Nobody()
    return Settling(Wired(POLICY), writers(commanding, "tocsin.findings", POLICY.digest), "tocsin.deadletters", **given)


async def findings(conn: Any) -> list[Finding]:
    rows = await (
        await conn.execute("SELECT value FROM publish WHERE topic = 'tocsin.findings' ORDER BY id")
    ).fetchall()
    return [msgspec.json.decode(row[0], type=Finding) for row in rows]


FAILED = {"environment": "prod", "op": "rollback", "result": "error", "decided_by": {"kind": "policy", "id": "canary"}}


async def test_a_failed_rollback_pages(conn: Any) -> None:
    await counting().apply(conn, [delivered(0, "release.deployed.v1", **FAILED)], {})
    assert await settling().turn(conn) == 1
    (found,) = await findings(conn)
    assert (found.detector, found.severity, found.releases) == ("delivery.rollback_failed", "critical", ("2026.09.3",))
    assert (found.policy, found.about.agent, found.dry_run) == (POLICY.digest, "support-bot", False)


async def test_an_event_that_comes_twice_is_told_once(conn: Any) -> None:
    event = delivered(0, "release.deployed.v1", **FAILED)
    known = await counting().apply(conn, [event], {})
    await counting().apply(conn, [event._replace(offset=1)], known)
    await settling().turn(conn)
    assert await settling().turn(conn) == 0
    assert len(await findings(conn)) == 1


async def test_updates_that_fail_too_often_are_a_ticket(conn: Any) -> None:
    events = [
        delivered(n, "release.deployed.v1", release=f"9.{n}", environment="prod", op=op, result="ok")
        for n, op in enumerate(["promote"] * 6 + ["abort", "abort"])
    ]
    await counting().apply(conn, events, {})
    await settling().turn(conn)
    (found,) = await findings(conn)
    assert (found.detector, found.severity) == ("delivery.updates_failed", "medium")
    assert found.observed == "2 of the last 8 updates failed (25%)"


class Dead(Exception):
    pass


@pytest.mark.parametrize("when", ["learning:begun", "learning:written"])
async def test_whoever_dies_while_settling_says_it_once_all_the_same(conn: Any, when: str) -> None:
    await counting().apply(conn, [delivered(0, "release.deployed.v1", **FAILED)], {})

    def reached(step: str) -> None:
        if step == when:
            raise Dead

    with pytest.raises(Dead):
        await settling(reached=reached).turn(conn)
    assert await findings(conn) == []
    await settling().turn(conn)
    assert len(await findings(conn)) == 1
