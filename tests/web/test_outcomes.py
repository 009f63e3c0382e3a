"""Outcomes with what belongs to them, standing by them, and regression cases, over HTTP and on the page."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from learn.booking import sighted
from psycopg.types.json import Jsonb
from web.serving import BEARER, TOKEN
from web.test_pages import EVIL, form_value, sign_in

from streams.records import RegressionCase

SOON = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0)


async def decide(site, **given):
    where = f"/v1/incidents/{quote(sighted().id, safe='')}/outcome"
    return await site.client.post(where, json={"actor": "Ada", **given}, headers=BEARER)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"outcome": "fixed", "fixed_in": "8", "cause": "prompt"}, {"fixed_in": "8", "cause": "prompt"}),
        ({"outcome": "fixed"}, {"fixed_in": "next", "inferred": True}),
        ({"outcome": "false_positive", "why": "test_traffic"}, {"why": "test_traffic"}),
        (
            {"outcome": "accepted_risk", "expires_at": SOON.isoformat()},
            {"expires_at": SOON.isoformat().replace("+00:00", "Z")},
        ),
        ({"outcome": "external_cause", "provider": "openai"}, {"provider": "openai"}),
        ({"outcome": "duplicate", "duplicate_of": "OPS-1"}, {"duplicate_of": "OPS-1"}),
    ],
)
async def test_an_outcome_is_answered_as_it_is_understood(site, given, told):
    await site.book()
    answer = await decide(site, **given)
    assert answer.status_code == 202, answer.text
    found = answer.json()["outcome"]
    assert {name: found.get(name) for name in told} == told
    ((body,),) = await site.rows("SELECT body FROM outcomes")
    assert {name: body.get(name) for name in told} == told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"outcome": "wont_fix", "why": "test_traffic"}, "`why` goes with `false_positive` alone"),
        ({"outcome": "accepted_risk", "expires_at": "2020-01-01T00:00:00Z"}, "`expires_at` has to lie ahead"),
        ({"outcome": "accepted_risk", "expires_at": "tomorrow"}, "cannot be read"),
        ({"outcome": "fixed", "cause": "magic"}, "cannot be read"),
        ({"outcome": "fixed", "reopened": True, "fixed_in": "8"}, "`fixed_in` goes with"),
    ],
)
async def test_what_does_not_belong_together_is_refused_in_words(site, given, words):
    await site.book()
    answer = await decide(site, **given)
    assert answer.status_code == 422
    assert words in answer.text or "wrong" in answer.json()["detail"]
    assert await site.rows("SELECT 1 FROM outcomes") == []


async def test_the_form_says_what_belongs_to_an_outcome(site):
    incident = await site.book()
    await site.client.post("/token", data={"token": TOKEN, "name": "Ada", "to": "/"})
    page = (await site.client.get(f"/incidents/{quote(incident.id, safe='')}")).text
    form = page.split('name="form" value="')[1].split('"')[0]
    given = {"form": form, "outcome": "accepted_risk", "expires_at": f"{SOON:%Y-%m-%d}", "fixed_in": "8", "why": ""}
    answer = await site.client.post(f"/incidents/{quote(incident.id, safe='')}/outcome", data=given)
    assert answer.status_code == 303, answer.text
    ((body,),) = await site.rows("SELECT body FROM outcomes")
    assert body["expires_at"].startswith(f"{SOON + timedelta(days=1):%Y-%m-%d}T00:00")
    assert "fixed_in" not in body
    page = (await site.client.get(f"/incidents/{quote(incident.id, safe='')}")).text
    assert "until" in page and 'name="provider"' in page


async def test_what_was_decided_in_bulk_waits_until_somebody_stands_by_it(site):
    for number in range(1, 13):
        incident = await site.book(number)
        where = f"/v1/incidents/{quote(incident.id, safe='')}/outcome"
        await site.client.post(where, json={"actor": "Ada", "outcome": "false_positive"}, headers=BEARER)
    waiting = (await site.client.get("/v1/outcomes")).json()["outcomes"]
    assert len(waiting) == 12 and all(one["bulk"] for one in waiting)
    page = (await site.client.get(f"/incidents/{quote(sighted().id, safe='')}")).text
    assert "Stand by it" not in page  # to whoever is not signed in
    given = {"incidents": [one["incident"] for one in waiting[:2]], "actor": "Bruno"}
    answer = await site.client.post("/v1/outcomes/confirm", json=given, headers=BEARER)
    assert (answer.status_code, len(answer.json()["confirmed"])) == (202, 2)
    assert len((await site.client.get("/v1/outcomes")).json()["outcomes"]) == 10
    again = await site.client.post("/v1/outcomes/confirm", json={"incidents": ["none#1"], "actor": "B"}, headers=BEARER)
    assert again.status_code == 404


async def kept(site, number=1, **given):
    name = f"case-{number}"
    known = {
        "id": name,
        "agent": "support-bot",
        "incident": "i#1",
        "fingerprint": "f",
        "state": "draft",
        "title": "Refunds",
    }
    case = RegressionCase(**{**known, "at": datetime.now(UTC), **given})
    body = Jsonb(msgspec.to_builtins(case))
    await site.conn.execute(
        "INSERT INTO cases VALUES (%s, 'i#1', %s, %s, now(), %s)", [name, case.agent, case.state, body]
    )
    return name


async def test_cases_are_listed_a_page_at_a_time(site):
    for number in range(3):
        await kept(site, number, state="ready" if number else "draft", fixed_in="8")
    first = (await site.client.get("/v1/cases?limit=2&release=8")).json()
    assert [one["id"] for one in first["cases"]] == ["case-0", "case-1"]
    rest = (await site.client.get(f"/v1/cases?limit=2&after={first['next']}")).json()
    assert ([one["id"] for one in rest["cases"]], rest["next"]) == (["case-2"], None)
    assert len((await site.client.get("/v1/cases?state=ready&agent=support-bot")).json()["cases"]) == 2
    assert (await site.client.get("/v1/cases?state=odd")).status_code == 422


async def test_a_case_shows_how_each_release_did(site):
    name = await kept(site)
    for number, (release, passes) in enumerate([("8", 3), ("9", 1), ("9", 0)]):
        body = {"case_id": name, "agent": "support-bot", "release": release, "runs": 3, "passes": passes}
        await site.conn.execute(
            "INSERT INTO case_scores VALUES ('ci', %s, 'support-bot', %s, %s, now(), %s)",
            [str(number), release, name, Jsonb(body)],
        )
    found = (await site.client.get(f"/v1/cases/{name}")).json()
    assert [(one["release"], one["state"], one["runs"]) for one in found["scores"]] == [
        ("8", "verified", 3),
        ("9", "failed", 6),
    ]
    assert (await site.client.get("/v1/cases/case-none")).status_code == 404


async def test_what_is_expected_is_told_to_learn(site):
    name = await kept(site)
    given = {"actor": "Ada", "expectation": "asks first"}
    assert (await site.client.post(f"/v1/cases/{name}", json=given)).status_code == 401
    assert (await site.client.post(f"/v1/cases/{name}", json=given, headers=BEARER)).status_code == 202
    ((record,),) = await site.rows("SELECT record FROM learn_inbox")
    assert (record["record"], record["id"], record["expectation"]) == ("case_written", name, "asks first")
    for wrong in ({"actor": "Ada"}, {"actor": "Ada", "expectation": "x", "retired": True}, {"expectation": "x"}):
        assert (await site.client.post(f"/v1/cases/{name}", json=wrong, headers=BEARER)).status_code == 422
    assert (await site.client.post("/v1/cases/none", json=given, headers=BEARER)).status_code == 404


async def test_the_page_of_cases_says_what_is_expected_and_takes_it_from_whoever_is_signed_in(site):
    name = await kept(site, title=EVIL)
    page = (await site.client.get("/cases")).text
    assert name in page and "nobody has said yet" in page and "<textarea" not in page
    assert "<script>alert" not in page
    assert 'href="/cases"' in (await site.client.get("/")).text
    refused = await site.client.post(f"/cases/{name}", data={"expectation": "asks first"})
    assert refused.status_code == 401
    await sign_in(site)
    form = await form_value(site, "/cases")
    given = {"form": form, "expectation": "asks first"}
    assert (await site.client.post(f"/cases/{name}", data=given)).headers["location"] == "/cases?said=expected"
    assert (await site.client.post(f"/cases/{name}", data={"form": form, "expectation": " "})).status_code == 422
    assert (await site.client.post("/cases/none", data=given)).status_code == 404
    await site.client.post(f"/cases/{name}", data={"form": form, "retire": "yes"})
    told = [row[0] for row in await site.rows("SELECT record FROM learn_inbox ORDER BY id")]
    assert [(one["actor"], one.get("expectation"), one.get("retired", False)) for one in told] == [
        ("Ada", "asks first", False),
        ("Ada", None, True),
    ]


async def test_decisions_that_wait_stand_on_the_page_of_evaluators(site):
    for number in range(12):
        await site.book(id=f"v1:many:{number}#1", fingerprint=f"v1:many:{number}")
        where = f"/v1/incidents/{quote(f'v1:many:{number}#1', safe='')}/outcome"
        await site.client.post(where, json={"actor": "Ada", "outcome": "false_positive"}, headers=BEARER)
    page = (await site.client.get("/evaluators")).text
    assert "Decisions that wait" in page and "/incidents/v1%3Amany%3A0%231#decide" in page
