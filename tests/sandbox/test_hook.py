"""The sandbox receiver of webhooks takes what is signed, once, and says what became of the rest."""

import base64
import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.sandbox.hook import SECRET, SandboxHook

Running = tuple[SandboxHook, str]
BODY = b'{"type":"incident.page","data":{"headline":"<script>"}}'


@pytest.fixture
async def hook() -> AsyncIterator[Running]:
    server = SandboxHook()
    yield server, await server.start()
    await server.stop()


def headers(mark: str = "msg_1", at: float | None = None, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    sent = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = base64.b64encode(hmac.digest(key, f"{mark}.{sent}.".encode() + body, "sha256")).decode()
    return {"webhook-id": mark, "webhook-timestamp": sent, "webhook-signature": f"v1,strange v1,{signed}"}


async def post(http: aiohttp.ClientSession, url: str, given: dict[str, str], body: bytes = BODY) -> tuple[int, Any]:
    async with http.post(f"{url}/hooks/desk", data=body, headers=given) as answer:
        return answer.status, await answer.json()


async def test_what_is_signed_is_kept_once(hook: Running, http: aiohttp.ClientSession) -> None:
    server, url = hook
    assert await post(http, url, headers()) == (200, {"id": "msg_1"})
    assert await post(http, url, headers()) == (200, {"id": "msg_1", "repeated": True})
    assert [kept.name for kept in server.kept.values()] == ["desk"]
    assert server.counted == {"kept": 1, "repeated": 1}
    async with http.get(f"{url}/") as answer:
        text = await answer.text()
    assert "&lt;script&gt;" in text and "<script" not in text


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        (headers(body=b"another"), "forged"),
        (headers(secret="whsec_" + base64.b64encode(b"x" * 32).decode()), "forged"),
        ({**headers(), "webhook-id": "msg_2"}, "forged"),
        ({}, "forged"),
        (headers(at=0), "stale"),
        (headers(at=4e9), "stale"),
    ],
)
async def test_what_is_not_is_refused_and_counted(
    hook: Running, http: aiohttp.ClientSession, given: dict[str, str], trouble: str
) -> None:
    server, url = hook
    assert await post(http, url, given) == (401, {"error": trouble})
    assert not server.kept and server.counted == {trouble: 1}


async def test_nonsense_is_refused_even_if_it_is_signed(hook: Running, http: aiohttp.ClientSession) -> None:
    _, url = hook
    for body in (b"", b"[]", b"\xff"):
        assert (await post(http, url, headers(body=body), body))[0] == 400
    for body in (b"{}", b'{"data": 1}', b'{"data": {"headline": [1]}}'):
        assert (await post(http, url, headers(f"msg_{len(body)}", body=body), body))[0] == 200
    async with http.get(f"{url}/") as answer:
        assert answer.status == 200


async def test_what_was_kept_outlives_its_server(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    for answer in ({"id": "msg_1"}, {"id": "msg_1", "repeated": True}):
        server = SandboxHook(path=tmp_path / "hook.ndjson")
        url = await server.start()
        assert await post(http, url, headers()) == (200, answer)
        await server.stop()
