"""What is wrong with a Jira is said before an incident needs it, in words, and nothing is written to find out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from respond.outside import CANARY

from streams.respond.receivers.jira_preflight import PERMISSIONS, Found, preflight
from streams.respond.receivers.jira_wire import Wire
from streams.sandbox.jira import SandboxJira
from streams.settings import Secret

Site = tuple[SandboxJira, str, bool]


@pytest.fixture
async def wire(site: Site) -> AsyncIterator[Wire]:
    _, url, cloud = site
    found = Wire(url, "tocsin@example.com", Secret(CANARY), cloud=cloud, timeout_s=2.0)
    yield found
    await found.close()


async def wrong(
    wire: Wire, *, kind: str = "Task", more: dict[str, Any] | None = None, priorities: tuple[str, ...] = ()
) -> list[str]:
    found = await preflight(wire, "OPS", kind, more or {}, priorities=priorities)
    assert all(isinstance(one, Found) and one.says for one in found)
    return [one.says for one in found if not one.ok]


async def test_a_jira_that_takes_tickets_has_nothing_to_complain_about(site: Site, wire: Wire) -> None:
    assert await wrong(wire, priorities=("High", "Low")) == []
    assert {call.method for call in site[0].serving.calls} == {"GET"}


async def test_wrong_credentials_end_the_look(site: Site, wire: Wire) -> None:
    site[0].desk._token = "another"
    (says,) = await wrong(wire)
    assert "does not let us in" in says and "401" in says and CANARY not in says


async def test_a_project_that_is_not_seen(site: Site, wire: Wire) -> None:
    site[0].rules.revoke("OPS", "BROWSE_PROJECTS")
    (says,) = await wrong(wire)
    assert says.startswith("project OPS is not there, or may not be seen: 404")


async def test_an_issue_type_that_is_not_there_names_those_that_are(wire: Wire) -> None:
    (says,) = await wrong(wire, kind="Outage")
    assert says == "project OPS has no issue type Outage; it has Bug, Incident, Task"


async def test_a_required_field_that_we_do_not_send_is_named_in_words(site: Site, wire: Wire) -> None:
    site[0].rules.required.add("customfield_10100")
    (says,) = await wrong(wire)
    assert says.startswith("Outcome (customfield_10100) is required, and we do not send it")
    assert await wrong(wire, more={"customfield_10100": {"value": "fixed"}}) == []


async def test_labels_and_further_fields_have_to_be_on_the_create_screen(site: Site, wire: Wire) -> None:
    site[0].rules.off_screen.add("labels")
    says = await wrong(wire, more={"components": [{"name": "x"}]})
    assert [one.partition(" ")[0] for one in says] == ["labels", "components"]


async def test_a_priority_that_does_not_exist_names_those_that_do(wire: Wire) -> None:
    (says,) = await wrong(wire, priorities=("High", "P1"))
    assert says == "there is no priority P1; there is Highest, High, Medium, Low, Lowest"


@pytest.mark.parametrize("permission", sorted(set(PERMISSIONS) - {"BROWSE_PROJECTS"}))
async def test_each_permission_that_is_missing_says_what_for(site: Site, wire: Wire, permission: str) -> None:
    site[0].rules.revoke("OPS", permission)
    (says,) = await wrong(wire)
    assert says == f"{permission} is missing: we cannot {PERMISSIONS[permission]}"


async def test_attachments_that_are_off_or_small(site: Site, wire: Wire) -> None:
    site[0].rules.upload_limit = 1000
    assert await wrong(wire) == ["at most 1000 bytes each: evidence will often be shortened"]
    site[0].rules.attachments = False
    assert await wrong(wire) == ["are switched off: evidence is on the incident's page alone"]


async def test_the_wrong_sort_of_jira_is_told(jira: tuple[SandboxJira, str]) -> None:
    wire = Wire(jira[1], "tocsin@example.com", Secret(CANARY), cloud=False, timeout_s=2.0)
    (says,) = await wrong(wire)
    await wire.close()
    assert says == "this is a Cloud: set TOCSIN_JIRA_CLOUD to true"


async def test_a_jira_that_is_away(site: Site) -> None:
    wire = Wire("http://127.0.0.1:9", "x", Secret(CANARY), timeout_s=1.0)
    (says,) = await wrong(wire)
    await wire.close()
    assert "no connection" in says
