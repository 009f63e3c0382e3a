"""GitHub's webhook: only what is signed, and about a repository that the policy knows; its address is never believed."""

import asyncio
import json

import pytest
from delivery.hub import REPOSITORY, SHA, TARGET
from prometheus_client import CollectorRegistry
from web.serving import serving

from streams import policy as policies
from streams.database import migrate
from streams.policy import PolicyError
from streams.sandbox.github.state import Run
from streams.sandbox.github.webhooks import pushed, requested, signature
from streams.settings import Secret

SECRET = "canary-of-the-webhook"
API = "https://api.github.com"
WEBHOOK = "/v1/github/webhook"
POLICY = policies.parse(
    """
[[repositories]]
name = "acme/support-bot"
agent = "support-bot"
environments = { production = "prod" }
checks = "prod"

[[repositories]]
name = "acme/by-tag"
agent = "tagged-bot"
release = "ref"
""",
    "policy.toml",
)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
async def site(database, registry):
    migrate(database)
    async with serving(database, registry=registry, policy=POLICY, github_webhook_secret=Secret(SECRET)) as found:
        yield found


def asked(repository=REPOSITORY, environment=TARGET, sha=SHA, ref="v1", api=API, **changed):
    return {**requested(Run(7001, repository, environment, sha, ref), api), **changed}


async def posted(site, body, event="deployment_protection_rule", delivery="d-1", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature(SECRET, raw)}
    answer = await site.client.post(WEBHOOK, content=raw, headers={**given, **headers})
    assert answer.json()
    return answer


async def kept(site):
    return [body for (body,) in await site.rows("SELECT body FROM hooks ORDER BY id")]


async def test_a_deployment_that_waits_is_kept_and_answered_at_once(site):
    answer = await posted(site, asked())
    assert (answer.status_code, answer.json()["result"]) == (202, "heard")
    (hook,) = await kept(site)
    assert hook["id"] == answer.json()["hook"] == "github:rule:acme/support-bot:7001/production"
    assert (hook["agent"], hook["release"], hook["environment"], hook["gate"]) == (
        "support-bot", SHA, "prod", "promotion"
    )  # fmt: skip
    assert (hook["run"], hook["target"], hook["installation"]) == ("7001", TARGET, 9)


async def test_a_release_may_be_named_by_its_tag_and_an_environment_keep_its_name(site):
    await posted(site, asked("acme/by-tag", "staging"))
    (hook,) = await kept(site)
    assert (hook["agent"], hook["release"], hook["environment"]) == ("tagged-bot", "v1", "staging")


async def test_what_a_workflow_says_of_its_release_is_not_believed(site):
    body = asked()
    body["deployment"]["payload"] = {"agent": "other", "release": "2026.09.3"}
    await posted(site, body)
    assert (await kept(site))[0]["release"] == SHA


async def test_a_run_that_asks_again_is_no_second_deployment(site):
    await posted(site, asked())
    again = asked()
    again["deployment"]["created_at"] = "2026-01-01T00:00:00Z"
    assert (await posted(site, again, delivery="d-2")).json()["result"] == "heard"
    assert len(await kept(site)) == 1


async def test_the_same_body_under_another_delivery_is_a_replay(site):
    raw = json.dumps(asked()).encode()
    assert (await posted(site, raw)).json()["result"] == "heard"
    for delivery in ("d-1", "d-2"):
        assert (await posted(site, raw, delivery=delivery)).json()["result"] == "again"
    assert len(await kept(site)) == 1


FORGED = {
    "no signature": "",
    "another secret": signature("guessed", json.dumps(asked()).encode()),
    "another method": "sha1=" + "0" * 40,
    "the method of another header": "sha512=" + "0" * 128,
    "half": signature(SECRET, json.dumps(asked()).encode())[:20],
    "strange letters": "sha256=\xe9",
}


@pytest.mark.parametrize("given", FORGED.values(), ids=FORGED)
async def test_a_forged_delivery_is_refused_and_counted(site, registry, given):
    raw = json.dumps(asked()).encode()
    headers = [(b"x-github-event", b"deployment_protection_rule"), (b"x-hub-signature-256", given.encode("latin-1"))]
    answer = await site.client.post(WEBHOOK, content=raw, headers=headers)
    assert answer.status_code == 401
    assert registry.get_sample_value("tocsin_heard_total", {"source": "github", "result": "forged"}) == 1
    assert not await kept(site)


CALLBACK = "https://api.github.com/repos/acme/support-bot/actions/runs/7001/deployment_protection_rule"
ELSEWHERE = {
    "another host": CALLBACK.replace("api.github.com", "evil.example"),
    "a longer host": CALLBACK.replace("api.github.com", "api.github.com.evil.example"),
    "a user of another host": CALLBACK.replace("api.github.com", "api.github.com@evil.example"),
    "another port": CALLBACK.replace("api.github.com", "api.github.com:8443"),
    "not encrypted": CALLBACK.replace("https", "http"),
    "inside": "http://169.254.169.254/latest/meta-data",
    "a file": "file:///etc/passwd",
    "another repository": CALLBACK.replace("support-bot", "by-tag"),
    "another path": CALLBACK.replace("deployment_protection_rule", "cancel"),
    "a path with steps": CALLBACK.replace("7001", "../../x/7001"),
    "a run that is none": CALLBACK.replace("7001", "7001%2f"),
    "a query": CALLBACK + "?a=b",
    "nothing": "",
    "no address": "//[",
}


@pytest.mark.parametrize("address", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_an_address_that_is_not_githubs_is_never_called(site, address):
    answer = await posted(site, asked(deployment_callback_url=address))
    assert answer.status_code == 422 and "address" in answer.json()["detail"]
    assert not await kept(site)


async def test_an_enterprise_server_has_an_api_of_its_own(database):
    migrate(database)
    given = {"policy": POLICY, "github_webhook_secret": Secret(SECRET), "github_url": "https://git.acme.example/api/v3"}
    async with serving(database, **given) as site:
        assert (await posted(site, asked())).status_code == 422
        assert (await posted(site, asked(api="https://git.acme.example/api/v3"))).status_code == 202


async def test_a_repository_that_the_policy_does_not_name_is_refused_in_words(site):
    answer = await posted(site, asked("acme/unknown"))
    assert answer.status_code == 422 and "[[repositories]]" in answer.json()["detail"]


@pytest.mark.parametrize("changed", [{"deployment": None}, {"environment": ""}, {"environment": "x" * 300}])
async def test_a_deployment_without_a_commit_or_an_environment_is_refused(site, changed):
    assert (await posted(site, asked(**changed))).status_code == 422
    assert not await kept(site)


@pytest.mark.parametrize("sha", ["", "main", "g" * 40, "../../x"])
async def test_a_commit_that_is_none_is_refused(site, sha):
    assert (await posted(site, asked(sha=sha))).status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b'{"repository": 7}', b"[" * 50_000])
async def test_garbage_that_is_well_signed_is_a_400(site, body):
    assert (await posted(site, body)).status_code == 400


async def test_a_push_makes_a_check_where_the_policy_wants_one(site):
    assert (await posted(site, pushed(REPOSITORY, SHA), "check_suite", "d-1")).json()["result"] == "heard"
    assert (await posted(site, pushed("acme/by-tag", SHA), "check_suite", "d-2")).json()["result"] == "ignored"
    (hook,) = await kept(site)
    assert (hook["kind"], hook["sha"], hook["release"], hook["environment"]) == ("check", SHA, SHA, "prod")


@pytest.mark.parametrize(("event", "changed"), [
    ("ping", {"zen": "x"}), ("push", {}), ("deployment_protection_rule", {"action": "other"}), ("", {}),
])  # fmt: skip
async def test_what_is_about_something_else_is_taken_and_ignored(site, event, changed):
    answer = await posted(site, asked(**changed), event)
    assert (answer.status_code, answer.json()["result"]) == (202, "ignored")
    assert not await kept(site)


async def test_without_a_secret_it_says_how_it_is_switched_on(database):
    migrate(database)
    async with serving(database) as site:
        answer = await site.client.post(WEBHOOK, content=b"{}")
        assert answer.status_code == 403 and "TOCSIN_GITHUB_WEBHOOK_SECRET" in answer.json()["detail"]


async def test_many_deliveries_at_once_are_one_deployment(site):
    raw = json.dumps(asked()).encode()
    answers = await asyncio.gather(*(posted(site, raw, delivery=f"d-{n}") for n in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(await kept(site)) == 1


@pytest.mark.parametrize("name", ["support-bot", "acme/a/b", "acme/x?y", ""])
def test_a_repository_that_is_none_is_no_policy(name):
    with pytest.raises(PolicyError, match="repositories"):
        policies.parse(f'[[repositories]]\nname = "{name}"\nagent = "a"\n', "policy.toml")
