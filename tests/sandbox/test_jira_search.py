"""Search sees the past; reading by key sees the present."""

from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from jira import JIRA
from sandbox.clients import BASIC, JiraRunning, created, fields, in_thread, until

from streams.sandbox.jira.catalogue import ROBOT
from streams.sandbox.jira.jql import BadJql, parse
from streams.sandbox.jira.ticket import Ticket


def keys(client: JIRA, jql: str) -> list[str]:
    return [one.key for one in client.search_issues(jql)]


async def test_search_sees_a_ticket_only_after_the_lag_but_its_key_is_read_at_once(jira: JiraRunning) -> None:
    server, url = jira
    server.index_lag = 3600.0
    key = await in_thread(url, lambda client: created(client, labels=["tocsin-a"]))
    assert await in_thread(url, lambda client: keys(client, 'labels = "tocsin-a"')) == []
    assert await in_thread(url, lambda client: client.issue(key).fields.labels) == ["tocsin-a"]
    server.index_lag = 0.0
    assert await in_thread(url, lambda client: keys(client, 'labels = "tocsin-a"')) == [key]


async def test_a_short_lag_passes_by_itself_and_shows_the_version_of_that_time(jira: JiraRunning) -> None:
    server, url = jira
    server.index_lag = 0.2
    ticket = server.book.create("OPS", ROBOT.id, {"kind": "10001", "summary": "first"})
    await until(lambda: [one.summary for one in server.book.index.visible()] == ["first"])
    server.index_lag = 3600.0
    server.book.change(ticket, ROBOT.id, {"summary": "second"})
    found = await in_thread(url, lambda client: client.search_issues("key = OPS-1")[0].fields.summary)
    assert (found, ticket.summary) == ("first", "second")


async def test_named_ids_are_reconciled_despite_the_lag(jira: JiraRunning) -> None:
    server, url = jira
    server.index_lag = 3600.0
    number = await in_thread(url, lambda client: client.issue(created(client)).id)

    def work(client: JIRA) -> Any:
        return client.enhanced_search_issues("project = OPS", reconcileIssues=[int(number)], json_result=True)

    assert [one["id"] for one in (await in_thread(url, work))["issues"]] == [number]


async def test_a_lost_permission_is_an_empty_answer_not_an_error(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    server, url = jira
    await in_thread(url, created)
    await http.put(f"{url}/_sandbox/index", json={"lag": 0.0, "blind": True})
    assert await in_thread(url, lambda client: keys(client, "key = OPS-1")) == []
    server.book.index.blind = False
    assert await in_thread(url, lambda client: keys(client, "key = OPS-1")) == ["OPS-1"]


async def test_the_answer_has_clouds_shape_and_pages_by_token(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    server, url = jira
    for _ in range(5):
        server.book.create("OPS", ROBOT.id, {"kind": "10001", "summary": "x"})
    ids: list[str] = []
    query = {"jql": "project = OPS ORDER BY key ASC", "maxResults": "2"}
    for page in range(3):
        async with http.get(f"{url}/rest/api/3/search/jql", params=query, headers=BASIC) as answer:
            body = await answer.json()
        assert all(set(one) == {"id"} for one in body["issues"]), "the id alone is the default"
        assert "total" not in body
        assert body["isLast"] is (page == 2)
        ids += [one["id"] for one in body["issues"]]
        query["nextPageToken"] = body.get("nextPageToken", "")
    assert ids == sorted(ids)
    assert len(ids) == 5


async def test_the_old_search_is_gone(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{jira[1]}/rest/api/3/search", params={"jql": "project = OPS"}, headers=BASIC) as answer:
        assert answer.status == 410
        assert "CHANGE-2046" in await answer.text()


async def test_a_search_body_with_nulls_is_refused_as_the_specification_says(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    body = {"jql": "project = OPS", "expand": None}
    async with http.post(f"{jira[1]}/rest/api/3/search/jql", json=body, headers=BASIC) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("jql", "found"),
    [
        ('labels = "a"', [1, 3]),
        ("labels in (b, c)", [2, 3]),
        ("key = OPS-2", [2]),
        ("key in (OPS-1, ops-3, OPS-99)", [1, 3]),
        ("project = OPS AND statusCategory = Done", [3]),
        ("statusCategory != Done", [1, 2]),
        ('labels = "a" AND (key = OPS-1 OR key = OPS-2)', [1]),
        ('labels = "a" OR key = OPS-2 AND statusCategory = Done', [1, 3]),
        ("NOT labels = a", [2]),
        ("resolution is EMPTY", [1, 2]),
        ("resolution is not EMPTY", [3]),
        ('resolution != "Duplicate"', [3]),
        ("resolution IN (Done, Fixed) AND outcome = fixed", [3]),
        ("created >= -15m", [2, 3]),
        ("created < -15m", [1]),
        ('created >= "2026-01-01 11:50"', [2, 3]),
        ("project = OPS AND created >= -15m ORDER BY created ASC", [2, 3]),
    ],
)
def test_jql_finds(jql: str, found: list[int]) -> None:
    def ticket(number: int, at: str, **more: Any) -> Ticket:
        return Ticket(id=number, key=f"OPS-{number}", kind="10001", created=at, updated=at, author="a", **more)

    tickets = [
        ticket(1, "2026-01-01T11:30:00.000+0000", labels=["a"]),
        ticket(2, "2026-01-01T11:50:00.000+0000", labels=["b"]),
        ticket(
            3,
            "2026-01-01T11:55:00.000+0000",
            labels=["a", "c"],
            status="10001",
            resolution="10004",
            outcome="fixed",
        ),
    ]
    query = parse(jql, datetime(2026, 1, 1, 12, tzinfo=UTC), {"OPS"})
    assert sorted(one.id for one in query.sort(tickets)) == found
    ordered = parse("project = OPS ORDER BY created DESC, key ASC", datetime(2026, 1, 1, 12, tzinfo=UTC), {"OPS"})
    assert [one.id for one in ordered.sort(tickets)] == [3, 2, 1]


@pytest.mark.parametrize(
    ("jql", "complaint"),
    [
        ("", "Unbounded"),
        ("ORDER BY created", "Unbounded"),
        ("colour = red", "Field 'colour' does not exist"),
        ("project = NOPE", "does not exist for the field 'project'"),
        ("labels ~ a", "operator '~' is not supported"),
        ("labels = a labels = b", "Expecting either 'OR' or 'AND'"),
        ("(labels = a", "Expecting ')'"),
        ("labels =", "ends too early"),
        ("created >= yesterday", "Date value 'yesterday' is invalid"),
        ("labels = a ORDER BY colour", "cannot sort"),
        ('labels = "a', "not expected"),
    ],
)
def test_jql_that_is_not_understood_is_refused_in_words(jql: str, complaint: str) -> None:
    with pytest.raises(BadJql, match=complaint.replace("(", r"\(").replace(")", r"\)")):
        parse(jql, datetime(2026, 1, 1, tzinfo=UTC), {"OPS"})


def test_a_quoted_value_stays_a_value() -> None:
    label = 'x" OR project = "OPS'
    escaped = label.replace('"', '\\"')
    ticket = Ticket(id=1, key="OPS-1", kind="10001", created="", updated="", author="a", labels=["other"])
    query = parse(f'labels = "{escaped}"', datetime(2026, 1, 1, tzinfo=UTC), {"OPS"})
    assert query.sort([ticket]) == []


async def test_a_refused_search_names_the_reason(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{jira[1]}/rest/api/3/search/jql", params={"jql": "colour = red"}, headers=BASIC) as answer:
        assert answer.status == 400
        assert (await answer.json())["errorMessages"] == [
            "Field 'colour' does not exist or you do not have permission to view it."
        ]


async def test_a_create_that_was_refused_is_not_found(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    body = {"fields": fields(summary="")}
    async with http.post(f"{jira[1]}/rest/api/3/issue", json=body, headers=BASIC) as answer:
        assert answer.status == 400
    assert list(jira[0].book.tickets()) == []
