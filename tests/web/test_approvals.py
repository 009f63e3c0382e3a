"""Questions over HTTP: asked once, waited for, answered by the first; and the forms that people use for it."""

import asyncio
import re
from datetime import datetime

import pytest
from respond.outside import until
from sdk.site import learning
from web.serving import BEARER, TOKEN, serving

from streams.database import migrate
from streams.web.answers import Refused
from streams.web.waiting import Waiting

QUESTION = {"id": "q-1", "action": "refund.create", "agent": "support-bot", "reason": "order 1", "wait_s": 60}


async def ask(site, **given):
    return await site.client.post("/v1/approvals", json={**QUESTION, **given}, headers=BEARER)


async def answer(site, said="approved", actor="Ada"):
    body = {"answer": said, "actor": actor}
    return await site.client.post("/v1/approvals/q-1/answer", json=body, headers=BEARER)


async def state(site, wait=0):
    return (await site.client.get(f"/v1/approvals/q-1?wait={wait}")).json()["state"]


@pytest.fixture
async def site(database):
    migrate(database)
    async with serving(database) as found, learning(database):
        yield found


async def test_a_question_is_there_at_once_and_the_answer_as_soon_as_there_is_one(site):
    asked = await ask(site)
    assert (asked.status_code, asked.json()["state"]) == (202, "pending")
    waiting = asyncio.create_task(state(site, 20))
    assert (await answer(site)).status_code == 202
    assert await asyncio.wait_for(waiting, 10) == "approved"
    found = (await site.client.get("/v1/approvals/q-1")).json()
    assert (found["actor"], found["agent"], found["action"]) == ("Ada", "support-bot", "refund.create")


async def test_asked_twice_it_is_one_question(site):
    await ask(site)
    await ask(site, wait_s=30)
    await answer(site)
    assert await state(site, 10) == "approved"
    assert (await ask(site)).json()["state"] == "approved"
    listed = (await site.client.get("/v1/approvals")).json()["approvals"]
    assert [one["action"] for one in listed] == ["refund.create"]
    assert (await site.client.get("/v1/approvals?pending=true")).json()["approvals"] == []


@pytest.mark.parametrize("other", ["action", "agent", "session", "reason", "resource"])
async def test_what_was_approved_is_not_approved_for_something_else(site, other):
    await ask(site)
    await answer(site)
    assert await state(site, 10) == "approved"
    refused = await ask(site, **{other: "something else"})
    assert (refused.status_code, refused.json()["status"]) == (409, 409)
    assert "another question" in refused.json()["detail"]


async def test_whoever_waits_holds_no_connection_and_hears_of_its_own_question(site):
    for name in ("q-1", "q-2"):
        await ask(site, id=name)
    others = [asyncio.create_task(site.client.get("/v1/approvals/q-2?wait=20")) for _ in range(40)]
    waiting = asyncio.create_task(state(site, 20))

    async def all_wait():
        return len(site.app.state.waited[1]) == 41

    await until(all_wait)
    assert (await site.client.get("/v1/health")).status_code == 200
    await answer(site)
    assert await asyncio.wait_for(waiting, 10) == "approved"
    assert not any(one.done() for one in others)
    site.app.state.waited[1].stop()
    assert {one.json()["state"] for one in await asyncio.gather(*others)} == {"pending"}
    assert not len(site.app.state.waited[1])


async def test_more_than_can_wait_are_sent_away(site):
    await ask(site)
    full = Waiting(None, count_max=0)
    with pytest.raises(Refused) as refused:
        await full.over("q-1", 1)
    assert refused.value.status == 503


async def test_the_second_answer_is_told_of_the_first(site):
    await ask(site)
    await answer(site, "refused", "Bob")
    assert await state(site, 10) == "refused"
    second = await answer(site)
    assert (second.status_code, second.json()["detail"]) == (409, "It was refused already.")
    assert (await answer(site, "refused")).status_code == 202


async def test_no_question_is_open_for_longer_than_the_policy_says(site):
    asked = (await ask(site, wait_s=86_400)).json()
    lasts = datetime.fromisoformat(asked["expires_at"]) - datetime.fromisoformat(asked["asked_at"])
    assert lasts.total_seconds() == 1800


@pytest.mark.parametrize(
    "given",
    [{"id": "control:x"}, {"channel": "#general"}, {"action": ""}, {"wait_s": 0}, {"agent": "a\nb"}, {"x": 1}],
)
async def test_a_malformed_question_is_refused_in_words(site, given):
    refused = await ask(site, **given)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


async def test_what_nobody_asked_has_no_answer(site):
    assert (await answer(site)).status_code == 404
    assert (await site.client.get("/v1/approvals/q-1?wait=20")).status_code == 404


async def form_value(site, path):
    found = re.search(r'name="form" value="([0-9a-f]+)"', (await site.client.get(path)).text)
    assert found
    return found.group(1)


async def listed(site):
    return "refund.create" in (await site.client.get("/approvals")).text


async def sign_in(site):
    await site.client.post("/token", data={"name": "Ada", "token": TOKEN, "to": "/"})


async def test_people_answer_on_the_page(site):
    await ask(site, reason="<script>alert(1)</script>")
    await until(lambda: listed(site), what="the question in the list")
    page = (await site.client.get("/approvals")).text
    assert "<script>alert" not in page
    assert (await site.client.post("/approvals/q-1/answer", data={"answer": "approved"})).status_code == 401
    await sign_in(site)
    form = {"form": await form_value(site, "/approvals"), "answer": "approved"}
    assert (await site.client.post("/approvals/q-1/answer", data=form)).status_code == 303
    assert await state(site, 10) == "approved"
    assert "Ada" in (await site.client.get("/approvals")).text


async def test_an_incidents_page_holds_its_agents_back_once_somebody_is_sure(database):
    migrate(database)
    async with serving(database) as site:
        one = await site.book()
        await site.conn.execute(
            "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad)"
            " VALUES ('support-bot', '2026.09.3', 'prod', 1, date_trunc('minute', now()), 10, 0),"
            " ('support-bot', '2026.09.2', 'prod', 1, date_trunc('minute', now()), 30, 0)"
        )
        where = f"/incidents/{one.id.replace('#', '%23')}"
        assert "support-bot 2026.09.3: 25% of its sessions in the last hour" in (await site.client.get(where)).text
        await sign_in(site)
        form = {"form": await form_value(site, where), "control": "pause_release"}
        assert (await site.client.post(f"{where}/control", data=form)).status_code == 422
        assert (await site.client.post(f"{where}/control", data={**form, "sure": "yes"})).status_code == 303
        ((asked,),) = await site.rows("SELECT record FROM learn_inbox")
        assert (asked["want"], asked["scope"]["kind"], asked["affected"]) == ("pause", "release", 0.25)
        assert (asked["actor"], asked["source"], asked["incident"]) == ("Ada", "web", one.id)


async def test_an_incident_that_is_over_or_names_nobody_offers_nothing(database):
    migrate(database)
    async with serving(database) as site:
        for one in (
            await site.book(1, stage="resolved"),
            await site.book(2, subject={"provider": "x"}, agents=("a", "b")),
        ):
            assert (
                "Hold its agents back" not in (await site.client.get(f"/incidents/{one.id.replace('#', '%23')}")).text
            )


async def test_events_are_not_taken_without_a_kafka_and_that_is_said(database):
    migrate(database)
    async with serving(database) as site:
        answer = await site.client.post("/v1/events", content=b"{}\n", headers=BEARER)
        assert answer.status_code == 404
