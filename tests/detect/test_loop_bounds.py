"""What agents send that nobody should: megabytes of error text, endless tool names, empty hashes."""

from time import perf_counter
from typing import Any

import builders as b
import msgspec
import pytest
from detect.loops import call, said

from streams.detect.session.identical_calls import IdenticalCalls
from streams.detect.session.sequences import Sequences
from streams.detect.session.stale_loops import StaleLoops
from streams.detect.session.tool_errors import RepeatedToolError
from streams.detect.session.tool_errors import Thresholds as Errors

EVERY = pytest.mark.parametrize(
    "decider", [RepeatedToolError(), IdenticalCalls(), StaleLoops(), Sequences()], ids=lambda one: one.name
)


def remembered(decider: Any, events: Any) -> int:
    """The most bytes that were remembered on the way."""
    memory, most = None, 0
    for number, event in enumerate(events):
        memory = decider.step(memory, event).remember
        if number % 97 == 0:
            most = max(most, len(msgspec.msgpack.encode(memory)))
    return most


@EVERY
def test_error_texts_of_a_megabyte_are_cut(decider):
    texts = [f"{number} " + "order o-17 of 'somebody' was not found " * 26_000 for number in range(3)]
    failing = [
        b.tool_failed(n, message=texts[n % 3], args_hash="b2:a", error=b.r.Error("E" * 1_000_000, texts[n % 3]))
        for n in range(300)
    ]
    began = perf_counter()
    assert remembered(decider, failing) < 16_000
    assert perf_counter() - began < 3
    for found in said(decider, failing[:20]):
        assert len(msgspec.msgpack.encode(found)) < 16_000


@EVERY
def test_a_hundred_thousand_tool_names_in_one_session_are_bounded(decider):
    events = (
        b.tool_failed(n, tool=f"tool-{n}-{'x' * 200}", args_hash=f"b2:{n}", result_hash="b2:r")
        if n % 2
        else call(n, f"tool-{n}-{'x' * 200}:{n}")
        for n in range(100_000)
    )
    assert remembered(decider, events) < 16_000


@EVERY
def test_thousands_of_tool_names_say_nothing(decider):
    assert said(decider, (call(n, f"tool-{n}:a") for n in range(5_000))) == []


def test_the_widest_window_with_the_longest_errors_is_still_bounded():
    words = [" ".join(f"{letter * 60}{chr(97 + n % 26)}" for letter in "abcdefgh") for n in range(26)]
    failing = [b.tool_failed(n, message=words[n % 26]) for n in range(1_000)]
    assert remembered(RepeatedToolError(Errors(calls=200)), failing) < 300_000


@EVERY
@pytest.mark.parametrize("hashes", [{"args_hash": "", "result_hash": ""}, {"args_hash": ""}, {"result_hash": ""}])
def test_empty_hashes_are_no_hashes(decider, hashes):
    assert said(decider, [b.tool_called(n, **hashes) for n in range(60)]) == []
