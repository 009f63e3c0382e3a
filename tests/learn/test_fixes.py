"""Whether a fix holds in the releases that contain it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from learn.booking import SEEN, book, sighted
from learn.gating import VALUES
from learn.test_counting import EXPOSURE, counting, delivered
from learn.test_lineage import LINE, at
from psycopg.types.json import Jsonb

from streams.database import connect
from streams.learn.cases.making import case_id
from streams.learn.gates.inputs import Index
from streams.learn.gates.reading import snapshot
from streams.learn.gates.rules import decide
from streams.learn.releases import fixes
from streams.learn.releases.fixes import Evidence, Limits, Trouble
from streams.learn.releases.fixing import Fixing, Rules
from streams.learn.releases.lineage import Graph
from streams.records import CaseScoredData, Decision, Exposure, GateQuestion, RegressionCase
from streams.settle import Read

NOTHING = Evidence(None, {}, {})


def trouble(**given: Any) -> Trouble:
    known = {
        "incident": "i#1",
        "agent": "bot",
        "fixed_in": "9.2",
        "outcome_at": at(3),
        "names": ("i#1", "AGT-412"),
        "releases": ("9.1",),
        "again": frozenset(),
        "tool": "/refund",
    }
    return Trouble(**{**known, **given})


def states(evidence: Evidence, **given: Any) -> dict[str, tuple[str, str]]:
    found = fixes.fixes(trouble(**given), LINE, evidence, Limits(50, 3))
    return {one.release: (one.state, one.how) for one in found}


def scored(runs: int, passes: int, baseline: int | None = None) -> CaseScoredData:
    return CaseScoredData(case_id="c", agent="bot", release="9.2", runs=runs, passes=passes, baseline_passes=baseline)


def test_the_release_in_which_the_fix_is_has_to_show_that_it_holds() -> None:
    assert states(NOTHING) == {"9.2": ("unverified", "")}


def test_a_fix_that_nobody_has_registered_yet_is_in_no_release() -> None:
    assert states(NOTHING, fixed_in="9.9") == {}


def test_enough_calls_of_the_tool_without_the_trouble_verify_it() -> None:
    calls = {"9.2": 50, "9.3": 49, "9.2-hotfix": 51, "9.1": 1000}
    assert states(Evidence(None, {}, calls)) == {"9.2": ("verified", "calls"), "9.2-hotfix": ("verified", "calls")}
    assert states(Evidence(None, {}, calls), tool=None)["9.2"] == ("unverified", "")


def test_a_release_in_which_it_came_back_has_failed_whatever_was_verified() -> None:
    evidence = Evidence("c", {"9.2": [scored(3, 3)], "9.3": [scored(3, 3)]}, {"9.3": 1000})
    assert states(evidence, again=frozenset({"9.3"})) == {
        "9.2": ("verified", "case"),
        "9.3": ("failed", "sighted"),
    }


@pytest.mark.parametrize(
    ("scores", "state"),
    [
        ([scored(3, 2)], "verified"),
        ([scored(3, 1)], "failed"),
        ([scored(2, 2)], "unverified"),
        ([scored(2, 2), scored(1, 0)], "verified"),
        ([scored(3, 0, 0)], "unreliable"),
    ],
)
def test_the_majority_of_at_least_three_runs_of_its_case_decides(scores: list[CaseScoredData], state: str) -> None:
    assert states(Evidence("c", {"9.2": scores}, {}))["9.2"][0] == state


def test_a_case_that_fails_is_not_made_good_by_calls() -> None:
    assert states(Evidence("c", {"9.2": [scored(3, 0)]}, {"9.2": 1000}))["9.2"] == ("failed", "case")


def test_a_draft_decides_nothing() -> None:
    assert states(Evidence(None, {"9.2": [scored(3, 0)]}, {}))["9.2"] == ("unverified", "")


def test_a_guess_where_the_fix_is_says_that_it_is_one() -> None:
    (first, *_) = fixes.fixes(trouble(fixed_in="next", outcome_at=at(2.5)), LINE, NOTHING)
    assert (first.release, first.detail["inferred"]) == ("9.3", True)


# -- in the database ---------------------------------------------------------------------------------------------------


class Desk:
    """One trouble in the book, called fixed in 2026.09.4; releases and minutes as they come."""

    def __init__(self, conn: Any) -> None:
        self.conn, self.offsets, self.positions = conn, {"delivery": 0, "exposure": 0}, {}
        self.fixing = Fixing(Rules(case_id, Graph, fixes.judging(Limits(50, 3))))
        self.now_s = 100.0

    async def said(self, kind: str, **data: Any) -> None:
        read = delivered(self.offsets["delivery"], kind, **data)
        self.offsets["delivery"] += 1
        self.positions = await counting().apply(self.conn, [read], self.positions)

    async def called(self, release: str, n: int, minute: int = 0) -> None:
        moment = SEEN + timedelta(hours=2, minutes=minute)
        record = Exposure("support-bot", release, "prod", moment, 1, 0, calls={"/refund": n})
        read = Read(EXPOSURE, self.offsets["exposure"], None, msgspec.json.encode(record), 0)
        self.offsets["exposure"] += 1
        self.positions = await counting().apply(self.conn, [read], self.positions)

    async def fixed(self, **given: Any) -> None:
        known = {"stage": "closed", "outcome": "fixed", "fixed_in": "2026.09.4"}
        decision = Decision(at=SEEN + timedelta(hours=1), actor="ann")
        await book(self.conn, sighted(**{**known, "decision": decision, **given}))

    async def turn(self) -> int:
        self.now_s += 60
        return await self.fixing.turn(self.conn, self.now_s)

    async def states(self) -> dict[str, tuple[str, str]]:
        rows = await (await self.conn.execute("SELECT release, state, how FROM fixes")).fetchall()
        return {release: (state, how) for release, state, how in rows}


@pytest.fixture
async def desk(conn: Any) -> Desk:
    desk = Desk(conn)
    await desk.said("release.registered.v1", release="2026.09.3")
    await desk.said("release.registered.v1", release="2026.09.4", parents=["2026.09.3"])
    await desk.fixed()
    return desk


async def test_a_fix_is_verified_by_calls_and_written_once(desk: Desk) -> None:
    assert await desk.turn() == 1
    assert await desk.states() == {"2026.09.4": ("unverified", "")}
    await desk.called("2026.09.4", 30)
    await desk.called("2026.09.4", 30, minute=1)
    assert await desk.turn() == 1
    assert await desk.states() == {"2026.09.4": ("verified", "calls")}
    assert [await desk.turn(), await desk.turn()] == [0, 0]


async def test_a_trouble_that_comes_back_in_it_fails_a_verified_fix(desk: Desk) -> None:
    await desk.called("2026.09.4", 60)
    await desk.turn()
    again = sighted()
    await desk.fixed()
    await book(
        desk.conn,
        sighted(id=again.id.replace("#1", "#2"), episode=2, releases=("2026.09.4",), stage="open"),
    )
    await desk.turn()
    assert await desk.states() == {"2026.09.4": ("failed", "sighted")}


async def test_a_trouble_that_an_older_release_still_has_fails_nothing(desk: Desk) -> None:
    await desk.called("2026.09.4", 60)
    old = sighted(id=sighted().id.replace("#1", "#2"), episode=2, releases=("2026.09.3",), stage="open")
    await book(desk.conn, old)
    await desk.turn()
    assert await desk.states() == {"2026.09.4": ("verified", "calls")}


async def test_a_case_verifies_it_once_somebody_said_what_is_expected(desk: Desk) -> None:
    name = case_id("support-bot", sighted().fingerprint)
    await desk.said("case.scored.v1", release="2026.09.4", case_id=name, runs=3, passes=3)
    await desk.turn()
    assert await desk.states() == {"2026.09.4": ("unverified", "")}
    case = RegressionCase(
        id=name, agent="support-bot", incident="i", fingerprint="f", state="ready", title="t", at=SEEN
    )
    await desk.conn.execute(
        "INSERT INTO cases VALUES (%s, 'i', 'support-bot', 'ready', now(), %s)",
        [name, Jsonb(msgspec.to_builtins(case))],
    )
    await desk.turn()
    assert await desk.states() == {"2026.09.4": ("verified", "case")}


async def test_where_it_was_seen_before_only_calls_since_the_decision_count(desk: Desk) -> None:
    """Fixed within the release, by a prompt or at the tool's own side."""
    await desk.fixed(fixed_in="2026.09.3")
    await desk.called("2026.09.3", 1000, minute=-90)
    await desk.turn()
    assert (await desk.states())["2026.09.3"] == ("unverified", "")
    await desk.called("2026.09.3", 50)
    await desk.turn()
    assert (await desk.states())["2026.09.3"] == ("verified", "calls")


async def test_a_decision_that_is_taken_back_leaves_no_fix(desk: Desk) -> None:
    await desk.turn()
    await desk.fixed(stage="open", outcome=None)
    await desk.turn()
    assert await desk.states() == {}


async def test_whoever_dies_in_between_begins_anew_and_writes_the_same(desk: Desk, database: str) -> None:
    await desk.called("2026.09.4", 60)
    async with await connect(database) as other:
        await other.execute("BEGIN")
        await Fixing(desk.fixing._rules).look(other)
        await other.execute("ROLLBACK")  # what a connection that is cut leaves
    assert await desk.states() == {}
    assert await desk.turn() == 1
    assert await desk.states() == {"2026.09.4": ("verified", "calls")}


async def test_from_fixed_in_next_over_a_proof_to_an_open_gate_while_the_old_release_stays_blocked(desk: Desk) -> None:
    async def said(release: str) -> set[tuple[str, str]]:
        found = Index(await snapshot(desk.conn, ["critical", "high"]))
        now = datetime.now(UTC)
        inputs = found.inputs(GateQuestion("support-bot", release), now, now)
        codes = {(one.code, one.effect) for one in decide(VALUES, inputs, now).reasons}
        return {one for one in codes if one[0].startswith(("incident", "fix", "release"))}

    await desk.fixed(fixed_in="next", decision=Decision(at=SEEN + timedelta(hours=1), actor="ann"))
    await desk.turn()
    assert await said("2026.09.3") == {("incident_fixed_elsewhere", "block")}
    assert await said("2026.09.5") == {("release_unknown", "hold")}
    later = delivered(9, "release.registered.v1", release="2026.09.5", parents=["2026.09.4"], fixes=["AGT-412"])
    later = later._replace(offset=2, value=later.value.replace(b"T09:00", b"T12:00"))
    await counting().apply(desk.conn, [later], desk.positions)
    desk.positions["delivery.events/0"] = 3
    await desk.turn()
    assert await said("2026.09.5") == {("fix_unverified", "hold")}
    await desk.called("2026.09.5", 50)
    await desk.turn()
    assert await said("2026.09.5") == set()
    assert await said("2026.09.4") == {("incident_fixed_elsewhere", "block")}
    assert await said("2026.09.3") == {("incident_fixed_elsewhere", "block")}
