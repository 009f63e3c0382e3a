"""`tocsin check` asks Jira and Slack as the carriers do: what it says of them is what will be."""

from __future__ import annotations

import asyncio

from streams.command.check import _jira, _slack
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxDataCenter
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret, Settings


async def test_a_personal_access_token_has_no_user_and_is_known() -> None:
    server = SandboxDataCenter(token="secret-of-jira")
    given = Settings(jira_url=await server.start(), jira_token=Secret("secret-of-jira"), jira_cloud=False)
    answer = await asyncio.to_thread(_jira, given)
    await server.stop()
    assert answer["ok"], answer
    assert "secret-of" not in str(answer)


async def test_a_jira_elsewhere_is_not_well_where_carriers_do_not_follow() -> None:
    server = SandboxDataCenter(token="secret-of-jira")
    url = await server.start()
    server.faults.add(
        Fault(path="/rest/api/2/myself", kind="status", code=302, headers={"Location": f"{url}/rest/api/2/serverInfo"})
    )
    answer = await asyncio.to_thread(_jira, Settings(jira_url=url, jira_token=Secret("secret-of-jira")))
    await server.stop()
    assert not answer["ok"] and "TOCSIN_JIRA_URL" in answer["says"]


async def test_slack_is_found_with_and_without_the_slash_and_an_answer_of_another_is_said_to_be_one() -> None:
    server = SandboxSlack(token="xoxb-secret-of-slack")
    url = await server.start()
    for address in (f"{url}/api", f"{url}/api/"):
        given = Settings(slack_url=address, slack_token=Secret("xoxb-secret-of-slack"))
        assert (await asyncio.to_thread(_slack, given))["ok"]
    server.faults.add(Fault(path="auth.test", kind="status", code=200, body="[]"))
    answer = await asyncio.to_thread(_slack, given)
    await server.stop()
    assert not answer["ok"] and "not Slack's" in answer["says"]
