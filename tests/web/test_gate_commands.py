"""`tocsin gate …` against the web role itself: what people and pipelines type, and how it ends."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from learn.booking import book, sighted
from learn.deciding import settle
from web.test_commands import role, tocsin

from streams.database import connect, migrate
from streams.learn.watching import gauge

WHY = "The refund tool is mocked in this canary; payments agreed."
RELEASE = ("--agent", "support-bot", "--release", "2026.09.3")
ONE = sighted(1, title="evil \x1b[31m\u202e title", ticket="OPS-1")


@pytest.fixture
async def desk(database):
    """A release that an incident blocks, and a clean one of another agent."""
    migrate(database)
    async with await connect(database) as conn:
        await book(conn, ONE)
        for agent, release in (("support-bot", "2026.09.3"), ("writer", "17")):
            await conn.execute("INSERT INTO exposed VALUES (%s, %s, 'prod', 1, 200, 0)", [agent, release])
        await gauge(conn, "watermark", datetime.now(UTC).timestamp())
        async with role(database) as url:
            yield url, conn


async def code(url, *arguments):
    return (await tocsin(url, "gate", *arguments)).returncode


async def checked(url, conn, wanted):
    """The exit code, once the role has read what was settled."""
    await settle(conn)
    answer = await tocsin(url, "gate", "check", *RELEASE, "--strict", "--json")
    for _ in range(20):
        if answer.returncode == wanted:
            break
        answer = await tocsin(url, "gate", "check", *RELEASE, "--strict", "--json")
    assert answer.returncode == wanted, answer


async def test_an_override_is_asked_for_approved_and_ended(desk):
    url, conn = desk
    await checked(url, conn, 30)
    covers = ("--covers", ONE.id, "--reason", WHY, "--for", "2h")
    asked = await tocsin(url, "gate", "override", "ask", *RELEASE, *covers, "--actor", "ada")
    assert (asked.returncode, asked.stdout[:2]) == (0, "o-"), asked
    name = asked.stdout.strip()
    assert (await tocsin(url, "gate", "override", "approve", name, "--actor", "grace")).stdout == f"approved {name}\n"
    await checked(url, conn, 10)
    listed = await tocsin(url, "gate", "overrides", "--active")
    assert name in listed.stdout and "approved by grace" in listed.stdout
    assert await code(url, "override", "end", name) == 0
    await checked(url, conn, 30)
    review = await tocsin(url, "gate", "overrides", "--review")
    assert "promotion: 1 overrides, 0 followed by an incident" in review.stdout


async def test_a_freeze_is_made_listed_and_ended(desk):
    url, conn = desk
    now = datetime.now(UTC)
    edges = ("--from", now.isoformat(), "--until", (now + timedelta(hours=1)).isoformat(), "--reason", "holidays")
    made = await tocsin(url, "gate", "freeze", *edges, "--agent", "writer*")
    assert (made.returncode, made.stdout[:2]) == (0, "f-"), made
    await settle(conn)
    assert "active" in (await tocsin(url, "gate", "freezes")).stdout
    assert await code(url, "freeze", "--end", made.stdout.strip()) == 0


async def test_several_agents_end_with_the_worst_answer(desk):
    url, _ = desk
    assert await code(url, "check", "--agent", "writer=17") == 0
    answer = await tocsin(url, "gate", "check", "--agent", "writer=17", "--agent", "support-bot=2026.09.3", "--json")
    assert (answer.returncode, [one["state"] for one in json.loads(answer.stdout)["decisions"]]) == (
        30,
        ["allow", "block"],
    )
    pairs = ("--agent", "writer", "--release", "17", "--agent", "support-bot", "--release", "2026.09.3")
    assert await code(url, "check", *pairs) == 30


async def test_waiting_says_how_far_the_evidence_has_come(desk):
    url, _ = desk
    answer = await tocsin(url, "gate", "check", "--agent", "writer", "--release", "18", "--wait", "1s")
    assert answer.returncode == 20
    assert "waiting: hold: " in answer.stderr and "candidate sessions" in answer.stderr


async def test_why_is_told_of_now_and_of_a_decision_and_nothing_acts_on_the_terminal(desk):
    url, _ = desk
    now = await tocsin(url, "gate", "explain", *RELEASE)
    assert now.returncode == 0 and "> 4 incident" in now.stdout and "what would change it: An outcome" in now.stdout
    assert "\x1b" not in now.stdout and "\u202e" not in now.stdout
    decision = json.loads((await tocsin(url, "gate", "check", *RELEASE, "--json")).stdout)["decision_id"]
    then = await tocsin(url, "gate", "explain", decision)
    assert decision in then.stdout
    assert "support-bot@2026.09.3 in prod" in (await tocsin(url, "gate", "list")).stdout
    assert (await tocsin(url, "gate", "report")).returncode == 0


async def test_decisions_are_made_again_and_one_that_differs_is_shown_and_ends_with_1(desk):
    url, conn = desk
    decision = json.loads((await tocsin(url, "gate", "check", *RELEASE, "--json")).stdout)["decision_id"]
    assert (await tocsin(url, "gate", "replay", decision)).stdout == "1 replayed, 0 different\n"
    same = await tocsin(url, "gate", "replay", "--since", "1h")
    assert (same.returncode, same.stdout) == (0, "1 replayed, 0 different\n")
    await conn.execute(
        "UPDATE decisions SET inputs = convert_to(replace(convert_from(inputs, 'UTF8'), '\"high\"', '\"low\"'), 'UTF8')"
    )
    different = await tocsin(url, "gate", "replay", decision)
    assert different.returncode == 1 and '-  "state": "block",' in different.stdout


WRONG = [
    (("check", "--agent", "writer"), 2, "no release of writer"),
    (("check", "--agent", "a", "--agent", "b", "--release", "1"), 2, "come in pairs"),
    (("check", "--agent", "=1"), 2, "no name"),
    (("check", "--agent", "a=1", "--agent", "b=1", "--baseline", "0"), 2, "--baseline"),
    (("freeze", "--from", "2026-12-20T18:00+01:00", "--reason", "holidays"), 2, "--until"),
    (("freeze", "--from", "x", "--until", "y", "--reason", "holidays"), 2, "no moment"),
    (("override", "ask", *RELEASE, "--covers", "*", "--reason", WHY), 2, "pattern"),
    (("override", "approve", "o-none"), 5, "no override"),
    (("override", "end", "o-none"), 5, "no override"),
    (("freeze", "--end", "f-none"), 5, "no freeze"),
    (("explain",), 2, "--agent and --release"),
    (("explain", "d-none"), 5, "no decision"),
    (("replay",), 2, "--since"),
    (("replay", "d-none"), 5, "no decision"),
]


async def test_what_is_wrong_is_said_in_words(desk):
    answers = [await tocsin(desk[0], "gate", *arguments) for arguments, _, _ in WRONG]
    for answer, (_, ends, words) in zip(answers, WRONG, strict=True):
        assert (answer.returncode, words in answer.stderr) == (ends, True), answer


async def test_without_the_token_nothing_is_asked_for(desk):
    covers = ("--covers", ONE.id, "--reason", WHY)
    answer = await tocsin(desk[0], "gate", "override", "ask", *RELEASE, *covers, token="wrong")
    assert answer.returncode == 3
