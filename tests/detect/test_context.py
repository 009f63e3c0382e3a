"""A model's window that is nearly full, and answers that are cut off."""

from __future__ import annotations

from typing import Any

import builders as b
from detect.listening import brief, heard

from streams import records as r
from streams.detect.session.context import ContextPressure


def call(at: float, used: int, limit: int | None = 1000, **given: Any) -> Any:
    return b.llm_called(at, tokens=r.Tokens(used, 10), context_limit=limit, **given)


def test_a_window_that_is_nine_tenths_full_is_worth_a_ticket() -> None:
    [said] = heard(ContextPressure(), [call(0, 500), call(1, 899), call(2, 900)])
    assert (said.severity, said.observed) == ("medium", "90% of the window")


def test_a_heartbeat_may_say_so_as_well() -> None:
    assert len(heard(ContextPressure(), [b.heartbeat(0, context_ratio=0.95)])) == 1
    assert heard(ContextPressure(), [b.heartbeat(0, context_ratio=0.5)]) == []


def test_a_call_that_does_not_say_how_large_the_window_is_is_not_judged() -> None:
    assert heard(ContextPressure(), [call(0, 900_000, None), call(1, 900_000, 0)]) == []


def test_more_than_fits_is_another_unit_and_no_pressure() -> None:
    assert heard(ContextPressure(), [call(0, 10**9), b.heartbeat(1, context_ratio=9.5)]) == []


def test_three_answers_cut_off_are_worth_a_ticket_of_their_own() -> None:
    cut = [call(n, 10, finish_reasons=["length"]) for n in range(3)]
    [said] = heard(ContextPressure(), cut)
    assert (said.subject, said.count, len(said.evidence)) == ({"agent": "billing", "pressure": "cut off"}, 3, 3)
    assert heard(ContextPressure(), [*cut[:2], call(9, 10, finish_reasons=["stop"])]) == []


def test_as_long_as_it_is_full_it_is_told_again_every_five_minutes() -> None:
    assert brief(heard(ContextPressure(), [call(60 * n, 950) for n in range(7)])) == [
        (0.0, "medium"),
        (300.0, "medium"),
    ]


def test_an_ordinary_session_leaves_no_memory() -> None:
    detector = ContextPressure()
    assert all(detector.step(None, call(n, 100)).remember is None for n in range(3))
