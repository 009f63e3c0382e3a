"""What GitHub hears of a gate: one answer for each deployment, notes on change alone, a check that follows the state."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from delivery.gated import ALLOWED, BLOCKED, TICKET, UNKNOWN, decision
from delivery.hub import LONG_AGO, REPOSITORY, SHA, TARGET, TOKEN, hook, hub
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.database import migrate
from streams.learn.gates.inputs import Index
from streams.learn.gates.rules import decide
from streams.learn.gates.standing import Standing
from streams.learn.gates.values import gate_values
from streams.learn.github import outgoing
from streams.learn.github.callbacks import TEXT_MAX, callback, text
from streams.learn.github.calling import counter
from streams.records import Reason, Told
from streams.sandbox.faults import Fault
from streams.sandbox.github import SandboxGitHub
from streams.settings import Secret, Settings
from streams.web.github import keep

RULE = "/repos/*/*/actions/runs/*/deployment_protection_rule"
CHECKS = "/repos/*/*/check-runs"


@pytest.fixture
async def there(database):
    migrate(database)
    async with hub(database, SandboxGitHub(token=TOKEN)) as found:
        yield found


async def waiting(there):
    run = there.github.deploy(REPOSITORY, TARGET, SHA)
    await there.keep(hook(run=run.id))
    return run


@pytest.mark.parametrize(("state", "meaning"), [("allow", "approved"), ("warn", "approved"), ("block", "rejected")])
async def test_a_deployment_is_answered_once_and_with_the_reason(there, state, meaning):
    run = await waiting(there)
    for _ in range(3):
        await there.turn(state)
    assert (run.state, there.said(run)) == (meaning, [meaning])
    assert "Said in one sentence" in run.reviews[0].comment and "decisions/d" in run.reviews[0].comment
    assert await there.row("ended_at") is not None
    assert (await there.row())["decision"] == "d-1"
    rows = await (await there.conn.execute("SELECT id FROM decisions")).fetchall()
    assert rows == [("d-1",)]


async def test_a_hold_is_silence_but_for_a_note_when_its_reasons_change(there):
    run = await waiting(there)
    for _ in range(5):
        await there.turn("hold")
    assert there.said(run) == ["note"] and run.state == "waiting"
    await there.turn("hold", reasons=(Reason("freeze", "hold", "freeze"),))
    await there.turn("hold", reasons=(Reason("freeze", "hold", "freeze"), Reason("inputs_stale", "hold", "trust")))
    assert there.said(run) == ["note", "note"]
    await there.turn("allow")
    assert there.said(run) == ["note", "note", "approved"]


async def test_there_are_at_most_ten_notes_and_then_still_an_answer(there):
    run = await waiting(there)
    for number in range(25):
        await there.turn("hold", reasons=(Reason(f"why_{number}", "hold", "rule"),))
    assert there.said(run) == ["note"] * 10
    await there.turn("block")
    assert run.state == "rejected"


LOST = {
    "cut off before": Fault(path=RULE, method="POST", kind="reset", when="before"),
    "cut off after": Fault(path=RULE, method="POST", kind="reset", when="after"),
    "500 before": Fault(path=RULE, method="POST", kind="status", code=500, when="before"),
    "502 after": Fault(path=RULE, method="POST", kind="status", code=502, when="after"),
    "a login page after": Fault(path=RULE, method="POST", kind="wrong_content_type", when="after"),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_an_answer_that_is_lost_is_asked_about_and_said_once(there, fault):
    run = await waiting(there)
    there.github.faults.add(
        Fault(**{name: getattr(fault, name) for name in ("path", "method", "kind", "when", "code")})
    )
    for _ in range(4):
        await there.turn("allow")
    assert there.said(run) == ["approved"]
    assert await there.row("ended_at") is not None


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_note_that_is_lost_is_not_said_again(there, when):
    run = await waiting(there)
    there.github.faults.add(Fault(path=RULE, method="POST", kind="reset", when=when))
    for _ in range(4):
        await there.turn("hold")
    assert there.said(run) == (["note"] if when == "after" else [])
    assert (await there.row())["notes"] == 1


class Died(BaseException):
    """A process that is killed runs nothing more."""


@pytest.mark.parametrize("step", ["hook:intended", "hook:said", "hook:written"])
@pytest.mark.parametrize("state", ["allow", "block"])
async def test_whoever_dies_leaves_one_answer(database, step, state):
    migrate(database)
    dying = [step]

    def reached(at):
        if dying and at == dying[0]:
            dying.clear()
            raise Died

    async with hub(database, SandboxGitHub(token=TOKEN), reached=reached) as there:
        run = await waiting(there)
        with pytest.raises(Died):
            await there.turn(state)
        for _ in range(3):
            await there.turn(state)
        assert there.said(run) == [{"allow": "approved", "block": "rejected"}[state]]
        assert await there.row("ended_at") is not None


async def test_a_decision_that_changes_while_an_answer_is_lost_is_not_contradicted(there):
    run = await waiting(there)
    there.github.faults.add(Fault(path=RULE, method="POST", kind="reset", when="after"))
    await there.turn("allow")
    await there.turn("block")
    assert (run.state, there.said(run)) == ("approved", ["approved"])
    assert (await there.row())["state"] == "allow"


async def test_github_that_is_away_or_asks_for_patience_is_asked_again(there):
    run = await waiting(there)
    there.github.faults.add(Fault(path=RULE, method="POST", kind="status", code=429, headers={"Retry-After": "7"},
                                  when="before"))  # fmt: skip
    await there.turn("allow")
    next_at = await there.row("next_at")
    assert timedelta(seconds=5) < next_at - datetime.now(UTC) < timedelta(seconds=8)
    assert await there.row("doing") is None
    await there.turn("allow")
    assert run.state == "approved"


async def test_a_token_that_is_refused_says_so_and_nothing_of_itself(database, caplog):
    migrate(database)
    async with hub(database, SandboxGitHub(token="another"), token="canary-wrong") as there:
        await waiting(there)
        await there.turn("allow")
        assert "401" in await there.row("why") and "canary" not in caplog.text + await there.row("why")


async def test_an_administrator_who_goes_past_the_gate_is_noted_once(there):
    run = await waiting(there)
    await there.turn("hold")
    await there.turn("hold")
    assert await there.row("ended_at") is None
    there.github.book.overrule(run, "bypassed", "grace")
    await there.later()
    for _ in range(3):
        await there.turn("hold")
    ((body,),) = await (await there.conn.execute("SELECT body FROM bypasses")).fetchall()
    assert (body["actor"], body["how"], body["state"]) == ("github:grace", "promoted", "hold")
    assert await there.row("ended_at") is not None and "grace" in await there.row("why")
    ((told,),) = await (await there.conn.execute("SELECT record->>'record' FROM learn_inbox")).fetchall()
    assert told == "bypass.observed"  # whose detector finds it


@pytest.mark.parametrize(("state", "bypasses"), [("block", 1), ("allow", 0)])
async def test_a_bypass_before_the_answer_counts_only_against_the_gate(there, state, bypasses):
    run = await waiting(there)
    there.github.book.overrule(run, "bypassed", "grace")
    await there.turn(state)
    assert len(await (await there.conn.execute("SELECT 1 FROM bypasses")).fetchall()) == bypasses
    assert await there.row("ended_at") is not None


async def test_a_run_that_was_cancelled_is_forgotten_and_is_no_bypass(there):
    run = await waiting(there)
    await there.turn("hold")
    await there.turn("hold")
    there.github.book.overrule(run, "cancelled", "ada")
    await there.later()
    await there.turn("hold")
    assert await there.row("ended_at") is not None
    assert not await (await there.conn.execute("SELECT 1 FROM bypasses")).fetchall()


async def test_nobody_waits_for_ever(there):
    run = there.github.deploy(REPOSITORY, TARGET, SHA)
    await there.keep(hook(run=run.id, at=datetime.now(UTC) - LONG_AGO))
    await there.turn("hold")
    await there.turn("hold")
    assert await there.row("ended_at") is not None


SHOWN = {
    "allow": ("completed", "success"),
    "warn": ("completed", "neutral"),
    "hold": ("in_progress", None),
    "block": ("completed", "failure"),
}


async def test_a_check_run_follows_the_state(there):
    await there.keep(hook("check"))
    for state in ("hold", "hold", "block", "allow", "warn", "warn", "hold"):
        await there.turn(state)
        (check,) = there.github.book.checks.values()
        assert (check.status, check.conclusion) == SHOWN[state]
    assert check.external_id == (await there.row(kind="check"))["decision"]
    assert check.details_url.startswith("http://localhost:8080/v1/decisions/")
    assert check.name == "Tocsin: promotion of support-bot in prod" and check.head_sha == SHA
    calls = [one.method for one in there.github.serving.calls]
    assert (calls.count("POST"), calls.count("PATCH")) == (1, 4)


async def test_a_hold_that_lasts_asks_for_a_person(there):
    await there.keep(hook("check", at=datetime.now(UTC) - timedelta(hours=2), wait_s=3600))
    for _ in range(3):
        await there.turn("hold")
    assert [(one.status, one.conclusion) for one in there.github.book.checks.values()] == [
        ("completed", "action_required")
    ]
    await there.turn("allow")
    assert [one.conclusion for one in there.github.book.checks.values()] == ["success"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset", "truncated", "wrong_content_type"])
async def test_a_check_run_whose_creation_was_lost_is_found_again_and_made_once(there, when, kind):
    await there.keep(hook("check"))
    there.github.faults.add(Fault(path=CHECKS, method="POST", kind=kind, when=when))
    for _ in range(3):
        await there.turn("hold")
    assert len(there.github.book.checks) == 1
    await there.turn("block")
    (check,) = there.github.book.checks.values()
    assert check.conclusion == "failure"


async def test_of_many_that_wait_all_are_answered(there):
    runs = [there.github.deploy(REPOSITORY, TARGET, SHA) for _ in range(230)]
    for run in runs:
        await there.keep(hook(run=run.id))
    async with asyncio.timeout(60):
        while any(run.state == "waiting" for run in runs):
            await there.turn("allow")


NASTY = "@everyone <b>x</b> [a](http://evil.example) `code` #1 **y** ::error::"


@pytest.mark.parametrize("length", [1, 200, 5000])
def test_no_comment_is_too_long_and_no_title_is_markup(length):
    reasons = tuple(Reason("incident_open", "block", "incident", {"title": NASTY * length}) for _ in range(8))
    found = text(decision("block", summary=NASTY * length, reasons=reasons))
    assert len(found) <= TEXT_MAX
    for bad in ("@everyone", "<b>", "](http", "`code`", "#1", " **y**"):
        assert bad not in found
    assert "https://jira.example/browse/OPS-1" in found


def test_a_check_says_nothing_while_nothing_changed():
    one, now = hook("check"), datetime.now(UTC)
    said = callback(one, Told(), decision("hold"), now)
    assert callback(one, said.told, decision("hold"), now) is None


async def test_from_the_webhook_to_the_approval_by_the_gate_itself(site):
    """The web role writes down who asks; learn looks at its gates, and says what they answer."""
    github = SandboxGitHub(token=TOKEN)
    address = await github.start()
    settings = Settings(github_url=address, github_token=Secret(TOKEN), github_webhook_secret=Secret("s"))
    values = gate_values(policies.load().gates, "default", "sha256:0", "http://localhost:8080", {})
    standing = Standing(values, (Index, decide), "tocsin.gates", CollectorRegistry())
    outside = outgoing.github(settings)
    calling = outgoing.calling(outside, settings, values, standing, counter(CollectorRegistry()))
    runs = {release: github.deploy(REPOSITORY, TARGET, SHA, release) for release in (ALLOWED, BLOCKED, UNKNOWN)}
    for release, run in runs.items():
        await keep(site.conn, hook(run=run.id, release=release))
    assert await calling.turn(site.conn) == 0  # learn has not looked yet
    await standing.turn(site.conn)
    await calling.turn(site.conn)
    assert {release: run.state for release, run in runs.items()} == {
        ALLOWED: "approved",
        BLOCKED: "rejected",
        UNKNOWN: "waiting",
    }
    assert TICKET in runs[BLOCKED].reviews[0].comment
    for run in runs.values():
        name = re.search(r"/v1/decisions/([\w-]+)>", run.reviews[0].comment)[1]
        assert (await site.client.get(f"/v1/decisions/{name}")).json()["decision_id"] == name
    await outside.close()
    await github.stop()
    assert outgoing.wanted(settings) and not outgoing.wanted(Settings(github_webhook_secret=Secret("s")))


async def test_a_bug_that_one_meets_keeps_nobody_else_waiting(there, caplog):
    first, second = await waiting(there), await waiting(there)
    sound = there.calling._rules.ask

    def ask(hook, now):
        if hook.run == str(first.id):
            raise RuntimeError("a bug")
        return sound(hook, now)

    there.calling._rules = there.calling._rules._replace(ask=ask)
    await there.turn("allow")
    assert (first.state, second.state) == ("waiting", "approved")
    there.calling._rules = there.calling._rules._replace(ask=sound)
    await there.turn("allow")
    assert first.state == "approved"
