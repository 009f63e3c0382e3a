"""Releases in the API."""

from __future__ import annotations

import msgspec
import pytest
from learn.test_counting import EXPOSURE, MINUTE, counting, delivered

from streams.records import Exposure
from streams.settle import Read


async def told(site, *events):
    """What CI says, and a minute of sessions."""
    batch = [delivered(n, kind, **data) for n, (kind, data) in enumerate(events)]
    minute = Exposure("support-bot", "2026.09.3", "prod", MINUTE, 20, 2, ended=10, evaluated=4)
    await counting().apply(site.conn, [*batch, Read(EXPOSURE, 0, None, msgspec.json.encode(minute), 0)], {})


REGISTERED = ("release.registered.v1", {"parents": ["2026.09.2"], "aliases": ["v3"], "commit": "abcdef0123"})
DEPLOYED = ("release.deployed.v1", {"environment": "prod", "op": "promote", "result": "ok", "share": 0.05})


async def test_a_release_says_where_it_comes_from_where_it_runs_and_how_it_does(site):
    older = ("release.registered.v1", {"release": "2026.09.2", "parents": ["2026.09.1"]})
    child = ("release.registered.v1", {"release": "2026.09.4", "parents": ["v3"]})
    await told(site, older, REGISTERED, child, DEPLOYED)
    found = (await site.client.get("/v1/releases/support-bot/2026.09.3")).json()
    assert found["release"]["parents"] == ["2026.09.2"]
    assert found["ancestors"] == ["2026.09.2", "2026.09.1"]
    assert found["children"] == ["2026.09.4"]
    assert found["cyclic"] is False
    (deployed,) = found["deployments"]
    assert (deployed["op"], deployed["share"], deployed["result"]) == ("promote", 0.05, "ok")
    assert found["exposure"] == [{"environment": "prod", "sessions": 20, "bad": 2, "ended": 10, "evaluated": 4}]


@pytest.mark.parametrize("name", ["v3", "abcdef0"])
async def test_a_release_is_found_by_an_alias_and_a_commit(site, name):
    await told(site, REGISTERED)
    found = (await site.client.get(f"/v1/releases/support-bot/{name}")).json()
    assert found["release"]["release"] == "2026.09.3"


async def test_a_name_of_several_releases_is_not_found_and_says_which(site):
    await told(site, REGISTERED, ("release.registered.v1", {"release": "2026.09.4", "aliases": ["v3"]}))
    answer = await site.client.get("/v1/releases/support-bot/v3")
    assert answer.status_code == 404
    assert "2026.09.3, 2026.09.4" in answer.json()["detail"]


async def test_an_unknown_release_is_not_found(site):
    assert (await site.client.get("/v1/releases/support-bot/nine")).status_code == 404


async def test_releases_are_listed_the_newest_first_of_one_agent_or_all(site):
    await told(site, REGISTERED, ("release.registered.v1", {"agent": "other", "release": "1"}))
    every = (await site.client.get("/v1/releases")).json()["releases"]
    assert {(one["agent"], one["release"]) for one in every} == {("support-bot", "2026.09.3"), ("other", "1")}
    (one,) = (await site.client.get("/v1/releases?agent=other&limit=1")).json()["releases"]
    assert (one["release"], one["registered"]) == ("1", True)
