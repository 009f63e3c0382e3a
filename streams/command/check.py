"""`tocsin check`: is everything there, and what would intake say to these events?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, BinaryIO

import msgspec
import rich_click as click

from .. import policy as policies
from .. import pricefile
from .. import settings as environment
from ..pricebook import PriceError
from .start import policy_or_exit, settings_or_exit


@click.command()
@click.option("--events", type=click.File("rb"), help="NDJSON of events; - is standard input.")
@click.option(
    "--live", is_flag=True, help="Also ask Jira and Slack whether they would take each owner's pages and tickets."
)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def check(events: BinaryIO | None, *, live: bool, as_json: bool) -> None:
    """Verify settings, policy, Kafka, PostgreSQL, Jira and Slack; or, with --events, what intake would say to each.

    A line that begins with ?? is a warning: an owner whose pages wake nobody.

    With --live each owner's project, its fields and permissions, and each channel are looked at; nothing is written there.

    Exit codes: 0 all well, 1 something is missing or wrong (or an event would be rejected), 2 usage.

    Example: tocsin check --events mine.ndjson
    """
    if events and live:
        raise click.UsageError("--events looks at events, --live at Jira and Slack: one at a time")
    answers = _events(events) if events else chain(_parts(), _live() if live else ())
    well = True
    for answer in answers:
        well = well and answer["ok"]
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        else:
            mark = "NO " if not answer["ok"] else "?? " if answer.get("warning") else "ok "
            click.echo(f"{mark} {answer['what']}: {answer['says']}")
    sys.exit(0 if well else 1)


def _events(lines: BinaryIO) -> Iterator[dict[str, Any]]:
    from ..intake.check import check as checked  # noqa: PLC0415

    policy = policy_or_exit(settings_or_exit())
    rules = [(source.source, source.agents) for source in policy.sources]
    for line in checked(lines, datetime.now(UTC), rules):
        what = f"line {line.line}"
        if line.ok:
            redacted = f", replaced: {', '.join(line.redacted)}" if line.redacted else ""
            yield {"what": what, "ok": True, "says": f"{line.type} of {line.agent}, session {line.session}{redacted}"}
        else:
            right = f"\n    right would be: {line.example}" if line.example else ""
            said = f"{line.reason}: " + "; ".join(line.errors) + right
            yield {"what": what, "ok": False, "says": said, **msgspec.to_builtins(line)}


def _live() -> Iterator[dict[str, Any]]:
    from .live import live  # noqa: PLC0415

    try:
        settings = environment.load()
        yield from live(settings, policies.load(settings.policy))
    except (environment.SettingsError, policies.PolicyError):
        return  # said already


def _parts() -> Iterator[dict[str, Any]]:
    try:
        settings = environment.load()
    except environment.SettingsError as error:
        yield {"what": "settings", "ok": False, "says": str(error)}
        return
    yield {"what": "settings", "ok": True, "says": f"deployment {settings.deployment}"}
    yield _policy(settings)
    yield from _owners(settings)
    yield _prices(settings)
    yield _kafka(settings)
    yield _database(settings)
    yield _jira(settings)
    yield _slack(settings)


def _policy(settings: environment.Settings) -> dict[str, Any]:
    try:
        policy = policies.load(settings.policy)
    except policies.PolicyError as error:
        return {"what": "policy", "ok": False, "says": str(error)}
    return {"what": "policy", "ok": True, "says": f"{policy.name} {policy.digest}, {len(policy.detectors)} detectors"}


def _owners(settings: environment.Settings) -> Iterator[dict[str, Any]]:
    """Warnings: nothing is wrong, and nobody would wake up."""
    from ..respond.oncalls import Outside, asleep  # noqa: PLC0415
    from ..respond.routing import BookValues  # noqa: PLC0415

    try:
        values = msgspec.convert(policies.load(settings.policy), BookValues, from_attributes=True)
    except policies.PolicyError:
        return
    for owner, why in asleep(values, Outside(settings.pagerduty_services, settings.hooks)):
        yield {"what": f"owner {owner}", "ok": True, "warning": True, "says": why}


def _prices(settings: environment.Settings) -> dict[str, Any]:
    try:
        prices = pricefile.load(settings)
    except PriceError as error:
        return {"what": "prices", "ok": False, "says": str(error)}
    known = f"{len(prices)} models in {settings.price_book}" if prices else "no price book"
    return {"what": "prices", "ok": True, "says": f"{known}; calls that name no cost and have no price stay unpriced"}


def _kafka(settings: environment.Settings) -> dict[str, Any]:
    from ..topics import TopicMismatch, ensure  # noqa: PLC0415

    if not settings.kafka:
        return {"what": "Kafka", "ok": False, "says": "TOCSIN_KAFKA is not set; `tocsin up` brings its own"}
    try:
        made = asyncio.run(ensure(settings.kafka, settings.generation, settings.replication))
    except TopicMismatch as error:
        return {"what": "Kafka", "ok": False, "says": str(error)}
    except Exception as error:  # the client's many ways to say that nobody answers
        return {"what": "Kafka", "ok": False, "says": f"{settings.kafka} does not answer: {type(error).__name__}"}
    return {"what": "Kafka", "ok": True, "says": f"{settings.kafka}, {len(made)} topics created, the rest verified"}


def _database(settings: environment.Settings) -> dict[str, Any]:
    from ..database import migrate  # noqa: PLC0415

    if not settings.database:
        return {"what": "PostgreSQL", "ok": False, "says": "TOCSIN_DATABASE is not set; `tocsin up` brings its own"}
    try:
        migrate(settings.database)
    except Exception as error:  # never the message: it may hold the address with its password
        return {"what": "PostgreSQL", "ok": False, "says": f"does not answer or refuses: {type(error).__name__}"}
    return {"what": "PostgreSQL", "ok": True, "says": "tables are up to date"}


def _jira(settings: environment.Settings) -> dict[str, Any]:
    import requests  # noqa: PLC0415

    if not settings.jira_url:
        return {"what": "Jira", "ok": False, "says": "TOCSIN_JIRA_URL is not set: tickets stay owed"}
    token, who = settings.jira_token.reveal(), settings.jira_user or "the owner of the token"
    auth = (settings.jira_user, token) if settings.jira_user else _bearer(token)
    address = f"{settings.jira_url.rstrip('/')}/rest/api/2/myself"
    try:
        answer = requests.get(address, auth=auth, timeout=10, allow_redirects=False)
    except requests.RequestException as error:
        return {"what": "Jira", "ok": False, "says": f"{settings.jira_url} does not answer: {type(error).__name__}"}
    if 300 <= answer.status_code < 400:
        return {
            "what": "Jira",
            "ok": False,
            "says": f"{settings.jira_url} redirects; set TOCSIN_JIRA_URL to where it leads",
        }
    if answer.status_code != 200:
        return {"what": "Jira", "ok": False, "says": f"refuses the account: HTTP {answer.status_code}"}
    return {"what": "Jira", "ok": True, "says": f"{settings.jira_url} knows {who}"}


def _bearer(token: str) -> Callable[[Any], Any]:
    """A personal access token of Data Center has no user. As `auth`: what a .netrc says is not sent instead."""

    def signed(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return signed


def _slack(settings: environment.Settings) -> dict[str, Any]:
    import requests  # noqa: PLC0415

    if not settings.slack_token:
        return {"what": "Slack", "ok": False, "says": "TOCSIN_SLACK_TOKEN is not set: pages stay owed"}
    address, auth = f"{settings.slack_url.rstrip('/')}/auth.test", _bearer(settings.slack_token.reveal())
    try:
        answer = requests.post(address, auth=auth, timeout=10, allow_redirects=False).json()
    except (requests.RequestException, ValueError) as error:
        return {"what": "Slack", "ok": False, "says": f"{settings.slack_url} does not answer: {type(error).__name__}"}
    if not isinstance(answer, dict) or not answer.get("ok"):
        why = answer.get("error") if isinstance(answer, dict) else "an answer that is not Slack's"
        return {"what": "Slack", "ok": False, "says": f"refuses the token: {why}"}
    return {"what": "Slack", "ok": True, "says": f"workspace {answer.get('team')}"}
