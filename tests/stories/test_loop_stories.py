"""From events to what people are told: agents that repeat themselves, each story a whole replay with the shipped policy."""

from collections.abc import Iterable
from typing import Any

import builders as b
from stories.telling import OWNERS

from streams import policy
from streams.records import Effect
from streams.records.timeline import encode
from streams.replay import run


def replayed(*records: Any) -> dict[str, list[Any]]:
    """What a replay says about tools and loops, by kind."""
    said: dict[str, list[Any]] = {"incident": [], "obligation": []}
    for record in run(_lines(records), policy.parse(OWNERS, "story")):
        about = getattr(record, "detector", "") or getattr(record, "incident", "").removeprefix("v1:")
        if about.startswith(("loop.", "tool.")):
            said.setdefault(record.__struct_config__.tag, []).append(record)
    return said


def _lines(records: Iterable[Any]) -> Iterable[bytes]:
    for record in records:
        record.position = None
        yield encode(record)


def told(said: dict[str, list[Any]]) -> list[str]:
    """Who is told how: `page tool.identical_call`, in order."""
    firsts = [one for one in said["obligation"] if one.kind in ("page", "ticket") and one.ordinal == 1]
    return [f"{one.kind} {one.incident.split(':')[1]}" for one in firsts]


def asks(moment: float, name: str, result: str = "same", **given: Any) -> Any:
    tool, _, args = name.partition(":")
    return b.tool_called(moment, tool=tool, args_hash=f"b2:{args}", result_hash=f"b2:{result}", **given)


def test_an_agent_that_does_not_take_an_answer_gets_a_ticket_and_from_the_tenth_time_on_a_page():
    asked = [asks(n, "search:invoice 17") for n in range(4)]
    said = replayed(b.session_started(0), *asked)
    assert told(said) == ["ticket tool.identical_call"]
    (incident,) = said["incident"]
    assert incident.subject == {"agent": "billing", "tool": "search"}
    assert incident.severity == "low"

    going_on = [asks(30 * n, "search:invoice 17") for n in range(12)]
    worse = replayed(b.session_started(0), *going_on)
    assert "page tool.identical_call" in told(worse)
    assert {one.severity for one in worse["incident"] if one.detector == "tool.identical_call"} == {"high"}


def test_an_agent_that_asks_whether_each_of_its_attempts_helped_is_left_alone():
    attempts = [
        step
        for n in range(12)
        for step in (asks(20 * n, f"restart:{n}", effect=Effect("restart")), asks(20 * n + 10, "status:all", "down"))
    ]
    said = replayed(b.session_started(0), *attempts, b.session_ended(400))
    assert said["incident"] == []


def test_a_session_in_circles_of_five_is_one_ticket_and_two_sessions_of_one_agent_are_still_one():
    circle = ("list:orders", "read:17", "search:refund", "read:18", "check:refund")
    turns = [
        asks(start + 10 * n, circle[n % 5], session=session)
        for session, start in (("s1", 0), ("s2", 3))
        for n in range(11)
    ]
    said = replayed(*sorted(turns, key=lambda one: one.time))
    assert told(said) == ["ticket loop.stale"]
    (incident,) = said["incident"]
    assert incident.sessions == ("s1", "s2")
    assert "list" in incident.observed or "read" in incident.observed


def test_the_same_circle_with_a_checkpoint_in_each_turn_goes_on_and_is_no_stale_loop():
    events: list[Any] = []
    for turn in range(5):
        events += [asks(60 * turn + 10 * n, f"{tool}:x") for n, tool in enumerate(("plan", "write", "test", "lint"))]
        events.append(b.checkpoint_recorded(60 * turn + 50))
    assert [one.detector for one in replayed(*events)["incident"]] == []


def test_edit_and_test_in_turn_without_another_edit_is_a_sequence_though_the_test_fails_differently():
    events = [asks(20 * n, ("edit:line 3", "test:all")[n % 2], f"{n}") for n in range(6)]
    said = replayed(b.session_started(0), *events)
    assert told(said) == ["ticket loop.sequence"]
    assert said["incident"][0].title == "billing: a session makes the same calls in turn: edit → test"


def test_a_tool_that_fails_for_every_customer_is_one_trouble_with_a_name_for_all_of_them():
    failing = [
        b.tool_failed(
            10 * n, tool="crm", session=f"s{n // 3}", message=f"customer {name} not found", args_hash=f"b2:{n}"
        )
        for n, name in enumerate(("alice", "bob", "eve", "dan", "zoe", "joe"))
    ]
    said = replayed(*failing)
    assert told(said) == ["page tool.repeated_error", "ticket tool.repeated_error"]
    (incident,) = said["incident"]
    assert incident.title == "billing: tool crm keeps failing: customer … not found"
    assert incident.sessions == ("s0", "s1")
