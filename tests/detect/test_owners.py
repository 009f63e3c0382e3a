"""Agents that nobody answers for."""

from __future__ import annotations

from typing import Any

import builders as b
from contract.running import run
from detect.listening import below

from streams import policy
from streams import records as r
from streams.detect.agents import Given
from streams.detect.scope.owners import OwnerMissing, Thresholds
from streams.detect.session.owners import OwnerFacts


def said(*events: Any, owned: tuple[str, ...] = (), **limits: Any) -> list[r.Finding]:
    facts = [fact for _, fact in run(OwnerFacts(), events).said]
    return [found for _, found in run(OwnerMissing(Thresholds(**limits), given=Given(owned=owned)), facts).said]


def test_an_agent_that_nobody_owns_is_one_quiet_ticket_however_often_it_starts() -> None:
    found = said(*(b.session_started(60 * n, session=f"s{n}", release=str(n)) for n in range(9)))
    assert len(found) == 2  # in nine minutes
    assert {(one.severity, one.fingerprint) for one in found} == {("low", found[0].fingerprint)}
    assert found[0].evidence[0].text == "from /agents"


def test_a_team_in_the_attribution_or_an_owner_in_the_policy_is_enough() -> None:
    assert said(b.session_started(0, attribution=b.attribution("payments"))) == []
    assert said(b.session_started(0), owned=("bill*",)) == []
    assert len(said(b.session_started(0, attribution=b.attribution(None, system="shop")), owned=("mail-*",))) == 1
    assert len(said(b.session_started(0, attribution=b.attribution("")))) == 1


def test_subagents_the_pipelines_own_and_exempt_agents_need_none() -> None:
    ours, broken = b.session_started(0, agent="tocsin-detect"), b.session_started(0, session="intake:billing")
    assert said(b.session_started(0, ctx=below()), ours, broken) == []
    assert said(b.session_started(0), exempt=["bil*"]) == []


def test_its_ticket_is_platforms() -> None:
    assert policy.load().detectors["owner.missing"].owner == "platform"
