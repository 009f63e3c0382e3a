"""What a delivery pipeline is told over HTTP."""

from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from web.serving import AWAY, serving

from streams.learn.gates.rules import decide
from streams.records import GateDecision, GateInputs, GateQuestion, GateValues
from streams.web.gatehouse import STRANGE_MAX

WHERE = "/v1/gates/promotion/decision"
ASKED = {"agent": "support-bot", "release": "2026.09.3"}


@pytest.fixture
async def fresh(site):
    """Sixty sessions, a clock that goes, nothing wrong."""
    await site.ran(60)
    await site.clock(datetime.now(UTC) - timedelta(seconds=30))
    await site.read()
    return site


async def ask(site, **given):
    answer = await site.client.get(WHERE, params={**ASKED, **given})
    assert answer.headers["content-type"] == "application/json"
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_clean_release_is_allowed(fresh):
    decision = await ask(fresh)
    assert (decision["schema"], decision["state"], decision["allow"]) == ("gate.decision/v1", "allow", True)
    assert decision["policy"]["version"].startswith("sha256:")


async def test_an_open_incident_blocks_and_its_outcome_decides_what_follows(fresh):
    incident = await fresh.book(ticket="OPS-1", ticket_url="https://jira.example/browse/OPS-1")
    await fresh.read()
    decision = await ask(fresh)
    assert (decision["state"], decision["block"], decision["score"]) == ("block", True, 0)
    assert decision["reasons"][0]["detail"]["incident"] == incident.id
    assert decision["links"]["tickets"] == ["https://jira.example/browse/OPS-1"]
    await fresh.book(stage="resolved", outcome="fixed", fixed_in="2026.09.4")
    await fresh.read()
    assert (await ask(fresh))["reasons"][0]["code"] == "incident_fixed_elsewhere"
    await fresh.book(stage="resolved", outcome="false_positive")
    await fresh.read()
    assert (await ask(fresh))["state"] == "allow"


async def test_a_merged_incident_blocks_for_as_long_as_what_explains_it_is_open(fresh):
    parent = await fresh.book(1, releases=("2026.09.1",))
    await fresh.book(2, stage="merged", parent=parent.id)
    await fresh.read()
    assert (await ask(fresh))["state"] == "block"
    await fresh.book(1, releases=("2026.09.1",), stage="resolved", outcome="external_cause")
    await fresh.read()
    assert (await ask(fresh))["state"] == "allow"


async def test_an_incident_merged_into_a_merged_one_still_blocks(fresh):
    first = await fresh.book(1, releases=("2026.09.1",))
    second = await fresh.book(2, stage="merged", parent=first.id, releases=("2026.09.2",))
    await fresh.book(3, stage="merged", parent=second.id)
    await fresh.read()
    assert (await ask(fresh))["state"] == "block"


async def test_a_release_nobody_knows_is_held_and_no_error(fresh):
    decision = await ask(fresh, release="9.9.9")
    assert (decision["state"], decision["reasons"][0]["code"]) == ("hold", "release_unknown")


async def test_post_says_the_same_as_get(fresh):
    answer = await fresh.client.post(WHERE, json=ASKED)
    assert (answer.status_code, answer.json()) == (200, await ask(fresh))


async def test_a_decision_can_be_looked_up_and_replayed_to_the_byte(fresh):
    answer = await fresh.client.get(WHERE, params=ASKED)
    name = answer.json()["decision_id"]
    kept = await fresh.client.get(f"/v1/decisions/{name}")
    assert kept.content == answer.content
    ((values, inputs, as_of),) = await fresh.rows("SELECT gate_values, inputs, as_of FROM decisions")
    again = decide(msgspec.json.decode(values, type=GateValues), msgspec.json.decode(inputs, type=GateInputs), as_of)
    assert msgspec.json.encode(again) == answer.content


async def test_the_same_situation_is_written_down_once_and_a_change_is_published_once(fresh):
    first = [await ask(fresh) for _ in range(3)]
    assert len({one["decision_id"] for one in first}) == 1
    await fresh.book()
    await fresh.read()
    await ask(fresh)
    await ask(fresh)
    published = await fresh.rows("SELECT topic, key, value FROM publish ORDER BY id")
    assert [(topic, key) for topic, key, _ in published] == [("tocsin.gates", "support-bot@2026.09.3@prod")] * 2
    assert [msgspec.json.decode(value, type=GateDecision).state for *_, value in published] == ["allow", "block"]
    assert await fresh.rows("SELECT count(*) FROM decisions") == [(2,)]


async def test_questions_about_what_nobody_knows_are_answered_and_fill_no_database(fresh):
    house = fresh.app.state.house
    for number in range(STRANGE_MAX + 20):
        document = await house.answer("promotion", GateQuestion("support-bot", f"made-up-{number}"))
        assert msgspec.json.decode(document, type=GateDecision).state == "hold"
    assert await fresh.rows("SELECT count(*) FROM decisions") == [(STRANGE_MAX,)]
    assert (await ask(fresh))["state"] == "allow", "what is known is written down all the same"
    assert await fresh.rows("SELECT count(*) FROM decisions") == [(STRANGE_MAX + 1,)]


async def test_a_baseline_that_somebody_names_is_compared_within_a_look(fresh):
    for number in range(5):
        await fresh.ran(100, release=f"2026.08.{number}")
    await fresh.read()
    assert "baseline_uncounted" in [one["code"] for one in (await ask(fresh, baseline="2026.08.1"))["reasons"]]
    await fresh.read()
    decision = await ask(fresh, baseline="2026.08.1")
    assert (decision["state"], decision["baseline"]) == ("allow", "2026.08.1")


async def test_what_serves_is_the_baseline_of_who_names_none(fresh):
    await fresh.ran(900, release="2026.09.2")
    await fresh.rows(
        "INSERT INTO releases (agent, release, first_seen) VALUES ('support-bot', '2026.09.2', now()) RETURNING 1"
    )
    await fresh.read()
    assert (await ask(fresh))["baseline"] == "2026.09.2"


async def test_inputs_older_than_five_seconds_hold(fresh):
    house = fresh.app.state.house
    house.read_at = datetime.now(UTC) - timedelta(seconds=6)
    decision, _ = house.decide("promotion", GateQuestion(**ASKED))
    assert (decision.state, decision.reasons[0].code) == ("hold", "inputs_stale")


async def test_without_any_inputs_yet_the_gate_cannot_answer():
    async with serving("postgresql://127.0.0.1:1/nowhere", token=AWAY) as away:
        answer = await away.client.get(WHERE, params=ASKED)
    assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("query", [{}, {"agent": "a"}, {"agent": "", "release": "1"}, {"agent": "a\0", "release": "1"}])
async def test_a_wrong_argument_is_a_422_that_says_which(fresh, query):
    answer = await fresh.client.get(WHERE, params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


async def test_a_gate_that_the_policy_does_not_have_is_a_404(fresh):
    answer = await fresh.client.get("/v1/gates/other/decision", params=ASKED)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert (await fresh.client.get("/v1/decisions/none")).status_code == 404


def close(postgres, database):
    """The database is away from now on, for everybody."""
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


async def test_a_yes_that_cannot_be_written_down_is_no_yes(fresh, postgres, database):
    close(postgres, database)
    answer = await fresh.client.get(WHERE, params=ASKED)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_a_no_is_answered_also_while_the_database_is_away(fresh, postgres, database):
    await fresh.book()
    await fresh.read()
    close(postgres, database)
    assert (await ask(fresh))["state"] == "block"
    assert (await ask(fresh, release="9.9.9"))["state"] == "hold"
