"""Evaluators on the pages and over the API: bounds and counts, never a bare percentage of a few; grants reach learn."""

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import pytest
from web.serving import BEARER
from web.test_pages import EVIL, form_value, sign_in

from streams.learn.power.powers import Powers
from streams.records import Granted, Labelled, PowerChanged, ThresholdProposed, Worth

NOW = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)
JUDGE = "LLM:grounded@4"
DETECTOR = "detector:tool.repeated_error@0"


def worth(evaluator=JUDGE, **given):
    known = {"power": "ticket", "since": NOW, "confirmed": 3.0, "rejected": 1.0, "decisions": 4}
    known |= {"low": 0.36, "mean": 0.7, "high": 0.92, "next": ("8 confirmations in a row: page",)}
    return Worth(evaluator, **{**known, **given})


async def weigh(site, *worths):
    await Powers("tocsin.outcomes", lambda *_: None).weighed(site.conn, worths)


async def change(site, number, before, after, evaluator=JUDGE):
    record = PowerChanged(evaluator, number, before, after, "e-value 37 against .9", NOW, worth=worth(evaluator))
    await Powers("tocsin.outcomes", lambda *_: None).changed(site.conn, [record])


async def told(site):
    return [row[0] for row in await site.rows("SELECT record FROM learn_inbox ORDER BY id")]


def place(name):
    return f"/v1/evaluators/{quote(name, safe='')}"


async def test_a_detector_and_a_judge_are_listed_as_soon_as_they_found_something(site):
    await site.book(judges=(JUDGE,))
    found = (await site.client.get("/v1/evaluators")).json()["evaluators"]
    assert {one["id"]: one["power"] for one in found} == {DETECTOR: "block", JUDGE: "ticket"}
    assert {one["precision"] for one in found} == {"nobody has decided yet"}


async def test_a_change_is_history_and_holds_from_then_on(site):
    await change(site, 1, "ticket", "page")
    await change(site, 2, "page", "ticket")
    await change(site, 3, "ticket", "page")
    found = (await site.client.get(place(JUDGE))).json()
    assert found["evaluator"]["power"] == "page"
    assert [one["number"] for one in found["evidence"]["changes"]] == [3, 2, 1]
    rows = await site.rows("SELECT record->>'record', record->>'after' FROM inbox ORDER BY id")
    assert rows == [("power_changed", "page"), ("power_changed", "ticket"), ("power_changed", "page")]
    assert [row[0] for row in await site.rows("SELECT key FROM publish ORDER BY id")] == [JUDGE] * 3


async def test_below_ten_decisions_there_is_no_bare_percentage(site):
    await weigh(site, worth(), worth("CODE:schema@1", decisions=40, confirmed=38.0, rejected=2.0))
    few = (await site.client.get(place(JUDGE))).json()["evaluator"]["precision"]
    many = (await site.client.get(place("CODE:schema@1"))).json()["evaluator"]["precision"]
    assert few == "3 right, 1 wrong: between 0.36 and 0.92 with 90 % confidence"
    assert many == "38 right, 2 wrong: 70%, between 0.36 and 0.92"
    page = (await site.client.get("/evaluators")).text
    assert "70%" in page
    assert page.count("70%") == 1


async def test_a_grant_reaches_learn_and_needs_the_token_a_reason_and_somebody(site):
    await weigh(site, worth())
    body = {"power": "page", "reason": "nine confirmations", "actor": "Ada"}
    assert (await site.client.post(f"{place(JUDGE)}/grant", json=body)).status_code == 401
    assert (await site.client.post(f"{place(JUDGE)}/grant", json=body, headers=BEARER)).status_code == 202
    wrong = {**body, "reason": "short"}
    assert (await site.client.post(f"{place(JUDGE)}/grant", json=wrong, headers=BEARER)).status_code in (400, 422)
    nobody = await site.client.post(f"{place('LLM:nobody@1')}/grant", json=body, headers=BEARER)
    assert nobody.status_code == 404
    (row,) = await told(site)
    granted = msgspec.convert(row, Granted)
    assert (granted.evaluator, granted.power, granted.actor) == (JUDGE, "page", "Ada")


async def test_labels_reach_learn_once_for_each_run_and_leave_the_list(site):
    await weigh(site, worth())
    await site.conn.execute("INSERT INTO audits VALUES (%s, 's-1', 'bot', now())", [JUDGE])
    assert len((await site.client.get(place(JUDGE))).json()["evidence"]["sample"]) == 1
    labels = [{"session": "s-1", "bad": True, "flagged": [False, False, True]}]
    answer = await site.client.post(f"{place(JUDGE)}/labels", json={"labels": labels, "actor": "Ada"}, headers=BEARER)
    assert answer.status_code == 202
    found = [msgspec.convert(row, Labelled) for row in await told(site)]
    assert [one.flagged for one in found] == [False, False, True]
    assert {one.offline for one in found} == {False}
    assert (await site.client.get(place(JUDGE))).json()["evidence"].get("sample", []) == []


async def test_a_set_may_be_labelled_before_its_evaluator_has_found_anything(site):
    body = {"labels": [{"session": "s", "bad": True, "flagged": [True]}], "actor": "Ada", "offline": True}
    assert (await site.client.post(f"{place('LLM:new@1')}/labels", json=body, headers=BEARER)).status_code == 202
    for name in ("nonsense", "CODE:a\0@1", f"CODE:{'a' * 1001}@1"):
        assert (await site.client.post(f"{place(name)}/labels", json=body, headers=BEARER)).status_code == 404


@pytest.mark.parametrize("flagged", [[], [True] * 21], ids=["none", "too many"])
async def test_no_run_and_too_many_are_refused(site, flagged):
    await weigh(site, worth())
    body = {"labels": [{"session": "s", "bad": True, "flagged": flagged}], "actor": "Ada"}
    assert (await site.client.post(f"{place(JUDGE)}/labels", json=body, headers=BEARER)).status_code == 422
    assert await told(site) == []


async def test_without_an_audit_its_page_says_that_nothing_is_known_of_what_it_overlooks(site):
    await weigh(site, worth())
    assert "how much it overlooks is not known" in (await site.client.get(f"/evaluators/{quote(JUDGE, safe='')}")).text


async def test_with_an_audit_the_rate_is_corrected_and_has_an_interval(site):
    await weigh(site, worth(audited=(90, 2, 10, 98)))
    await site.conn.execute("INSERT INTO judged VALUES (%s, 'bot', '1', 'prod', 1, now(), 1000, 108)", [JUDGE])
    found = (await site.client.get(place(JUDGE))).json()
    assert found["corrected"]["rate"] == pytest.approx(0.1, abs=0.01)
    assert found["corrected"]["low"] < 0.1 < found["corrected"]["high"]
    assert found["kappa"] == pytest.approx(0.88, abs=0.01)
    assert "Of 108 sessions that it passed" in found["recall"]


async def test_a_proposal_says_what_to_paste_and_what_it_would_drop(site):
    one = ThresholdProposed(
        *("v1:x#1", "tool.repeated_error", "bot", "errors_min", 6, 3, "5 errors of x", NOW),
        '[detectors."tool.repeated_error"]\nerrors_min = 6',
        "tocsin replay events.ndjson --set tool.repeated_error.errors_min=6",
    )
    for number, (outcome, observed) in enumerate([("false_positive", 5), ("fixed", 4), ("fixed", 9), (None, 3)]):
        await site.book(number + 1, outcome=outcome, observed=f"{observed} errors of x", subject={"agent": "bot"})
    from streams.learn.power.limits import preview

    await Powers("tocsin.outcomes", preview).proposed(site.conn, [one])
    (found,) = (await site.client.get("/v1/proposals")).json()["proposals"]
    assert (found["seen"], found["dropped"], found["lost"], found["undecided"]) == (4, 1, 1, 1)
    page = (await site.client.get("/evaluators")).text
    assert "errors_min = 6" in page
    assert "tocsin replay events.ndjson" in page


async def test_a_person_grants_and_labels_on_the_page(site):
    await weigh(site, worth())
    await site.conn.execute("INSERT INTO audits VALUES (%s, 's-1', 'bot', now())", [JUDGE])
    here = f"/evaluators/{quote(JUDGE, safe='')}"
    await sign_in(site)
    form = await form_value(site, here)
    answer = await site.client.post(f"{here}/grant", data={"form": form, "power": "page", "reason": "well known to us"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{here}?said=granted")
    answer = await site.client.post(f"{here}/label", data={"form": form, "session": "s-1", "label": "bad"})
    assert answer.status_code == 303
    assert [row["record"] for row in await told(site)] == ["granted", "labelled"]
    assert (await site.client.post(f"{here}/grant", data={"power": "page", "reason": "well known"})).status_code == 403


async def test_names_that_agents_choose_are_only_text(site):
    await site.book(judges=(f"LLM:{EVIL}@1",))
    page = (await site.client.get("/evaluators")).text
    assert EVIL not in page
    found = (await site.client.get("/v1/evaluators")).json()["evaluators"]
    name = next(one["id"] for one in found if one["kind"] == "LLM")
    answer = await site.client.get(f"/evaluators/{quote(name.replace('/', '%2F'), safe='')}")
    assert answer.status_code == 200
    assert EVIL not in answer.text
