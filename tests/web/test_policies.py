"""Which policies were in force, in the API and on the health page."""

from __future__ import annotations

from streams.policy import parse
from streams.records import contents
from streams.respond.believing import Believed, noted

CHANGED = 'name = "<b>ours</b>"\n[detectors."tool.repeated_error"]\nerrors_min = 4\n'


async def in_force(site, *texts):
    for text in texts:
        policy = parse(text, "policy.toml")
        await noted(site.conn, Believed(policy.digest, policy.name, contents(policy)), "tocsin.policy")
    return policy


async def test_the_changes_are_listed_the_newest_first_and_lead_to_what_was_believed(site):
    assert (await site.client.get("/v1/policies")).json() == {"changes": []}
    policy = await in_force(site, "", CHANGED)
    newest, first = (await site.client.get("/v1/policies")).json()["changes"]
    assert (newest["after"], newest["before"]) == (policy.digest, first["after"])
    assert {"path": "tool.repeated_error.errors_min", "before": "3", "after": "4"} in newest["differences"]
    assert len((await site.client.get("/v1/policies?limit=1")).json()["changes"]) == 1
    found = (await site.client.get(f"/v1/policies/{policy.digest}")).json()
    assert found["digest"] == policy.digest
    assert found["content"]["detectors"]["tool.repeated_error"]["errors_min"] == 4


async def test_an_unknown_digest_is_not_found(site):
    assert (await site.client.get("/v1/policies/sha256:0")).status_code == 404


async def test_the_health_page_shows_what_changed(site):
    assert "No policy was written down yet" in (await site.client.get("/health")).text
    await in_force(site, "", CHANGED)
    text = (await site.client.get("/health")).text
    assert "<code>tool.repeated_error.errors_min</code> 3 → 4" in text
    assert "the first one" in text
    assert "&lt;b&gt;ours" in text and "<b>ours" not in text
