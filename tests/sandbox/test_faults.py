"""Every fault does what it says, and the effect has happened or has not, as the menu says."""

import asyncio
from typing import Any

import aiohttp
import pytest
import requests
from jira import JIRAError
from sandbox.clients import BASIC, BEARER, JiraRunning, SlackRunning, created, fields, in_thread, until
from slack_sdk.web.async_client import AsyncWebClient

from streams.sandbox.faults import Fault

CREATE = "/rest/api/*/issue"
BROKEN = [
    ("reset", aiohttp.ClientConnectionError),
    ("close", aiohttp.ServerDisconnectedError),
    ("truncated", aiohttp.ClientPayloadError),
]


async def create(http: aiohttp.ClientSession, url: str, seconds: float = 5.0) -> tuple[int, Any]:
    limit = aiohttp.ClientTimeout(total=seconds)
    address, body = f"{url}/rest/api/3/issue", {"fields": fields()}
    async with http.post(address, json=body, headers=BASIC, timeout=limit) as answer:
        return answer.status, await answer.read()


def tickets(jira: JiraRunning) -> int:
    return sum(1 for _ in jira[0].book.tickets())


def posts(jira: JiraRunning) -> list[int | None]:
    return [call.status for call in jira[0].serving.calls if call.method == "POST"]


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_connection_hides_whether_the_ticket_was_made(
    jira: JiraRunning, http: aiohttp.ClientSession, broken: Any, when: Any, effects: int
) -> None:
    kind, error = broken
    jira[0].faults.add(Fault(path=CREATE, kind=kind, when=when, method="POST"))
    with pytest.raises(error):
        await create(http, jira[1])
    assert (tickets(jira), posts(jira)) == (effects, [None])
    assert (await create(http, jira[1]))[0] == 201, "a fault strikes once unless told otherwise"


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kind", ["hang", "stall"])
async def test_an_answer_that_does_not_come_hides_it_too(
    jira: JiraRunning, http: aiohttp.ClientSession, kind: Any, when: Any, effects: int
) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind=kind, when=when))
    with pytest.raises(TimeoutError):
        await create(http, jira[1], seconds=0.2)
    assert (tickets(jira), posts(jira)) == (effects, [None])


async def test_a_call_held_back_before_its_effect_commits_late(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="hang", when="before"))
    with pytest.raises(TimeoutError):
        await create(http, jira[1], seconds=0.2)
    assert tickets(jira) == 0
    jira[0].faults.clear()
    await until(lambda: tickets(jira) == 1)


async def test_a_hang_ends_after_its_seconds_with_the_true_answer(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="hang", seconds=0.05))
    assert (await create(http, jira[1]))[0] == 201


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
async def test_a_status_comes_with_its_headers(
    jira: JiraRunning, http: aiohttp.ClientSession, when: Any, effects: int
) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="status", when=when, code=503, headers={"Retry-After": "1"}))
    address, body = f"{jira[1]}/rest/api/3/issue", {"fields": fields()}
    async with http.post(address, json=body, headers=BASIC) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.content_type == "application/json"
    assert (tickets(jira), posts(jira)) == (effects, [503])


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
async def test_a_captive_portal_answers_200_and_no_json(
    jira: JiraRunning, http: aiohttp.ClientSession, when: Any, effects: int
) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="wrong_content_type", when=when))
    status, body = await create(http, jira[1])
    assert (status, b"Sign in" in body, tickets(jira)) == (200, True, effects)


async def test_every_third_call_is_struck_as_often_as_asked(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="status", code=500, every=3, times=2))
    statuses = [(await create(http, jira[1]))[0] for _ in range(10)]
    assert statuses == [201, 201, 500, 201, 201, 500, 201, 201, 201, 201]


async def test_a_fault_meets_its_own_path_and_method_only(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    jira[0].faults.add(Fault(path="/rest/api/*/issue/*", method="GET", kind="status", times=None))
    assert (await create(http, jira[1]))[0] == 201
    for path, status in (("issue/OPS-1", 503), ("issue/OPS-1/comment", 200), ("myself", 200)):
        async with http.get(f"{jira[1]}/rest/api/3/{path}", headers=BASIC) as answer:
            assert answer.status == status, path
    jira[0].faults.clear()
    jira[0].faults.add(Fault(path="/rest/**", kind="status", times=None))
    async with http.get(f"{jira[1]}/rest/api/3/issue/OPS-1/comment", headers=BASIC) as answer:
        assert answer.status == 503


async def test_the_menu_is_set_read_and_cleared_over_http(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    menu = f"{jira[1]}/_sandbox/faults"
    fault = {"path": CREATE, "kind": "status", "when": "before", "code": 429, "headers": {"Retry-After": "2"}}
    async with http.post(menu, json=fault) as answer:
        assert answer.status == 201
    assert (await create(http, jira[1]))[0] == 429
    async with http.get(menu) as answer:
        assert [(one["seen"], one["struck"]) for one in await answer.json()] == [(1, 1)]
    async with http.delete(menu) as answer:
        assert answer.status == 204
    async with http.get(menu) as answer:
        assert await answer.json() == []
    for wrong in ({"path": "/x", "kind": "explode"}, {"kind": "reset"}, {"path": "/x", "kind": "reset", "every": 0}):
        async with http.post(menu, json=wrong) as answer:
            assert answer.status == 400


async def test_the_calls_on_the_wire_can_be_counted(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="reset"))
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(http, jira[1])
    await create(http, jira[1])
    async with http.get(f"{jira[1]}/_sandbox/calls") as answer:
        calls = await answer.json()
    seen = [(one["method"], one["path"], one["status"], one["fault"]) for one in calls]
    assert seen == [
        ("POST", "/rest/api/3/issue", None, "after:reset"),
        ("POST", "/rest/api/3/issue", 201, None),
    ]
    assert calls[0]["at"] <= calls[1]["at"]


async def test_the_jira_client_that_may_not_retry_makes_one_ticket_of_a_lost_answer(jira: JiraRunning) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="reset", method="POST"))

    def work(client: Any) -> str:
        with pytest.raises(requests.exceptions.ConnectionError):
            created(client)
        return client.issue("OPS-1").key

    assert await in_thread(jira[1], work) == "OPS-1"
    assert (tickets(jira), posts(jira)) == (1, [None])


async def test_the_jira_client_reports_what_a_status_says(jira: JiraRunning) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="status", code=500, method="POST"))

    def work(client: Any) -> int:
        with pytest.raises(JIRAError) as refused:
            created(client)
        return refused.value.status_code

    assert await in_thread(jira[1], work) == 500
    assert tickets(jira) == 1


async def test_a_slack_method_is_named_by_its_name(slack: SlackRunning) -> None:
    server, url = slack
    client = AsyncWebClient(BEARER["Authorization"].split()[1], base_url=f"{url}/api/", retry_handlers=[])
    server.faults.add(Fault(path="chat.postMessage", kind="close"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel="incidents", text="once")
    found = (await client.conversations_history(channel=server.workspace.channel("incidents").id))["messages"]
    assert [message["text"] for message in found] == ["once"]


async def test_the_slack_client_left_to_itself_posts_twice(slack: SlackRunning) -> None:
    server, url = slack
    client = AsyncWebClient(BEARER["Authorization"].split()[1], base_url=f"{url}/api/")
    server.faults.add(Fault(path="chat.postMessage", kind="close"))
    await client.chat_postMessage(channel="incidents", text="twice")
    found = (await client.conversations_history(channel=server.workspace.channel("incidents").id))["messages"]
    assert [message["text"] for message in found] == ["twice", "twice"]


async def test_slacks_own_error_after_the_effect(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    server, url = slack
    body = '{"ok":false,"error":"internal_error"}'
    server.faults.add(Fault(path="chat.postMessage", kind="status", code=200, body=body))
    message = {"channel": "incidents", "text": "x"}
    async with http.post(f"{url}/api/chat.postMessage", json=message, headers=BEARER) as answer:
        assert await answer.json() == {"ok": False, "error": "internal_error"}
    assert len(list(server.workspace.channel("incidents").newest(0, 10**18))) == 1


async def test_stopping_does_not_wait_for_calls_that_are_held_back(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    jira[0].faults.add(Fault(path=CREATE, kind="hang", when="before"))
    held = asyncio.create_task(create(http, jira[1], seconds=60.0))
    await until(lambda: posts(jira) == [None])
    await jira[0].stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await held
    assert tickets(jira) == 0, "what was held back when the server stopped has not happened"
