"""What agents are told over HTTP, and what people do on the page of controls."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from web.serving import BEARER, serving

from streams import policy as policies
from streams.database import migrate
from streams.learn.controls.commanding import Commanding
from streams.learn.deciders import Wired, writers
from streams.learn.settling import Settling
from streams.records import ControlBeat
from streams.records.signing import genuine
from streams.settings import Secret

PAUSE = {
    "scope": {"kind": "release", "agent": "support-bot", "id": "2026.09.3"},
    "want": "pause",
    "reason": "it deletes things",
    "actor": "ada",
}


class Learn:
    """What learn's loops do, once."""

    def __init__(self, conn, key=b""):
        self.conn, self.commanding = conn, Commanding("tocsin.control", key)
        self.settling = Settling(Wired(policies.load()), writers(self.commanding), "tocsin.deadletters")

    async def turn(self):
        while await self.settling.turn(self.conn):
            pass

    async def beat(self):
        await self.commanding.beat(self.conn, ControlBeat(datetime.now(UTC), 0))


@pytest.fixture
async def learn(site):
    return Learn(site.conn)


async def ran(conn, sessions, release, minutes_ago=5):
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    await conn.execute(
        "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad)"
        " VALUES ('support-bot', %s, 'prod', 1, %s, %s, 0)",
        [release, minute, sessions],
    )


async def until(true, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)


async def document(site, **query):
    answer = await site.client.get("/v1/controls", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def held(site, many=1):
    async def there():
        return len((await document(site))["controls"]) == many

    await until(there)
    return (await document(site))["controls"]


async def test_what_a_person_asks_for_agents_are_told(site, learn):
    await ran(site.conn, 30, "2026.09.3")
    await ran(site.conn, 70, "2026.09.2")
    taken = await site.client.post("/v1/controls", json=PAUSE, headers=BEARER)
    assert taken.status_code == 202, taken.text
    assert (taken.json()["scope"], taken.json()["affected"]) == ("release:support-bot@2026.09.3", 0.3)
    await learn.turn()
    (control,) = await held(site)
    assert (control["state"], control["actor"], control["reason"]) == ("open", "ada", "it deletes things")
    (change,) = (await site.client.get("/v1/controls/changes")).json()["changes"]
    assert (change["actor"], change["control"]["state"]) == ("ada", "open")


async def test_writing_needs_the_token(site):
    assert (await site.client.post("/v1/controls", json=PAUSE)).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": {"kind": "release", "agent": "support-bot"}},
        {"scope": {"kind": "global", "agent": "support-bot"}},
        {"scope": {"kind": "agent", "id": "support-bot"}},
        {"want": "explode"},
        {"want": "deny_tool"},
        {"tools": ["refund"]},
        {"ratio": 0.5},
        {"want": "throttle", "ratio": 1.5},
        {"until": "2020-01-01T00:00:00Z"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"until": "2099-01-01T00:00:00"},
        {"until": "2099-01-01T00:00:00Z", "for_s": 5},
        {"want": "close", "for_s": 5},
        {"reason": ""},
        {"actor": "a\nb"},
        {"id": "a b"},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_in_words(site, wrong):
    answer = await site.client.post("/v1/controls", json={**PAUSE, **wrong}, headers=BEARER)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert await site.rows("SELECT * FROM learn_inbox") == []


async def test_an_echo_of_one_id_is_done_once(site, learn):
    for _ in range(2):
        await site.client.post("/v1/controls", json={**PAUSE, "id": "x-1"}, headers=BEARER)
    await learn.turn()
    assert len(await site.rows("SELECT * FROM control_changes")) == 1


async def test_what_has_not_changed_is_not_sent_again(site, learn):
    await site.client.post("/v1/controls", json=PAUSE, headers=BEARER)
    await learn.turn()
    await learn.beat()
    await held(site)

    async def fresh():
        return not (await document(site))["stale"]

    await until(fresh)
    etag = (await site.client.get("/v1/controls")).headers["etag"]
    answer = await site.client.get("/v1/controls", headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert int(answer.headers["tocsin-beat"]) > 0


async def test_whoever_waits_is_answered_when_something_changes(site, learn):
    seq = (await document(site))["seq"]
    waiting = asyncio.create_task(document(site, since=seq, wait=20))
    await site.client.post("/v1/controls", json=PAUSE, headers=BEARER)
    await learn.turn()
    async with asyncio.timeout(5):
        told = await waiting
    assert [one["state"] for one in told["controls"]] == ["open"]


async def test_whoever_knows_less_than_there_is_does_not_wait(site, learn):
    await site.client.post("/v1/controls", json=PAUSE, headers=BEARER)
    await learn.turn()
    await held(site)
    async with asyncio.timeout(5):
        assert (await document(site, since=0, wait=20))["controls"]


async def test_a_controller_that_never_said_anything_is_stale(site):
    assert (await document(site))["stale"] is True


async def test_with_a_key_the_document_is_signed(database):
    migrate(database)
    async with serving(database, control_key=Secret("k")) as site:
        await until(lambda: _answers(site))
        body = (await site.client.get("/v1/controls")).content
        assert genuine(body, b"k")
        assert not genuine(body, b"another")


async def _answers(site):
    return (await site.client.get("/v1/controls")).status_code == 200


# -- the page ---------------------------------------------------------------------------------------------------------


async def sign_in(site):
    answer = await site.client.post("/token", data={"token": BEARER["Authorization"].split()[1], "name": "ada"})
    assert answer.status_code == 303
    page = (await site.client.get("/controls")).text
    return page.partition('name="form" value="')[2].partition('"')[0]


async def test_the_page_holds_back_and_lifts_and_says_who(site, learn):
    form = await sign_in(site)
    given = {"form": form, "want": "throttle", "agent": "support-bot", "ratio": "25", "reason": "slow", "lasting": "1h"}
    answer = await site.client.post("/controls", data=given)
    assert answer.status_code == 303, answer.text
    await learn.turn()
    (control,) = await held(site)
    assert control["ratio"] == 0.25
    assert control["not_after"] is not None
    page = (await site.client.get("/controls")).text
    assert "ada throttled support-bot by 25%" in page
    lifted = {"form": form, "want": "close", "agent": "support-bot", "reason": "well again"}
    await site.client.post("/controls", data=lifted)
    await learn.turn()
    await held(site, 0)
    page = (await site.client.get("/controls")).text
    assert "Nothing is held back." in page
    assert "support-bot goes ahead again" in page


async def test_nobody_stops_everything_by_an_empty_form(site):
    form = await sign_in(site)
    answer = await site.client.post("/controls", data={"form": form, "want": "pause", "reason": "x"})
    assert answer.status_code == 422


async def test_what_others_wrote_is_no_markup(site, learn):
    await site.client.post("/v1/controls", json={**PAUSE, "reason": "<script>alert(1)</script>"}, headers=BEARER)
    await learn.turn()
    await held(site)
    page = (await site.client.get("/controls")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
