"""`tocsin check --live`: what the real Jira and Slack would not take, owner by owner, before anybody needs it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number

POLICY = f"""
[[rotas]]
name = "shop"
people = ["{number("U", "ada@example.com")}"]
begins = "2026-01-05T09:00:00+01:00"

[routing]
channel = "{number("C", "incidents")}"

[[owners]]
name = "payments"
mention = "{number("S", "oncall")}"
project = "PAY"
channel = "{number("C", "payments")}"

[[owners]]
name = "platform"
mention = "{number("S", "oncall")}"
"""


async def tocsin(*arguments: str, **settings: str) -> tuple[int, bytes, bytes]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams", *arguments, env={**known, **settings},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out, err


@pytest.fixture
async def jira() -> AsyncIterator[tuple[SandboxJira, str]]:
    server = SandboxJira(projects=("OPS", "PAY"), token="secret-of-jira")
    yield server, await server.start()
    await server.stop()


@pytest.fixture
async def slack() -> AsyncIterator[tuple[SandboxSlack, str]]:
    server = SandboxSlack(channels=("incidents", "payments"), token="xoxb-secret-of-slack")
    yield server, await server.start()
    await server.stop()


@pytest.fixture
def settings(kafka: str, database: str, jira: Any, slack: Any, tmp_path: Path) -> dict[str, str]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    return {
        "TOCSIN_KAFKA": kafka, "TOCSIN_DATABASE": database, "TOCSIN_POLICY": str(policy),
        "TOCSIN_JIRA_URL": jira[1], "TOCSIN_JIRA_USER": "tocsin@example.com", "TOCSIN_JIRA_TOKEN": "secret-of-jira",
        "TOCSIN_SLACK_URL": f"{slack[1]}/api/", "TOCSIN_SLACK_TOKEN": "xoxb-secret-of-slack",
    }  # fmt: skip


async def test_all_well_is_said_for_each_owner_and_nothing_is_written(
    settings: dict[str, str], jira: Any, slack: Any
) -> None:
    code, out, err = await tocsin("check", "--live", **settings)
    assert code == 0, (out, err)
    lines = out.decode().splitlines()
    assert any("Jira PAY, Task, for payments: " in line for line in lines)
    assert any("Jira OPS, Task, for platform: " in line for line in lines)
    assert {call.method for call in jira[0].serving.calls} == {"GET"}
    assert any("Slack channel" in line and "for payments" in line and "we are in it" in line for line in lines)
    assert any("Slack mention" in line and "for rota shop" in line for line in lines)
    assert not any("chat." in call.path for call in slack[0].serving.calls)


async def test_what_is_missing_is_said_in_words_and_the_exit_code_is_1(settings: dict[str, str], jira: Any) -> None:
    jira[0].rules.revoke("PAY", "CREATE_ISSUES")
    jira[0].rules.required.add("customfield_10100")
    code, out, err = await tocsin("check", "--live", "--json", **settings)
    assert code == 1, err
    answers = [msgspec.json.decode(line) for line in out.splitlines()]
    wrong = [(one["what"], one["says"]) for one in answers if not one["ok"]]
    assert any("for payments" in what and "open tickets" in says for what, says in wrong)
    assert any("for platform" in what and "customfield_10100" in says for what, says in wrong)
    assert b"secret-of" not in out + err


async def test_a_channel_that_we_are_not_in_is_said_with_its_owner(settings: dict[str, str], slack: Any) -> None:
    slack[0].workspace.channel("payments").is_member = False
    code, out, err = await tocsin("check", "--live", **settings, TOCSIN_SLACK_APP_TOKEN="xapp-secret-of-slack")
    assert code == 1, err
    wrong = [line for line in out.decode().splitlines() if line.startswith("NO")]
    assert len(wrong) == 1 and "for payments" in wrong[0] and "invite" in wrong[0]
    assert b"secret-of" not in out + err


async def test_without_live_jira_is_asked_for_the_account_alone(settings: dict[str, str], jira: Any) -> None:
    code, out, _ = await tocsin("check", **settings)
    assert code == 0
    assert b"for payments" not in out
    assert len(jira[0].serving.calls) == 1


async def test_live_and_events_at_once_is_a_mistake() -> None:
    code, _, err = await tocsin("check", "--live", "--events", "-")
    assert code == 2
    assert b"one at a time" in err
