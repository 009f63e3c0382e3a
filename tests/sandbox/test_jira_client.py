"""The unmodified jira client, in both versions of the API, does everything that tickets need."""

import asyncio
import io
import json
from typing import Any

import pytest
from jira import JIRA, JIRAError
from sandbox.clients import JIRA_TOKEN, JiraRunning, created, fields, in_thread, paragraph

from streams.sandbox.jira import SandboxJira

VERSIONS = pytest.mark.parametrize("version", ["2", "3"])


def text(version: str, words: str) -> Any:
    return paragraph(words) if version == "3" else words


@VERSIONS
async def test_a_ticket_is_created_and_read_back(jira: JiraRunning, version: str) -> None:
    def work(client: JIRA) -> Any:
        key = created(client, description=text(version, "first\nline"), labels=["tocsin-1"], priority={"name": "High"})
        return client.issue(key).raw

    ticket = await in_thread(jira[1], work, version)
    assert ticket["key"] == "OPS-1"
    shown = ticket["fields"]
    assert (shown["summary"], shown["labels"], shown["priority"]["name"]) == ("Tool fails", ["tocsin-1"], "High")
    assert shown["description"] == text(version, "first\nline")
    assert (shown["status"]["name"], shown["status"]["statusCategory"]["key"]) == ("To Do", "new")
    assert shown["resolution"] is None


async def test_what_one_version_wrote_the_other_reads(jira: JiraRunning) -> None:
    key = await in_thread(jira[1], lambda client: created(client, description="one\ntwo"), "2")
    document = await in_thread(jira[1], lambda client: client.issue(key).raw["fields"]["description"], "3")
    assert [block["content"][0]["text"] for block in document["content"]] == ["one", "two"]
    key = await in_thread(jira[1], lambda client: created(client, description=paragraph("three")), "3")
    assert await in_thread(jira[1], lambda client: client.issue(key).fields.description, "2") == "three"


@VERSIONS
async def test_comments_and_attachments_stay_as_they_were_sent(jira: JiraRunning, version: str) -> None:
    data = bytes(range(256)) * 3 + b"\r\n--boundary\r\n\n\r"

    def work(client: JIRA) -> Any:
        key = created(client)
        client.add_comment(key, text(version, "look at this"))
        client.add_attachment(key, io.BytesIO(data), filename="evidence-trace-1.json")
        found = client.issue(key)
        file = found.fields.attachment[0]
        return found.raw["fields"]["comment"]["comments"], file.filename, file.size, file.get()

    comments, name, size, content = await in_thread(jira[1], work, version)
    assert [comment["body"] for comment in comments] == [text(version, "look at this")]
    assert (name, size, content) == ("evidence-trace-1.json", len(data), data)


async def test_labels_are_added_without_overwriting_those_of_people(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        issue = client.issue(created(client, labels=["people", "tocsin-unconfirmed"]))
        issue.add_field_value("labels", "tocsin")
        body = {"update": {"labels": [{"remove": "tocsin-unconfirmed"}], "summary": [{"set": "Edited"}]}}
        client._session.put(issue.self, data=json.dumps(body))
        return client.issue(issue.key).fields

    found = await in_thread(jira[1], work)
    assert (found.labels, found.summary) == (["people", "tocsin"], "Edited")


async def test_properties_come_with_the_create_and_are_read_by_key(jira: JiraRunning) -> None:
    value = {"incident": "inc-1", "nonce": "n1", "deployment": "d"}

    def work(client: JIRA) -> Any:
        body = {"fields": fields(), "properties": [{"key": "tocsin.incident", "value": value}]}
        key = client._session.post(client._get_url("issue"), data=json.dumps(body)).json()["key"]
        client.add_issue_property(key, "tocsin.more", {"a": 1})
        listed = client._session.get(client._get_url(f"issue/{key}/properties")).json()
        with_fields = client._get_json(f"issue/{key}", {"properties": "tocsin.incident", "fields": "labels"})
        return client.issue_property(key, "tocsin.incident").raw, listed, with_fields

    read, listed, with_fields = await in_thread(jira[1], work)
    assert read["value"] == value
    assert [one["key"] for one in listed["keys"]] == ["tocsin.incident", "tocsin.more"]
    assert with_fields["properties"] == {"tocsin.incident": value}
    assert set(with_fields["fields"]) == {"labels"}


async def test_the_workflow_goes_to_done_with_an_outcome_and_back(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        key = created(client)
        names = [[one["name"] for one in client.transitions(key)]]
        client.transition_issue(key, "Start progress")
        names.append([one["name"] for one in client.transitions(key)])
        outcome = {"resolution": {"name": "Not a bug"}, "customfield_10100": {"value": "false_positive"}}
        client.transition_issue(key, "Done", fields=outcome)
        done = client.issue(key, expand="changelog").raw
        client.transition_issue(key, "Reopen")
        return names, done, client.issue(key).raw["fields"]

    names, done, again = await in_thread(jira[1], work)
    assert names == [["Start progress", "Done"], ["Stop progress", "Done"]]
    assert done["fields"]["status"]["statusCategory"]["key"] == "done"
    assert done["fields"]["resolution"]["name"] == "Not a bug"
    assert done["fields"]["customfield_10100"]["value"] == "false_positive"
    assert done["fields"]["resolutiondate"] is not None
    items = done["changelog"]["histories"][0]["items"]
    assert ("status", "In Progress", "Done") in [
        (one["field"], one["fromString"], one["toString"]) for one in items[:1]
    ]
    assert (again["status"]["name"], again["resolution"], again["resolutiondate"]) == ("To Do", None, None)


async def test_a_step_that_the_status_does_not_allow_is_refused(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        with pytest.raises(JIRAError) as refused:
            client.transition_issue(created(client), "41")
        return refused.value.status_code, refused.value.text

    status, words = await in_thread(jira[1], work)
    assert status == 400
    assert "not valid for the current state" in words


async def test_a_remote_link_is_an_upsert_by_its_global_id(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        address = client._get_url(f"issue/{created(client)}/remotelink")
        statuses = []
        for title in ("Incident", "Incident, renamed"):
            body = {"globalId": "tocsin:d:inc-1", "object": {"url": "http://127.0.0.1:1/incidents/1", "title": title}}
            statuses.append(client._session.post(address, data=json.dumps(body)).status_code)
        return statuses, client._session.get(address).json()

    statuses, links = await in_thread(jira[1], work)
    assert statuses == [201, 200]
    assert [link["object"]["title"] for link in links] == ["Incident, renamed"]


async def test_a_duplicate_is_linked_to_the_ticket_that_stays(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        stays, goes = created(client), created(client)
        client.create_issue_link("Duplicate", inwardIssue=goes, outwardIssue=stays)
        return client.issue(goes).raw["fields"]["issuelinks"], client.issue(stays).raw["fields"]["issuelinks"]

    of_gone, of_staying = await in_thread(jira[1], work)
    assert (of_gone[0]["type"]["outward"], of_gone[0]["outwardIssue"]["key"]) == ("duplicates", "OPS-1")
    assert (of_staying[0]["type"]["inward"], of_staying[0]["inwardIssue"]["key"]) == ("is duplicated by", "OPS-2")


async def test_many_tickets_are_read_at_once_and_missing_ones_are_left_out(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        keys = [created(client) for _ in range(3)]
        client.issue(keys[1]).delete()
        body = {"issueIdsOrKeys": [*keys, "OPS-99", "77"], "fields": ["status", "labels"]}
        return client._session.post(client._get_url("issue/bulkfetch"), data=json.dumps(body)).json()

    found = await in_thread(jira[1], work)
    assert [one["key"] for one in found["issues"]] == ["OPS-1", "OPS-3"]
    assert set(found["issues"][0]["fields"]) == {"status", "labels"}


async def test_the_create_screen_says_what_it_asks(jira: JiraRunning) -> None:
    jira[0].desk.off_screen.add("labels")
    jira[0].desk.required.add("customfield_10100")

    def work(client: JIRA) -> Any:
        kinds = client._get_json("issue/createmeta/OPS/issuetypes")["issueTypes"]
        asked = client._get_json(f"issue/createmeta/OPS/issuetypes/{kinds[0]['id']}")["fields"]
        with pytest.raises(JIRAError) as refused:
            created(client, labels=["x"])
        return [one["name"] for one in kinds], asked, json.loads(refused.value.response.text)

    kinds, asked, refused = await in_thread(jira[1], work)
    assert kinds == ["Task", "Bug", "Incident"]
    assert {one["fieldId"] for one in asked if one["required"]} == {
        "summary",
        "project",
        "issuetype",
        "customfield_10100",
    }
    assert "labels" not in {one["fieldId"] for one in asked}
    assert refused == {"errorMessages": [], "errors": {"customfield_10100": "Outcome is required."}}


async def test_the_site_describes_itself(jira: JiraRunning) -> None:
    def work(client: JIRA) -> Any:
        return {
            "deployment": client.server_info()["deploymentType"],
            "me": client.myself()["emailAddress"],
            "projects": [one.key for one in client.projects()],
            "priorities": len(client.priorities()),
            "resolutions": {one.name for one in client.resolutions()},
            "statuses": [one.name for one in client.statuses()],
            "outcome": [one["name"] for one in client.fields() if one["custom"]],
            "limit": client.attachment_meta()["uploadLimit"],
        }

    found = await in_thread(jira[1], work)
    assert (found["deployment"], found["me"], found["projects"]) == ("Cloud", "tocsin@example.com", ["OPS"])
    assert {"Done", "Fixed", "Won't Do", "Duplicate", "Cannot Reproduce", "Not a bug"} <= found["resolutions"]
    assert (found["priorities"], found["statuses"]) == (5, ["To Do", "In Progress", "Done"])
    assert (found["outcome"], found["limit"]) == (["Outcome"], 10 * 2**20)


async def test_the_history_tells_people_apart_by_the_address_they_sign_in_with() -> None:
    server = SandboxJira()
    url = await server.start()
    key = await in_thread(url, created)

    def edit() -> None:
        client = JIRA(server=url, basic_auth=("dana.ruiz@example.com", "any"), max_retries=0)
        client.issue(key).update(fields={"summary": "Edited by a person"})
        client.close()

    await asyncio.to_thread(edit)
    history = await in_thread(url, lambda client: client._get_json(f"issue/{key}/changelog"))
    await server.stop()
    assert [one["author"]["displayName"] for one in history["values"]] == ["Dana Ruiz"]


async def test_a_wrong_token_is_answered_401_and_never_repeated(jira: JiraRunning) -> None:
    def work() -> tuple[int, str]:
        client = JIRA(server=jira[1], basic_auth=("tocsin@example.com", "wrong"), max_retries=0)
        try:
            with pytest.raises(JIRAError) as refused:
                client.myself()
            return refused.value.status_code, refused.value.text
        finally:
            client.close()

    status, words = await asyncio.to_thread(work)
    assert status == 401
    assert JIRA_TOKEN.partition(":")[2] not in words
