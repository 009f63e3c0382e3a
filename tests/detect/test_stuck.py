"""Work that stands still, by somebody who knows what it waits for."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import msgspec
import pytest
from contract.running import Runner
from detect.listening import below, brief, heard, recorded

from streams import records as r
from streams.detect.session.stuck import SessionStuck

DAY = 86_400.0


def waits(at: float, kind: str, **given: Any) -> Any:
    return b.heartbeat(at, activity=r.Activity(kind, given.pop("ref", None)), **given)


def test_after_five_minutes_of_silence_there_is_a_ticket_and_after_fifteen_a_page() -> None:
    said = heard(SessionStuck(), [b.session_started(0), b.tool_called(10)], until=1300)
    assert brief(said) == [(310.0, "medium"), (610.0, "medium"), (910.0, "high"), (1210.0, "high")]
    assert (said[0].subject, said[0].observed) == ({"agent": "billing"}, "no sign of life for 5 min")


def test_a_session_that_ended_is_never_missed() -> None:
    ended = [b.session_started(0), b.tool_called(10), b.session_ended(20)]
    assert heard(SessionStuck(), ended, until=DAY) == []
    assert heard(SessionStuck(), [*ended, b.tool_called(15), b.session_started(0)], until=DAY) == []


def test_it_is_told_no_more_once_it_moves() -> None:
    events = [b.session_started(0), b.tool_called(400), b.tool_called(600), b.session_ended(700)]
    assert brief(heard(SessionStuck(), events, until=DAY)) == [(300.0, "medium")]


def test_what_never_announced_itself_is_not_missed() -> None:
    """Whoever sends neither starts nor heartbeats sends no ends either; evaluations come long after."""
    assert heard(SessionStuck(), [b.tool_called(0), b.llm_called(5)], until=DAY) == []


def test_a_session_that_never_ends_is_given_up_after_hours_and_wakes_nobody_any_more() -> None:
    runner = Runner(SessionStuck())
    runner.take(b.session_started(0))
    runner.wake(b.at(10 * DAY))
    assert runner.due == {}
    assert len(runner.said) < 80
    runner.take(b.tool_called(11 * DAY))
    assert runner.due != {}


def test_who_beats_is_missed_after_three_beats_and_paged_for_after_a_quarter_of_an_hour() -> None:
    said = heard(SessionStuck(), [b.session_started(0), b.heartbeat(30), b.heartbeat(60)], until=1000)
    assert brief(said)[0] == (150.0, "medium")
    assert [at for at, severity in brief(said) if severity == "high"] == [960.0]


def test_very_frequent_beats_may_be_missed_for_a_minute() -> None:
    assert brief(heard(SessionStuck(), [b.heartbeat(0, interval_s=1)], until=61)) == [(60.0, "medium")]


def test_who_works_without_beating_any_more_has_five_minutes_like_others() -> None:
    events = [b.heartbeat(0), b.tool_called(60), b.tool_called(120), b.session_ended(410)]
    assert heard(SessionStuck(), events) == []


def test_while_it_says_that_it_waits_for_a_tool_it_may_be_silent_for_half_an_hour() -> None:
    events = [b.session_started(0), b.tool_called(5), waits(10, "tool", ref="render")]
    said = heard(SessionStuck(), events, until=5500)
    assert (brief(said)[0], said[0].subject) == ((1805.0, "medium"), {"agent": "billing", "waits_for": "tool"})
    assert said[0].observed == "waits for a tool render, no progress for 30 min"
    assert (5405.0, "high") in brief(said)


def test_it_waits_too_long_though_it_goes_on_beating() -> None:
    beats = [waits(30 * n, "model") for n in range(60)]
    said = heard(SessionStuck(), [b.session_started(0), *beats])
    assert brief(said) == [(900.0, "medium"), (1200.0, "medium"), (1500.0, "medium")]


def test_a_wait_is_over_when_something_moves_whatever_arrives_first() -> None:
    moved, waiting = b.tool_called(12), waits(10, "tool")
    for events in ([b.session_started(0), waiting, moved], [b.session_started(0), moved, waiting]):
        assert brief(heard(SessionStuck(), events, until=320)) == [(102.0, "medium")]


@pytest.mark.parametrize("state", ["idle", "paused"])
def test_who_rests_is_not_stuck(state: str) -> None:
    assert heard(SessionStuck(), [b.session_started(0), b.heartbeat(10, state=state)], until=DAY) == []


def test_who_waits_for_a_person_is_another_detectors_business() -> None:
    asked = b.permission_checked(10, request_id="p", result=r.PermissionResult.pending)
    assert heard(SessionStuck(), [b.session_started(0), waits(10, "approval")], until=DAY) == []
    assert heard(SessionStuck(), [b.session_started(0), asked], until=DAY) == []
    answered = b.permission_checked(4000, request_id="p")
    said = heard(SessionStuck(), [b.session_started(0), asked, answered], until=4400)
    assert brief(said) == [(4300.0, "medium")]


def test_an_answer_that_overtook_its_request_is_an_answer() -> None:
    asked = b.permission_checked(10, request_id="p", result=r.PermissionResult.pending)
    answered = b.permission_checked(12, request_id="p")
    said = heard(SessionStuck(), [b.session_started(0), answered, asked], until=400)
    assert brief(said) == [(312.0, "medium")]


def test_who_hears_from_its_subagents_is_not_stuck() -> None:
    events = [b.session_started(0), *(b.tool_called(100 * n, ctx=below()) for n in range(1, 30)), b.session_ended(3000)]
    assert heard(SessionStuck(), events, until=DAY) == []
    silent = heard(SessionStuck(), events[:-1], until=3300)
    assert [one.subject for one in silent] == [{"agent": "billing"}]


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0, -30 * DAY])
def test_clocks_that_are_off_and_the_past_brought_in_make_nobody_stuck(off_s: float) -> None:
    others = [recorded(b.tool_called(20 * n, session="s9"), 0.0) for n in range(60)]
    wrong = [
        recorded(event, off_s) for event in (b.session_started(10), *(b.tool_called(20 * n + 15) for n in range(59)))
    ]
    wrong.append(recorded(b.session_ended(1199), off_s))
    events = [event for pair in zip(others, wrong, strict=False) for event in pair] + wrong[60:]
    assert heard(SessionStuck(), events, until=1200) == []


def test_the_order_within_the_lateness_does_not_matter() -> None:
    events = [b.session_started(0), *(b.tool_called(n) for n in range(1, 20)), waits(20, "tool"), b.heartbeat(21)]
    events += [b.permission_checked(22, request_id="p", result=r.PermissionResult.pending)]
    events += [b.permission_checked(23, request_id="p"), b.heartbeat(24)]
    expected = brief(heard(SessionStuck(), events, until=2000))
    for seed in range(20):
        shuffled = Random(seed).sample(events, len(events))
        assert brief(heard(SessionStuck(), shuffled, until=2000)) == expected


def test_an_ordinary_session_is_remembered_in_a_few_bytes() -> None:
    runner = Runner(SessionStuck())
    for event in (b.session_started(0), *(b.tool_called(n) for n in range(100))):
        runner.take(event)
    assert len(msgspec.msgpack.encode(runner.memories["s1"])) <= 40
