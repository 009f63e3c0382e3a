"""What gates answered: listed, explained, made again, reviewed."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from psycopg.types.json import Jsonb

from streams.learn.gates import ruling
from streams.records import Overridden, Override

ASKED = {"agent": "support-bot", "release": "2026.09.3"}
WHERE = "/v1/gates/promotion/decision"


def now():
    """Of the test, not of its collection: a long run lies between."""
    return datetime.now(UTC)


@pytest.fixture
async def known(site):
    await site.ran(200)
    await site.clock(datetime.now(UTC))
    await site.read()
    return site


async def read(site, path, **query):
    answer = await site.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def deployed(site, at, release="2026.09.3"):
    row = ("ci", f"{release}@{at.isoformat()}", "support-bot", release, "prod", "promote", "ok", at, Jsonb({}))
    await site.conn.execute("INSERT INTO deployments VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", row)


async def backdated(site, hours):
    """Whatever was answered, so long ago."""
    await site.conn.execute("UPDATE decisions SET as_of = as_of - make_interval(hours => %s)", [hours])


async def test_every_gate_and_release_is_listed_with_its_state_and_since_when(known):
    (one,) = (await read(known, "/v1/gates"))["gates"]
    assert (one["gate"], one["release"], one["state"], one["since"]) == ("promotion", "2026.09.3", "allow", None)
    await read(known, WHERE, **ASKED)
    (one,) = (await read(known, "/v1/gates"))["gates"]
    assert one["since"] is not None


async def test_each_rule_says_its_numbers_and_what_would_change_it(known):
    await known.book(ticket="OPS-1")
    await known.read()
    found = await read(known, "/v1/gates/promotion/explanation", **ASKED)
    assert [one["number"] for one in found["rules"]] == list(range(1, 14))
    (incident,) = (one for one in found["rules"] if one["rule"] == "incident")
    assert (incident["decides"], incident["overridable"]) == (True, True)
    assert "severity high" in incident["reasons"][0]["numbers"]
    assert "outcome of the incident" in incident["reasons"][0]["change"]
    assert await known.rows("SELECT 1 FROM decisions") == []  # looking writes nothing


async def test_a_decision_is_made_again_to_the_byte_and_one_that_was_changed_is_not(known):
    decision = (await read(known, WHERE, **ASKED))["decision_id"]
    assert (await read(known, f"/v1/decisions/{decision}/replay"))["same"]
    ((inputs,),) = await known.rows("SELECT inputs FROM decisions")
    changed = msgspec.json.encode({**msgspec.json.decode(inputs), "sessions": 3})
    await known.conn.execute("UPDATE decisions SET inputs = %s", [changed])
    replayed = await read(known, f"/v1/decisions/{decision}/replay")
    assert (replayed["same"], replayed["stored"]["state"], replayed["again"]["state"]) == (False, "allow", "hold")


async def test_decisions_are_listed_by_time_and_by_what_they_are_about(known):
    await read(known, WHERE, **ASKED)
    listed = (await read(known, "/v1/decisions", since=(now() - timedelta(minutes=1)).isoformat()))["decisions"]
    assert [one["state"] for one in listed] == ["allow"]
    assert (await read(known, "/v1/decisions", agent="other"))["decisions"] == []
    answer = await known.client.get("/v1/decisions", params={"since": "2026-09-14T10:00:00"})
    assert (answer.status_code, "no offset" in answer.json()["detail"]) == (422, True)


async def test_a_release_that_was_let_through_and_failed_is_allowed_but_bad(known):
    await read(known, WHERE, **ASKED)
    await backdated(known, 2)
    await deployed(known, now() - timedelta(hours=1))
    assert (await read(known, "/v1/reviews/gates"))["deployed"][0]["error"] == ""
    await known.book(opened_at=now(), last_seen=now())
    report = await read(known, "/v1/reviews/gates")
    (gate,) = report["gates"]
    assert (gate["deployed"], gate["let"], gate["allowed_but_bad"], gate["blocked_but_fine"]) == (1, 1, 1, 0)


async def test_a_release_that_was_blocked_deployed_anyway_and_fine_is_told_once_it_is_old_enough(known):
    old = now() - timedelta(days=9)
    await known.book(stage="open", opened_at=old, last_seen=old)
    await known.read()
    await read(known, WHERE, **ASKED)
    await backdated(known, 8 * 24)
    await deployed(known, now() - timedelta(days=7, hours=1))
    (gate,) = (await read(known, "/v1/reviews/gates"))["gates"]
    assert (gate["stopped"], gate["blocked_but_fine"], gate["waiting"]) == (1, 1, 0)
    await known.conn.execute("UPDATE deployments SET at = at + interval '2 days'")
    (gate,) = (await read(known, "/v1/reviews/gates"))["gates"]
    assert (gate["blocked_but_fine"], gate["waiting"]) == (0, 1)


async def test_overrides_are_reviewed_by_gate_and_by_rule(known):
    incident = await known.book()
    await known.read()
    await read(known, WHERE, **ASKED)
    await backdated(known, 1)
    given = Override(
        id="o-1",
        gate="promotion",
        agent="support-bot",
        release="2026.09.3",
        environment="prod",
        reasons=(incident.id,),
        reason="The refund tool is mocked in this canary.",
        requested_by="ada",
        approved_by="grace",
        created_at=now() - timedelta(minutes=40),
        expires_at=now() + timedelta(hours=1),
    )
    await ruling.overridden(known.conn, [Overridden(given, "approved", now() - timedelta(minutes=30))])
    await known.book(2, opened_at=now(), last_seen=now())
    review = await read(known, "/v1/reviews/overrides", days=30)
    (gate,) = review["gates"]
    assert (gate["overrides"], gate["followed_by_incident"]) == (1, 1)
    assert 20 * 60 < gate["median_s"] < 45 * 60
    (rule,) = review["rules"]
    assert (rule["rule"], rule["blocked"], rule["overridden"], rule["proposal"]) == ("incident", 1, 0, "")
