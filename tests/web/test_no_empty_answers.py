"""No answer of the API is empty or anything but JSON, whatever is asked."""

import itertools
import random

import msgspec
import pytest
from web.serving import BEARER, serving

from streams.database import migrate
from streams.settings import Secret

STRANGE = ["", "x", "%00", "%F0%9F%90%98", "..%2f..", "v1%3Aa%23" + "1", "%FF", "a" * 300, "-1", "1e9", "null", "true"]
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"1e999",
    b'{"agent":"a","release":"1"}',
    b'{"actor":"\\ud800"}',
    b"\xff",
    b'{"actor":' + b"[" * 5000 + b"]" * 5000 + b"}",
]


def requests(described, seed=7):
    """Every operation of the description, with strange values in every place."""
    dice = random.Random(seed)
    for path, item in described["paths"].items():
        for method, operation in item.items():
            parameters = operation.get("parameters", [])
            queries = [one["name"] for one in parameters if one["in"] == "query"]
            for value, body in itertools.product(STRANGE, BODIES if method == "post" else [None]):
                filled = path
                for one in parameters:
                    if one["in"] == "path":
                        known = "promotion" if one["name"] == "gate" and dice.random() < 0.5 else value or "x"
                        filled = filled.replace("{" + one["name"] + "}", known)
                query = "&".join(f"{name}={dice.choice(STRANGE)}" for name in queries if dice.random() < 0.7)
                yield method, f"{filled}?{query}", body


@pytest.mark.parametrize("headers", [{}, BEARER], ids=["stranger", "writer"])
async def test_every_answer_has_a_json_body_that_says_its_own_status(site, headers):
    await site.book()
    await site.read()
    described = (await site.client.get("/schema")).json()
    seen = set()
    for method, path, body in requests(described):
        kind = {} if body is None else {"Content-Type": "application/json"}
        answer = await site.client.request(method, path, content=body, headers={**headers, **kind})
        seen.add(answer.status_code)
        document = msgspec.json.decode(answer.content)
        where = f"{method} {path} {body!r}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500, where
        if answer.is_success:
            assert answer.headers["content-type"].startswith("application/json"), where
            assert isinstance(document, dict) and document, where
        else:
            assert answer.headers["content-type"] == "application/problem+json", where
            assert document["status"] == answer.status_code, where
            assert answer.status_code in (401, 404, 422), where
    assert {200, 404, 422} <= seen


async def test_what_agents_show_asks_and_tells_and_does_nothing_else(database):
    migrate(database)
    agent = {"Authorization": "Bearer of-agents"}
    async with serving(database, agent_token=Secret("of-agents")) as site:
        described = (await site.client.get("/schema")).json()
        writing = [
            (path, operation)
            for path, item in described["paths"].items()
            for operation in [item.get("post")]
            if operation
        ]
        opened = set()
        for path, operation in writing:
            if "security" not in operation:
                continue
            answer = await site.client.post(path, json={"action": "refund.create"}, headers=agent)
            if answer.status_code != 401:
                opened.add(path)
            for header in ({}, {"Authorization": "Bearer "}, {"Authorization": "of-agents"}):
                assert (await site.client.post(path, json={}, headers=header)).status_code == 401, path
        assert opened == {"/v1/events", "/v1/approvals"}
        signed_in = await site.client.post("/token", data={"token": "of-agents", "name": "x"})
        assert signed_in.status_code != 303


async def test_wrong_methods_and_places_are_answered_in_json_too(site):
    for method, path, status in (
        ("DELETE", "/v1/incidents", 405),
        ("PUT", "/v1/silences", 405),
        ("GET", "/v1/none", 404),
    ):
        answer = await site.client.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_body_without_end_is_not_read(site):
    answer = await site.client.post(
        "/v1/silences", content=b" " * 100_000, headers={**BEARER, "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
