"""Overrides and freezes over HTTP: asked for, approved, ended, and heard of."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from learn.deciding import settle
from web.serving import BEARER

from streams.records import Notice

ASKED = {"agent": "support-bot", "release": "2026.09.3"}
WHY = "The refund tool is mocked in this canary; payments agreed."
WHERE = "/v1/gates/promotion/decision"


@pytest.fixture
async def blocked(site):
    """A release that an open incident blocks."""
    site.incident = await site.book(1, severity="high", ticket="OPS-1")
    await site.ran(200)
    await site.clock(datetime.now(UTC) - timedelta(seconds=30))
    await site.read()
    return site


async def post(site, path, **body):
    answer = await site.client.post(path, json=body, headers=BEARER)
    assert answer.headers["content-type"].startswith("application/"), answer.text
    return answer


async def request(site, **given):
    body = {**ASKED, "reasons": [site.incident.id], "reason": WHY, "actor": "ada", **given}
    return await post(site, "/v1/overrides", **body)


async def state(site):
    await settle(site.conn)
    await site.read()
    return (await site.client.get(WHERE, params=ASKED)).json()["state"]


async def test_it_warns_once_it_is_approved_and_blocks_again_once_it_is_ended(blocked):
    taken = (await request(blocked)).json()
    assert (taken["accepted"], taken["second_person"]) == (True, False)
    assert await state(blocked) == "block"
    assert (await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")).status_code == 202
    assert await state(blocked) == "warn"
    shown = (await blocked.client.get(f"/v1/overrides/{taken['id']}")).json()
    assert (shown["state"], shown["override"]["approved_by"]) == ("active", "grace")
    assert (await post(blocked, f"/v1/overrides/{taken['id']}/end", actor="ada")).status_code == 202
    assert await state(blocked) == "block"


async def test_people_hear_of_it_through_the_book(blocked):
    taken = (await request(blocked)).json()
    await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")
    await settle(blocked.conn)
    told = [msgspec.convert(row[0], Notice) for row in await blocked.rows("SELECT record FROM inbox ORDER BY id")]
    assert [one.incident for one in told] == [blocked.incident.id] * 2
    assert "approved by grace" in told[1].lines[0]


async def test_it_can_be_approved_before_learn_has_read_it(blocked):
    taken = (await request(blocked)).json()
    assert (await blocked.client.get(f"/v1/overrides/{taken['id']}")).json()["state"] == "pending"
    assert (await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")).status_code == 202
    assert await state(blocked) == "warn"


async def test_who_asked_for_what_is_critical_is_refused_as_the_second_person(site):
    site.incident = await site.book(1, severity="critical")
    await site.read()
    taken = (await request(site)).json()
    assert taken["second_person"]
    answer = await post(site, f"/v1/overrides/{taken['id']}/approve", actor="Ada")
    assert answer.status_code == 422 and "second person" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"reasons": ["*"]}, 422, "pattern"),
        ({"reasons": ["nothing-known"]}, 422, "neither an incident"),
        ({"reason": "short"}, 422, "20 characters"),
        ({"expires_at": "tomorrow"}, 422, "counts as expired"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "expired already"),
        ({"for_s": 8 * 86_400}, 422, "7 days"),
        ({"for_s": 60, "expires_at": "2027-01-01T00:00:00Z"}, 422, "once"),
        ({"gate": "none"}, 404, "no gate"),
    ],
)
async def test_what_is_wrong_is_refused_in_words_and_nothing_is_written(blocked, wrong, status, words):
    answer = await request(blocked, **wrong)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert await blocked.rows("SELECT 1 FROM learn_inbox") == []


async def test_without_the_token_nothing_is_asked_for(blocked):
    answer = await blocked.client.post("/v1/overrides", json={})
    assert answer.status_code == 401


async def test_one_that_counts_once_counts_once(blocked):
    taken = (await request(blocked, single_use=True)).json()
    await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")
    assert await state(blocked) == "warn"
    assert await state(blocked) == "block"
    shown = (await blocked.client.get(f"/v1/overrides/{taken['id']}")).json()
    assert shown["state"] == "used" and shown["override"]["used_by"].startswith("d-")


async def test_new_evidence_voids_it(blocked):
    taken = (await request(blocked)).json()
    await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")
    assert await state(blocked) == "warn"
    await blocked.book(2, severity="high", ticket="OPS-2")
    assert await state(blocked) == "block"
    shown = (await blocked.client.get(f"/v1/overrides/{taken['id']}")).json()
    assert (shown["state"], "OPS-2" in shown["why"]) == ("voided", True)


async def test_a_freeze_holds_until_it_is_ended(site):
    await site.ran(200)
    await site.clock(datetime.now(UTC) - timedelta(seconds=30))
    now = datetime.now(UTC)
    edges = {"begins": (now - timedelta(hours=1)).isoformat(), "ends": (now + timedelta(hours=1)).isoformat()}
    taken = (await post(site, "/v1/freezes", **edges, reason="holidays", actor="ada")).json()
    assert await state(site) == "hold"
    listed = (await site.client.get("/v1/freezes", params={"active": "true"})).json()["freezes"]
    assert [(one["freeze"]["id"], one["state"]) for one in listed] == [(taken["id"], "active")]
    assert (await post(site, f"/v1/freezes/{taken['id']}/end", actor="ada")).status_code == 202
    assert await state(site) == "allow"
    answer = await post(site, "/v1/freezes", begins="soon", ends="later", reason="holidays", actor="ada")
    assert (answer.status_code, "no moment" in answer.json()["detail"]) == (422, True)


async def test_several_agents_are_answered_with_the_worst_each_listed(blocked):
    await blocked.ran(200, agent="billing-bot", release="7")
    await blocked.read()
    pairs = [("agent", "billing-bot"), ("release", "7"), ("agent", "support-bot"), ("release", "2026.09.3")]
    found = (await blocked.client.get(WHERE, params=pairs)).json()
    assert (found["schema"], found["state"], found["block"]) == ("gate.decisions/v1", "block", True)
    assert [one["state"] for one in found["decisions"]] == ["allow", "block"]
    body = {"all": [{"agent": "billing-bot", "release": "7"}, ASKED]}
    assert (await blocked.client.post(WHERE, json=body)).json()["state"] == "block"
    uneven = await blocked.client.get(WHERE, params=[*pairs, ("agent", "third")])
    assert uneven.status_code == 422 and "pairs" in uneven.json()["detail"]


async def test_when_its_time_is_over_the_gate_blocks_again_and_people_are_asked_once_whether_it_was_right(blocked):
    taken = (await request(blocked, for_s=3)).json()
    await post(blocked, f"/v1/overrides/{taken['id']}/approve", actor="grace")
    async with asyncio.timeout(30):
        while not [one for one in await heard(blocked) if "over for" in one.headline]:
            await settle(blocked.conn)
            await asyncio.sleep(0.1)
    assert await state(blocked) == "block"
    asked = [one for one in await heard(blocked) if any("Was the block right?" in line for line in one.lines)]
    assert [one.incident for one in asked] == [blocked.incident.id]
    assert (await blocked.client.get(f"/v1/overrides/{taken['id']}")).json()["state"] == "expired"


async def heard(site):
    return [msgspec.convert(row[0], Notice) for row in await site.rows("SELECT record FROM inbox ORDER BY id")]
