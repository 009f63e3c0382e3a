"""The two circles that nothing else closes, on everything real: from trouble to a person's word to the next release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from real.circling import POLICY, Company, until
from real.test_stage import free_port

from streams import settings as environment
from streams.command.stage import Stage


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    datadir: Path = tmp_path_factory.mktemp("circles")
    policy = datadir / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    settings = environment.load({"TOCSIN_DATADIR": str(datadir), "TOCSIN_WEB_PORT": str(free_port())})
    settings = msgspec.structs.replace(settings, policy=policy)
    overrides = {"TOCSIN_POLICY": str(policy), "TOCSIN_POLL_TICKETS_S": "1", "TOCSIN_SELF_REPORT_S": "0"}
    with Stage(settings, token="circles", sandbox=True, say=print, overrides=overrides) as stage:
        yield Company(stage)


def codes(decision: dict[str, Any], effect: str) -> set[str]:
    return {reason["code"] for reason in decision["reasons"] if reason["effect"] == effect}


@pytest.mark.slow
def test_a_judge_that_people_contradict_twice_blocks_no_release_any_more(company: Company) -> None:
    for agent in ("tutor", "clerk", "guide"):
        company.works(agent, "1", 10, bad=1)
    company.delivers("release.registered.v1", agent="guide", release="2", parents=["1"])
    company.works("guide", "2", 70)
    known = company.incident("guide")
    until(lambda: company.page_state(known["id"]) == "done", "a page: its judge may block")
    blocked = company.answers("guide", "2", "block")
    assert known["id"] in [reason["detail"].get("incident") for reason in blocked["reasons"]]
    for agent in ("tutor", "clerk"):
        company.resolves(company.incident(agent)["ticket"], "false_positive", "/fp why=evaluator_wrong")
    allowed = company.answers("guide", "2", "warn")
    assert allowed["allow"]
    (judge,) = (one for one in company.api("/v1/evaluators")["evaluators"] if "honesty" in one["id"])
    assert judge["power"] == "page"
    assert company.gate("guide", "2")["state"] == "warn"


@pytest.mark.slow
def test_a_fix_promised_for_the_next_release_lets_it_pass_once_its_case_does(company: Company) -> None:
    company.delivers("release.registered.v1", agent="baker", release="1")
    company.works("baker", "1", 70, bad=1, judge="accuracy")
    found = company.incident("baker")
    company.answers("baker", "1", "block")
    company.resolves(found["ticket"], "", "/outcome fixed in=next cause=prompt")

    def case() -> Any:
        listed = company.api("/v1/cases")["cases"]
        return next((one for one in listed if one["incident"] == found["id"]), None)

    name = until(case, "a regression case")["id"]
    company.api(f"/v1/cases/{name}", {"expectation": "It says that it does not know.", "actor": "dana"})
    company.delivers("release.registered.v1", agent="baker", release="2", parents=["1"], fixes=[found["ticket"]])
    company.works("baker", "2", 70, judge="accuracy")
    waiting = company.answers("baker", "2", "hold")
    until(lambda: "fix_unverified" in codes(company.gate("baker", "2"), "hold"), "a fix that nobody has verified", str)
    assert not waiting["allow"]
    company.delivers("case.scored.v1", case_id=name, agent="baker", release="2", runs=3, passes=3, baseline_passes=3)
    assert company.answers("baker", "2", "allow")["allow"]
    assert company.gate("baker", "1")["state"] == "block"
