"""`tocsin check` says whose pages wake nobody, and with --live who is on call on PagerDuty's schedules."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from streams import policy
from streams.command.live import live
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.sandbox.pagerduty.server import SCHEDULE
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret, Settings

SLEEPY = f"""
[routing]
fallback = "a"
[[owners]]
name = "a"
mention = "#incidents"
[[owners]]
name = "b"
oncall = "pagerduty:{SCHEDULE}"
[[owners.escalation]]
oncall = "pagerduty:PNOBODY"
[[owners]]
name = "c"
pagerduty = "payments"
"""


def checked(tmp_path: Path, **settings: str) -> dict[str, str]:
    (tmp_path / "policy.toml").write_text(SLEEPY)
    given = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    given |= {"TOCSIN_POLICY": str(tmp_path / "policy.toml"), "TOCSIN_DATADIR": str(tmp_path), **settings}
    command = [sys.executable, "-m", "streams", "check", "--json"]
    answer = subprocess.run(command, capture_output=True, env=given, timeout=60, check=False)
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    return {line["what"]: line["says"] for line in lines if line.get("warning")}


def test_owners_who_sleep_on_are_warned_about_with_the_reason(tmp_path: Path) -> None:
    warned = checked(tmp_path)
    assert set(warned) == {"owner a", "owner c"}
    assert "wake nobody" in warned["owner a"] and "wake nobody" in warned["owner c"]
    assert set(checked(tmp_path, TOCSIN_PAGERDUTY_KEYS="payments=a-key")) == {"owner a"}


async def test_with_live_schedules_are_asked_who_is_on_call() -> None:
    pagerduty, slack = SandboxPagerDuty(token="t"), SandboxSlack()
    there, workspace = await pagerduty.start(), await slack.start()
    settings = Settings(
        slack_url=f"{workspace}/api/", slack_token=Secret("xoxb-x"), pagerduty_api=there, pagerduty_token=Secret("t")
    )
    try:
        said = await asyncio.to_thread(lambda: list(live(settings, policy.parse(SLEEPY, "policy.toml"))))
    finally:
        await pagerduty.stop()
        await slack.stop()
    found = {one["what"]: (one["ok"], one["says"]) for one in said}
    assert found[f"on call pagerduty:{SCHEDULE}"][0]
    assert found["on call pagerduty:PNOBODY"][0] is False and "nobody" in found["on call pagerduty:PNOBODY"][1]
