"""Absurd amounts, counts and clocks: a reason that is counted, or an event that does no harm; never an exception."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from intake.sample import NOW, SOURCE, Message, event, raw

from streams.intake.batches import Batcher, Taken
from streams.intake.cloudevents import Reader
from streams.intake.redact import Redactor
from streams.records import IntakeRejected, LlmCalled, ToolCalled
from streams.records.timeline import Timed, unpack

LLM = "agent.llm.called.v1"


def taken(*values: bytes) -> Taken:
    batcher = Batcher(Reader(), Redactor(), 1)
    batcher.take(SOURCE, [Message(n, value) for n, value in enumerate(values)])
    return batcher.done()


def events(result: Taken) -> list[Timed]:
    found: list[Timed] = []
    for batch in result.batches:
        unpacked = unpack(batch.value, batch.headers)
        assert isinstance(unpacked, list)
        found += unpacked
    return found


def llm(**data: Any) -> bytes:
    return raw(LLM, data)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (llm(tokens={"input": -1, "output": 1}), "/data/tokens/input"),
        (llm(tokens={"input": 1, "output": -(2**63)}), "/data/tokens/output"),
        (llm(tokens={"input": 2**60, "output": 1}), "/data/tokens/input"),
        (llm(tokens={"input": 10**9 + 1, "output": 1}), "/data/tokens/input"),
        (llm(tokens={"input": 1, "output": 1, "cache_read": 2**64}), "/data/tokens/cache_read"),
        (llm(tokens={"input": 1, "output": 1, "reasoning": 0.5}), "/data/tokens/reasoning"),
        (llm(cost={"amount": "NaN"}), "/data/cost/amount"),
        (llm(cost={"amount": "1e400"}), "/data/cost"),
        (llm(cost={"amount": -1}), "/data/cost/amount"),
        (llm(cost={"amount": "-Infinity"}), "/data/cost/amount"),
        (raw(data={"hits": -1}), "/data/hits"),
        (raw(data={"hits": 2**60}), "/data/hits"),
        (raw(data={"empty": "yes"}), "/data/empty"),
        (raw(data={"top_score": 1e301}), "/data/top_score"),
        (raw("agent.session.started.v1", {"expected_effects": ["x"] * 513}), "/data/expected_effects"),
    ],
)
def test_an_amount_that_cannot_be_is_a_dead_letter_with_the_place_of_the_mistake(value: bytes, pointer: str) -> None:
    result = taken(value, raw())
    assert result.rejected == {"invalid": 1}
    assert [letter.errors[0].partition(": ")[0] for letter in result.letters] == [pointer]
    [said, *rest] = events(result)
    assert isinstance(said, IntakeRejected)
    assert (said.data.pointer, said.data.ctx.agent.id) == (pointer, "checkout-assistant")
    assert [type(each) for each in rest] == [ToolCalled]  # the next message is not harmed


def test_a_number_beyond_every_float_is_a_dead_letter() -> None:
    value = llm(cost={"amount": 1}).replace(b'"amount":1', b'"amount":1e400')
    assert taken(value).rejected == {"invalid": 1}
    assert taken(llm(duration_ms=1).replace(b'"duration_ms":1', b'"duration_ms":1e400')).rejected == {"invalid": 1}


def test_the_largest_call_that_is_believed() -> None:
    value = llm(tokens={"input": 10**9, "output": 10**9}, cost={"amount": 10**9})
    [found] = events(taken(value))
    assert isinstance(found, LlmCalled)
    assert found.data.tokens is not None
    assert found.data.tokens.input == 10**9


def test_a_retrieval_says_what_it_found() -> None:
    [found] = events(taken(raw(data={"hits": 0, "top_score": -0.5, "empty": True})))
    assert isinstance(found, ToolCalled)
    assert (found.data.hits, found.data.top_score, found.data.empty) == (0, -0.5, True)
    [other] = events(taken(raw(data={"empty": False})))
    assert isinstance(other, ToolCalled)
    assert other.data.empty is False  # "it answered something" is not "nobody said"


def at(seconds: float, **attributes: Any) -> bytes:
    return msgspec.json.encode(event(time=(NOW + timedelta(seconds=seconds)).isoformat(), **attributes))


@pytest.mark.parametrize(
    ("hours", "newest_s"),
    [
        (+1, -2),  # taken, but the clock stays with those that are right
        (-1, -2),  # taken, late
        (-24 * 365, -2),
    ],
)
def test_a_clock_that_is_wrong_by_hours_is_taken_and_moves_no_clock(hours: int, newest_s: float) -> None:
    result = taken(at(-3), at(hours * 3600), at(-2))
    assert result.rejected == {}
    assert [each.time for each in events(result)] == [
        NOW + timedelta(seconds=seconds) for seconds in (-3, hours * 3600, -2)
    ]
    assert result.newest == {SOURCE: NOW + timedelta(seconds=newest_s)}


def test_only_wrong_clocks_ahead_leave_the_clock_where_it_is() -> None:
    assert taken(at(3600)).newest == {SOURCE: None}


def test_many_absurd_messages_leave_nothing_behind() -> None:
    batcher = Batcher(Reader(), Redactor(), 1)
    for start in range(0, 600, 200):
        batcher.take(
            SOURCE, [Message(n, llm(tokens={"input": -n - 1, "output": 0})) for n in range(start, start + 200)]
        )
        assert batcher.done().rejected == {"invalid": 200}
    assert batcher.done() == Batcher(Reader(), Redactor(), 1).done()
