"""What slack_sdk does on the wire, pinned: an upgrade that repeats a post, or reads a timeout otherwise, fails here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest
from respond.outside import CHANNEL, SLACK_CANARY, posts, slack_receiver
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler, AsyncServerErrorRetryHandler
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from streams.sandbox.faults import Fault
from streams.sandbox.slack import SandboxSlack

Running = tuple[SandboxSlack, str]
Client = Callable[..., AsyncWebClient]
TOTAL_S = 0.5


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TOTAL_S)) as own:
        yield own


@pytest.fixture
def client(slack: Running, session: aiohttp.ClientSession) -> Client:
    def made(**given: Any) -> AsyncWebClient:
        return AsyncWebClient(token=SLACK_CANARY, base_url=f"{slack[1]}/api/", **{"session": session, **given})

    return made


class Row(NamedTuple):
    """Of the table: a fault after the message was stored, and what comes of it with and without retries."""

    fault: dict[str, Any]
    by_default: int  # messages on the wire
    raised: type[Exception]
    without: int = 1


STATUS = {"kind": "status", "when": "after"}
TABLE = {
    "reset": Row({"kind": "reset"}, 2, aiohttp.ClientConnectionError),
    "close": Row({"kind": "close"}, 2, aiohttp.ServerDisconnectedError),
    "no answer": Row({"kind": "hang"}, 1, TimeoutError),
    "500 with a page": Row({**STATUS, "code": 500, "body": "<html>", "headers": {"Content-Type": "text/html"}}, 1, SlackApiError),
    "503": Row({**STATUS, "code": 503}, 1, SlackApiError),
    "429": Row({**STATUS, "code": 429, "headers": {"Retry-After": "1"}}, 1, SlackApiError),
    "a captive portal": Row({"kind": "wrong_content_type", "content_type": "text/plain", "body": "Sign in"}, 1, AttributeError),
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("retries", [True, False], ids=["its own retries", "none"])
async def test_how_often_a_post_is_sent(slack: Running, client: Client, row: Row, retries: bool) -> None:
    server, _ = slack
    server.faults.add(Fault(path="chat.postMessage", **row.fault))
    given: dict[str, Any] = {} if retries else {"retry_handlers": []}
    sent = client(**given).chat_postMessage(channel=CHANNEL, text="x")
    if retries and row.by_default > 1:
        await sent  # the second one is heard: whoever asked knows nothing of the first
    else:
        with pytest.raises(row.raised):
            await sent
    server.faults.clear()
    assert posts(server.serving.calls, "/chat.postMessage") == (row.by_default if retries else row.without)


async def test_a_handler_for_server_errors_would_post_twice(slack: Running, client: Client) -> None:
    server, _ = slack
    server.faults.add(Fault(path="chat.postMessage", kind="status", code=500, when="after"))
    await client(retry_handlers=[AsyncServerErrorRetryHandler()]).chat_postMessage(channel=CHANNEL, text="x")
    assert posts(server.serving.calls, "/chat.postMessage") == 2


async def test_a_handler_for_rate_limits_waits_as_long_as_it_is_told(slack: Running, client: Client) -> None:
    server, _ = slack
    server.faults.add(
        Fault(path="chat.postMessage", kind="status", code=429, when="before", headers={"Retry-After": "1"})
    )
    await client(retry_handlers=[AsyncRateLimitErrorRetryHandler()]).chat_postMessage(channel=CHANNEL, text="x")
    first, second = (call.at for call in server.serving.calls)
    assert second - first >= 1.0


async def test_with_a_session_of_our_own_the_clients_timeout_is_ignored(slack: Running, client: Client) -> None:
    """TOTAL_S of the session ends it, not the hour that the client is given."""
    server, _ = slack
    server.faults.add(Fault(path="chat.postMessage", kind="hang"))
    with pytest.raises(TimeoutError):
        await client(timeout=3600, retry_handlers=[]).chat_postMessage(channel=CHANNEL, text="x")
    server.faults.clear()


async def test_a_read_timeout_of_the_session_is_one_that_is_repeated(slack: Running, client: Client) -> None:
    server, _ = slack
    server.faults.add(Fault(path="chat.postMessage", kind="hang"))
    timeout = aiohttp.ClientTimeout(sock_read=0.3)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await client(session=session).chat_postMessage(channel=CHANNEL, text="x")
    server.faults.clear()
    assert posts(server.serving.calls, "/chat.postMessage") == 2


async def test_reads_are_queries_and_writes_are_bodies(slack: Running, client: Client) -> None:
    server, _ = slack
    await client().conversations_history(channel=CHANNEL, inclusive=True, include_all_metadata=True)
    await client().chat_postMessage(channel=CHANNEL, text="x")
    assert [call.method for call in server.serving.calls] == ["GET", "POST"]


async def test_its_exceptions_hold_the_token_where_ours_do_not(slack: Running, client: Client) -> None:
    server, url = slack
    server.faults.add(Fault(path="chat.postMessage", kind="status", code=500, when="before", times=None))
    with pytest.raises(SlackApiError) as raised:
        await client(retry_handlers=[]).chat_postMessage(channel=CHANNEL, text="x")
    assert SLACK_CANARY not in str(raised.value)
    assert SLACK_CANARY in str(raised.value.response.req_args)
    receiver = slack_receiver(url)
    answer = await receiver._wire.call(lambda slack: slack.chat_postMessage(channel=CHANNEL, text="x"))
    await receiver.close()
    assert SLACK_CANARY not in repr(answer)


WRITES: dict[str, Callable[[AsyncWebClient], Awaitable[Any]]] = {
    "post": lambda slack: slack.chat_postMessage(channel=CHANNEL, text="x"),
    "edit": lambda slack: slack.chat_update(channel=CHANNEL, ts="1.0", text="x"),
    "reply to one": lambda slack: slack.chat_postEphemeral(channel=CHANNEL, user="U1", text="x"),
    "connection": lambda slack: slack.api_call("apps.connections.open"),
    "who we are": lambda slack: slack.auth_test(),
}
READS: dict[str, Callable[[AsyncWebClient], Awaitable[Any]]] = {
    "channel": lambda slack: slack.conversations_history(channel=CHANNEL),
    "thread": lambda slack: slack.conversations_replies(channel=CHANNEL, ts="1.0"),
    "person": lambda slack: slack.users_lookupByEmail(email="ada@example.com"),
    "groups": lambda slack: slack.usergroups_list(),
}


@pytest.mark.parametrize(
    ("call", "most"), [*((one, 1) for one in WRITES.values()), *((one, 2) for one in READS.values())],
    ids=[*WRITES, *READS],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["reset", "close", "truncated"])
async def test_our_own_wire_sends_every_write_once(
    slack: Running, call: Callable[[AsyncWebClient], Awaitable[Any]], most: int, kind: Any
) -> None:
    """Aiohttp itself repeats a GET whose connection broke."""
    server, url = slack
    server.faults.add(Fault(path="/api/*", kind=kind, times=None))
    receiver = slack_receiver(url)
    assert not isinstance(await receiver._wire.call(call), dict)
    await receiver.close()
    assert len(server.serving.calls) <= most


# -- SignatureVerifier ------------------------------------------------------------------------------------------------


class Now:
    def now(self) -> float:
        return 1_000_000.0


def verifier() -> Any:
    return SignatureVerifier("secret", Now())  # type: ignore[arg-type]


def signature(body: bytes, stamp: str) -> str:
    return f"v0={hmac.new(b'secret', f'v0:{stamp}:'.encode() + body, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(("body", "stamp", "given", "error"), [
    (b"a=1", "yesterday", "v0=00", ValueError),
    (b"\xff", "1000000", "v0=00", UnicodeDecodeError),
    (b"a=1", "1000000", "v0=é", TypeError),
])  # fmt: skip
def test_the_verifier_raises_instead_of_refusing(body: bytes, stamp: str, given: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        verifier().is_valid(body, stamp, given)


def test_the_verifier_takes_the_same_request_again_and_again() -> None:
    given = signature(b"a=1", "1000000")
    assert all(verifier().is_valid(b"a=1", "1000000", given) for _ in range(3))


def test_the_verifier_refuses_what_is_older_than_five_minutes() -> None:
    assert verifier().is_valid(b"a=1", "999700", signature(b"a=1", "999700"))
    assert not verifier().is_valid(b"a=1", "999699", signature(b"a=1", "999699"))
