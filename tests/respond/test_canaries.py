"""No credential is ever shown: not by settings, mistakes in them, errors of the outside, pages, logs or metrics.

The faults of every receiver with their credentials in logs, answers and metrics are in `test_receiver_suite`. A new
credential is a setting of type `Secret`: then it is part of all of this by itself.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from web.serving import living

from streams import policy, settings
from streams.settings import Secret, Settings, SettingsError
from streams.web.app import create

CANARY = "canary7c41f0e5nevershown"
SIGNING = "whsec_" + base64.b64encode(CANARY.encode()).decode()
NOWHERE = "127.0.0.1:9"
DATABASE = f"postgresql://tocsin:{CANARY}@{NOWHERE}/tocsin"
FORMS = {
    "slack_token": f"xoxb-{CANARY}",
    "slack_app_token": f"xapp-{CANARY}",
    "pagerduty_keys": f"platform={CANARY}",
    "webhooks": f"pager=http://{NOWHERE}/hooks/{CANARY}",
    "webhook_secrets": f"pager={SIGNING}",
    "heartbeat_url": f"http://{NOWHERE}/beat/{CANARY}",
}
CREDENTIALS = [name for name in Settings.__struct_fields__ if isinstance(getattr(Settings(), name), Secret)]
HIDDEN = (CANARY, SIGNING.removeprefix("whsec_"), base64.b64encode(f"tocsin:{CANARY}".encode()).decode())


def environ(**given: str) -> dict[str, str]:
    known = {f"TOCSIN_{name.upper()}": FORMS.get(name, CANARY) for name in CREDENTIALS}
    places = {"JIRA_URL": f"http://{NOWHERE}", "SLACK_URL": f"http://{NOWHERE}/api/", "JIRA_USER": "tocsin"}
    places |= {"DATABASE": DATABASE, "KAFKA": NOWHERE, "CALL_TIMEOUT_S": "1"}
    return {**known, **{f"TOCSIN_{name}": value for name, value in places.items()}, **given}


def assert_hidden(text: str) -> None:
    for canary in HIDDEN:
        assert canary not in text


def test_every_credential_is_covered() -> None:
    assert {"jira_token", "slack_token", "slack_signing_secret", "token", *FORMS} <= set(CREDENTIALS)
    found = settings.load(environ())
    assert all(
        CANARY in getattr(found, name).reveal() or "whsec_" in getattr(found, name).reveal() for name in CREDENTIALS
    )


def test_settings_do_not_show_them() -> None:
    found = settings.load(environ())
    assert_hidden(repr(found) + str(found) + f"{found!r:s}")
    assert_hidden(repr(found.hooks) + repr(found.pagerduty_services))
    for name in CREDENTIALS:
        assert_hidden(f"{getattr(found, name)} {getattr(found, name)!r}")


@pytest.mark.parametrize("name", CREDENTIALS)
def test_mistakes_in_settings_do_not_quote_them(name: str) -> None:
    for wrong in (f"{CANARY}={CANARY}=,{CANARY}", f"x={CANARY},x={CANARY}", f"http://u:{CANARY}@x/", f"\x00{CANARY}"):
        try:
            repr(settings.load(environ(**{f"TOCSIN_{name.upper()}": wrong})))
        except SettingsError as error:
            assert_hidden(str(error).replace(f"`{CANARY}`", ""))  # what stands before the = is a name


@pytest.mark.parametrize(
    "database",
    [DATABASE, f"postgresql://tocsin:{CANARY}@{CANARY}@{NOWHERE}/x", f"postgresql://tocsin:{CANARY}/{CANARY}@{NOWHERE}/x",
     f"postgresql://tocsin:{CANARY}@{NOWHERE}/x?{CANARY}", f"postgresql://tocsin:{CANARY}#{CANARY}@{NOWHERE}/x", f"host=127.0.0.1 port=9 password={CANARY} x"],
    ids=["unreachable", "at sign", "slash", "parameter", "hash", "words"],
)  # fmt: skip
@pytest.mark.parametrize("command", ["check", "run respond", "run web"])
def test_commands_that_reach_no_database_do_not_say_them(
    command: str, database: str, kafka: str, tmp_path: Path
) -> None:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    given |= environ(TOCSIN_DATABASE=database, TOCSIN_DATADIR=str(tmp_path), TOCSIN_KAFKA=kafka)
    run = [sys.executable, "-X", "dev", "-m", "streams", *command.split()]
    try:
        done = subprocess.run(
            run, capture_output=True, env=given, timeout=8, cwd=Path(__file__).parents[2], check=False
        )
        said = done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:  # a role that waits for its parts
        said = (late.stdout or b"") + (late.stderr or b"")
    shown = said.decode(errors="replace")
    assert_hidden(shown)


async def test_pages_and_metrics_of_a_site_without_a_database_do_not_show_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = CollectorRegistry()
    app: Any = create(settings.load(environ()), policy.load(), registry)
    async with living(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        for path in ("/", "/health", "/gates", "/incidents/x", "/v1/incidents", "/schema/openapi.json", "/nowhere"):
            answer = await client.get(path)
            assert_hidden(answer.text + str(answer.headers))
    assert_hidden(caplog.text + generate_latest(registry).decode())
