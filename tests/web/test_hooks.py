"""Buttons and Jira's webhook over HTTP: only what is signed, fresh and new is heard; everything else is 401 and counted."""

import hashlib
import hmac
import json
import logging
import time

import pytest
from learn.booking import sighted
from prometheus_client import CollectorRegistry
from web.serving import serving

from streams.database import migrate
from streams.respond.hearing import signatures
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.interaction import encoded
from streams.settings import Secret

SLACK_SECRET = "canary-of-the-signing-secret"
JIRA_SECRET = "canary-of-the-webhook-secret"
PRESS, WEBHOOK = "/v1/slack/interactions", "/v1/jira/webhook"
TEAM, CHANNEL = "T0SANDBOX1", "C0INCIDENT"
SECRETS = {"slack_signing_secret": Secret(SLACK_SECRET), "jira_webhook_secret": Secret(JIRA_SECRET)}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
async def site(database, registry):
    migrate(database)
    async with serving(database, registry=registry, slack_team=TEAM, **SECRETS) as running:
        yield running


def pressed(incident, action="acknowledge", at="1.000001", user="ada", **more):
    return {
        "type": "block_actions",
        "user": {"id": f"U0{user.upper()}", "username": user, "team_id": TEAM},
        "team": {"id": TEAM},
        "channel": {"id": CHANNEL},
        "container": {"message_ts": "1.0", "channel_id": CHANNEL},
        "actions": [
            {"type": "button", "action_id": f"tocsin:{action}", "block_id": f"tocsin:{incident}", "value": incident,
             "action_ts": at, **more}
        ],
    }  # fmt: skip


def signed(body, *, secret=SLACK_SECRET, late_s=0, stamp=None):
    stamp = str(int(time.time()) - late_s) if stamp is None else stamp
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }


async def paged(site):
    incident = await site.book()
    await site.conn.execute(
        "INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body, state, reference)"
        " VALUES (%s, %s, 'page', 1, 'slack', 'slack:incidents', '{}', 'done', %s)",
        [f"{incident.id}:page:1", incident.id, f"{CHANNEL}/1.0"],
    )
    return incident.id


def counted(registry, source, result):
    return registry.get_sample_value("tocsin_heard_total", {"source": source, "result": result}) or 0


async def inbox(site):
    return [record for (record,) in await site.rows("SELECT record FROM inbox ORDER BY id")]


async def test_a_press_is_heard_and_told_to_the_book(site, registry):
    body = encoded(pressed(await paged(site)))
    answer = await site.client.post(PRESS, content=body, headers=signed(body))
    assert (answer.status_code, answer.text) == (200, "")
    (record,) = await inbox(site)
    assert (record["record"], record["actor"], record["source"]) == ("acknowledgement", "ada", "slack")
    assert counted(registry, "slack_http", "heard") == 1


async def test_the_sandbox_signs_as_slack_does(site):
    slack = SandboxSlack()
    slack.interaction.secret = SLACK_SECRET
    body = encoded(pressed(await paged(site)))
    assert (await site.client.post(PRESS, content=body, headers=slack.interaction.signed(body))).status_code == 200


FORGED = {
    "no signature": lambda body: {**signed(body), "X-Slack-Signature": ""},
    "no stamp": lambda body: {**signed(body), "X-Slack-Request-Timestamp": ""},
    "another secret": lambda body: signed(body, secret="guessed"),
    "of another body": lambda body: signed(body + b" "),
    "a stamp that is no number": lambda body: signed(body, stamp="yesterday"),
    "a stamp without end": lambda body: signed(body, stamp="inf"),
    "a stamp of 5,000 digits": lambda body: signed(body, stamp="9" * 5000),
    "a signature of strange letters": lambda body: {**signed(body), "X-Slack-Signature": "v0=\xe9\xe9"},
    "half a signature": lambda body: {**signed(body), "X-Slack-Signature": signed(body)["X-Slack-Signature"][:30]},
    "another version": lambda body: {**signed(body), "X-Slack-Signature": "v1" + signed(body)["X-Slack-Signature"][2:]},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
async def test_a_forged_press_is_refused_and_counted(site, registry, headers):
    body = encoded(pressed(await paged(site)))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers(body).items()]
    answer = await site.client.post(PRESS, content=body, headers=raw)
    assert answer.status_code == 401 and answer.json()["detail"]
    assert counted(registry, "slack_http", "forged") == 1
    assert not await inbox(site)


async def test_a_press_that_is_no_text_is_refused_as_forged(site, registry):
    """The SDK signs text: it has no signature for this, and raises."""
    body = b"payload=\xff\xfe"
    assert (await site.client.post(PRESS, content=body, headers=signed(body))).status_code == 401
    assert counted(registry, "slack_http", "forged") == 1


@pytest.mark.parametrize("late_s", [301, 86_400, -301])
async def test_a_stale_press_is_refused_and_counted(site, registry, late_s):
    body = encoded(pressed(await paged(site)))
    answer = await site.client.post(PRESS, content=body, headers=signed(body, late_s=late_s))
    assert answer.status_code == 401
    assert counted(registry, "slack_http", "stale") == 1
    assert not await inbox(site)


async def test_a_replayed_press_is_refused_also_by_another_replica(site, registry, database):
    body = encoded(pressed(await paged(site)))
    headers = signed(body)
    assert (await site.client.post(PRESS, content=body, headers=headers)).status_code == 200
    assert (await site.client.post(PRESS, content=body, headers=headers)).status_code == 401
    assert counted(registry, "slack_http", "replayed") == 1
    async with serving(database, slack_team=TEAM, **SECRETS) as other:
        assert (await other.client.post(PRESS, content=body, headers=headers)).status_code == 401
    assert len(await inbox(site)) == 1


async def test_the_same_press_signed_anew_is_the_same_press(site, registry):
    body = encoded(pressed(await paged(site)))
    for late_s in (0, 1):
        assert (await site.client.post(PRESS, content=body, headers=signed(body, late_s=late_s))).status_code == 200
    assert counted(registry, "slack_http", "again") == 1
    assert len(await inbox(site)) == 1


GARBAGE = {
    "nothing": b"",
    "no form": b"\x00\x01",
    "no payload": b"a=1",
    "no JSON": b"payload=%7B",
    "not an object": encoded([]),
    "another kind": encoded({"type": "view_submission"}),
    "no actions": encoded({"type": "block_actions"}),
    "half an action": encoded({"type": "block_actions", "actions": [{"action_id": "tocsin:fixed"}]}),
    "deep": b"payload=" + b"%5B" * 20_000,
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_that_is_well_signed_is_refused_and_counted(site, registry, body):
    answer = await site.client.post(PRESS, content=body, headers=signed(body))
    assert answer.status_code == 400, answer.text
    assert counted(registry, "slack_http", "garbage") == 1
    assert not await inbox(site)


async def test_what_is_too_large_is_not_read(site):
    body = b"payload=" + b"x" * 600_000
    assert (await site.client.post(PRESS, content=body, headers=signed(body))).status_code == 413


@pytest.mark.parametrize(("changed", "result"), [
    ({"user": {"id": "U0EVE", "username": "eve", "team_id": "T0OTHER"}}, "stranger"),
    ({"channel": {"id": "C0ELSEWHERE"}}, "elsewhere"),
])  # fmt: skip
async def test_a_stranger_and_another_channel_change_nothing(site, registry, changed, result):
    body = encoded({**pressed(await paged(site)), **changed})
    assert (await site.client.post(PRESS, content=body, headers=signed(body))).status_code == 200
    assert counted(registry, "slack_http", result) == 1
    assert not await inbox(site)


async def test_an_unknown_incident_and_an_unknown_action_change_nothing(site, registry):
    known = await paged(site)
    for payload, result in ((pressed(sighted(9).id), "unknown"), (pressed(known, "delete_everything"), "garbage")):
        body = encoded(payload)
        assert (await site.client.post(PRESS, content=body, headers=signed(body))).status_code == 200
        assert counted(registry, "slack_http", result) == 1
    assert not await inbox(site)


async def test_without_a_secret_the_endpoints_say_how_they_are_switched_on(database):
    migrate(database)
    async with serving(database) as site:
        for path, setting in ((PRESS, "TOCSIN_SLACK_SIGNING_SECRET"), (WEBHOOK, "TOCSIN_JIRA_WEBHOOK_SECRET")):
            answer = await site.client.post(path, content=b"x")
            assert answer.status_code == 403 and setting in answer.json()["detail"]


async def test_no_secret_and_no_signature_reach_the_log(site, caplog):
    caplog.set_level(logging.DEBUG)
    body = encoded(pressed(await paged(site)))
    for headers in (signed(body), signed(body, secret="guessed")):
        await site.client.post(PRESS, content=body, headers=headers)
        assert headers["X-Slack-Signature"] not in caplog.text
    assert SLACK_SECRET not in caplog.text


def told(key="OPS-7", late_s=0, **more):
    return json.dumps({"timestamp": int((time.time() - late_s) * 1000), "webhookEvent": "jira:issue_updated",
                       "issue": {"id": "10007", "key": key}, **more}).encode()  # fmt: skip


def hubbed(body, *, method="sha256", secret=JIRA_SECRET, identifier="w1"):
    digest = hmac.new(secret.encode(), body, getattr(hashlib, method)).hexdigest()
    return {"X-Hub-Signature": f"{method}={digest}", "X-Atlassian-Webhook-Identifier": identifier}


@pytest.mark.parametrize("stamp", [10**400, -(10**400), 0, "1", None, float("nan"), float("inf")])
def test_a_moment_beyond_every_calendar_is_stale(stamp):
    with pytest.raises(signatures.Rejected, match="stale"):
        signatures.fresh(stamp, time.time())


async def test_what_was_heard_long_ago_is_forgotten_also_where_nobody_presses_a_button(site):
    await site.conn.execute("INSERT INTO heard VALUES ('jira_webhook', 'old', now() - interval '3 days')")
    body = told()
    assert (await site.client.post(WEBHOOK, content=body, headers=hubbed(body))).status_code == 200
    assert await site.rows("SELECT source FROM heard ORDER BY 1") == [("jira_signature",), ("jira_webhook",)]
    assert not await site.rows("SELECT 1 FROM heard WHERE key = 'old'")


def test_the_vendors_own_example_of_a_signature_is_ours():
    header = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    assert signatures.jira(Secret("It's a Secret to Everybody"), header, b"Hello World!") == header


@pytest.mark.parametrize("method", ["sha256", "sha384", "sha512"])
async def test_jira_hints_at_a_ticket_by_the_method_it_names(site, registry, method):
    body = told()
    answer = await site.client.post(WEBHOOK, content=body, headers=hubbed(body, method=method))
    assert answer.status_code == 200
    assert await site.rows("SELECT ticket FROM hinted ORDER BY 1") == [("10007",), ("OPS-7",)]
    assert counted(registry, "jira", "heard") == 1
    assert not await inbox(site)


JIRA_FORGED = {
    "no header": lambda _: {},
    "another secret": lambda body: hubbed(body, secret="guessed"),
    "of another body": lambda body: hubbed(body + b" "),
    "a method that is broken": lambda body: hubbed(body, method="sha1"),
    "no method": lambda body: {"X-Hub-Signature": hubbed(body)["X-Hub-Signature"].partition("=")[2]},
    "an unknown method": lambda _: {"X-Hub-Signature": "new=1"},
}


@pytest.mark.parametrize("headers", JIRA_FORGED.values(), ids=JIRA_FORGED)
async def test_a_forged_hint_is_refused_and_counted(site, registry, headers):
    body = told()
    assert (await site.client.post(WEBHOOK, content=body, headers=headers(body))).status_code == 401
    assert counted(registry, "jira", "forged") == 1
    assert not await site.rows("SELECT 1 FROM hinted")


async def test_a_stale_or_replayed_hint_is_refused_and_counted(site, registry):
    old, new = told(late_s=7200), told()
    assert (await site.client.post(WEBHOOK, content=old, headers=hubbed(old))).status_code == 401
    assert counted(registry, "jira", "stale") == 1
    assert (await site.client.post(WEBHOOK, content=new, headers=hubbed(new))).status_code == 200
    for identifier in ("w1", "w2"):  # Jira tells again under the same name; nobody else may under another
        headers = hubbed(new, identifier=identifier)
        assert (await site.client.post(WEBHOOK, content=new, headers=headers)).status_code == 401
    assert counted(registry, "jira", "replayed") == 2


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"1"])
async def test_a_hint_that_is_no_event_is_refused_and_counted(site, registry, body):
    assert (await site.client.post(WEBHOOK, content=body, headers=hubbed(body))).status_code == 400
    assert counted(registry, "jira", "garbage") == 1


async def test_an_event_about_no_ticket_is_taken_and_hints_at_nothing(site):
    for number, ticket in enumerate((None, [], {"id": 7, "key": ["x"]}, {"id": "\0", "key": "x" * 1000})):
        body = told(issue=ticket)
        headers = hubbed(body, identifier=f"n{number}")
        assert (await site.client.post(WEBHOOK, content=body, headers=headers)).status_code == 200
    assert not await site.rows("SELECT 1 FROM hinted")
