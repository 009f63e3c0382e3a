"""The sandbox GitHub: what its documentation promises to an app, and its page for administrators."""

import base64
import json
import time

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.learn.github.identity import NEEDS, Tokens, proved
from streams.records import NotDone
from streams.respond.receivers.http_wire import Wire
from streams.sandbox.faults import Fault
from streams.sandbox.github import SandboxGitHub
from streams.settings import Secret

REPOSITORY, SHA = "acme/support-bot", "ab" * 20
NOTE = {"environment_name": "production", "comment": "312 of 550 sessions"}
CHECK = {"name": "Tocsin", "head_sha": SHA, "status": "in_progress", "external_id": "d-1"}


@pytest.fixture
async def github():
    found = SandboxGitHub(token="secret")
    found.address = await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def client(github):
    headers = {"Authorization": "Bearer secret"}
    async with aiohttp.ClientSession(github.address, headers=headers) as session:
        yield session


async def said(client, method, path, body=None, **headers):
    async with client.request(method, path, json=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.read() or b"null")


async def review(client, run, **body):
    return await said(client, "POST", f"/repos/{REPOSITORY}/actions/runs/{run.id}/deployment_protection_rule", body)


async def test_a_review_is_heard_once_and_ends_the_wait(github, client):
    run = github.deploy(REPOSITORY, "production", SHA)
    where = f"/repos/{REPOSITORY}/actions/runs/{run.id}"
    assert [one["environment"]["name"] for one in (await said(client, "GET", f"{where}/pending_deployments"))[1]] == [
        "production"
    ]
    assert await review(client, run, **NOTE) == (204, None)
    assert (await said(client, "GET", f"{where}/approvals"))[1] == []
    assert (await review(client, run, **NOTE, state="approved"))[0] == 204
    assert (await review(client, run, **NOTE, state="rejected"))[0] == 422
    assert (await said(client, "GET", f"{where}/pending_deployments"))[1] == []
    ((one,),) = [(await said(client, "GET", f"{where}/approvals"))[1]]
    assert (one["state"], one["user"]["login"]) == ("approved", "tocsin[bot]")


@pytest.mark.parametrize("body", [
    {}, {"environment_name": "staging", "state": "approved"}, {"environment_name": "production"},
    {**NOTE, "state": "maybe"}, {**NOTE, "comment": "x" * 1025}, {**NOTE, "comment": 7},
])  # fmt: skip
async def test_a_review_that_is_none_is_refused(github, client, body):
    run = github.deploy(REPOSITORY, "production", SHA)
    assert (await review(client, run, **body))[0] == 422
    assert run.state == "waiting" and not run.reviews


async def test_a_deployment_has_ten_notes(github, client):
    run = github.deploy(REPOSITORY, "production", SHA)
    assert [(await review(client, run, **NOTE))[0] for _ in range(11)] == [204] * 10 + [422]


async def test_check_runs_are_made_changed_and_found_by_name(github, client):
    status, check = await said(client, "POST", f"/repos/{REPOSITORY}/check-runs", CHECK)
    assert status == 201 and check["conclusion"] is None
    done = {"status": "completed", "conclusion": "failure", "output": {"title": "block", "summary": "why"}}
    assert (await said(client, "PATCH", f"/repos/{REPOSITORY}/check-runs/{check['id']}", done))[0] == 200
    found = (await said(client, "GET", f"/repos/{REPOSITORY}/commits/{SHA}/check-runs?check_name=Tocsin"))[1]
    assert [one["conclusion"] for one in found["check_runs"]] == ["failure"]
    found = (await said(client, "GET", f"/repos/{REPOSITORY}/commits/{SHA}/check-runs?check_name=x"))[1]
    assert found["total_count"] == 0


@pytest.mark.parametrize("changed", [
    {"name": ""}, {"head_sha": None}, {"status": "done"}, {"status": "completed"}, {"conclusion": "success"},
    {"status": "completed", "conclusion": "good"}, {"output": {"title": ""}},
])  # fmt: skip
async def test_a_check_run_that_is_none_is_refused(github, client, changed):
    assert (await said(client, "POST", f"/repos/{REPOSITORY}/check-runs", {**CHECK, **changed}))[0] == 422


async def test_strangers_and_what_is_not_there_are_refused(github, client):
    for path in ("/repos/acme/other/actions/runs/1/approvals", "/repos/acme/other/actions/runs/x/pending_deployments"):
        assert (await said(client, "GET", path))[0] == 404
    assert (await said(client, "POST", f"/repos/{REPOSITORY}/check-runs", CHECK, Authorization="Bearer x"))[0] == 401
    assert (await said(client, "POST", "/app/installations/9/access_tokens"))[0] == 401


async def test_an_administrator_goes_past_the_rule_on_the_page_alone(github, client):
    run = github.deploy(REPOSITORY, "production", SHA)
    async with client.post(f"/runs/{run.id}/bypass") as refused:
        assert refused.status == 403
    async with client.post(f"/runs/{run.id}/bypass", headers={"Origin": github.address}, allow_redirects=False) as done:
        assert done.status == 303
    assert run.state == "bypassed"
    async with client.get("/") as page:
        assert "bypassed" in await page.text()


async def test_what_was_said_is_kept_over_a_restart(tmp_path):
    path = tmp_path / "github.jsonl"
    first = SandboxGitHub(path=path)
    await first.start()
    run = first.deploy(REPOSITORY, "production", SHA)
    first.book.review(run, "approved", "", "tocsin[bot]")
    await first.stop()
    again = SandboxGitHub(path=path)
    assert again.book.runs[run.id].state == "approved"
    again.book.close()


@pytest.fixture(scope="module")
def keys():
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode(), public.decode()


async def test_an_app_proves_itself_and_uses_its_token_until_it_is_old(keys):
    github, now = SandboxGitHub(app=("4711", keys[1])), [0.0]
    address, wire = await github.start(), Wire(timeout_s=5.0)
    now[0] = time.time()
    tokens = Tokens(wire, address, Secret(""), ("4711", Secret(keys[0])), clock=lambda: now[0])
    first = await tokens.headers(9)
    assert await tokens.headers(9) == first and len(github.proofs) == 1
    assert first["Authorization"].removeprefix("Bearer ") in github.tokens
    now[0] += 3400
    github.tokens.clear()
    assert isinstance(await tokens.headers(9), NotDone)  # our clock is fast by an hour: the proof is of tomorrow
    now[0] -= 3400
    tokens.forget(9)
    assert await tokens.headers(9) != first
    tokens.forget(9)
    github.faults.add(Fault(path="/app/installations/*/access_tokens", kind="reset"))
    assert isinstance(await tokens.headers(9), NotDone)
    assert isinstance(await tokens.headers(10), NotDone)
    await wire.close()
    await github.stop()


async def test_a_proof_of_another_key_another_app_or_another_time_gets_no_token(keys):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    stranger = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    github = SandboxGitHub(app=("4711", keys[1]))
    address, wire = await github.start(), Wire(timeout_s=5.0)
    for app, key in (("4711", stranger), ("4712", keys[0]), ("4711", "no key"), ("4711", "")):
        found = await Tokens(wire, address, Secret(""), (app, Secret(key))).headers(9)
        assert isinstance(found, NotDone) and "PRIVATE" not in found.why
    await wire.close()
    await github.stop()


def test_a_proof_says_who_and_for_how_long(keys):
    proof = proved("4711", Secret(keys[0]), 1_000_000.0).reveal()
    head, claims, _ = (json.loads(base64.urlsafe_b64decode(part + "==")) if n < 2 else part
                       for n, part in enumerate(proof.split(".")))  # fmt: skip
    assert head == {"alg": "RS256", "typ": "JWT"}
    assert claims == {"iat": 999_940, "exp": 1_000_540, "iss": "4711"}
    assert "tocsin[github]" in NEEDS
