"""What an agent does becomes valid events, in their order, whatever it is written in; exceptions go on unchanged."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from streams.records import (
    CheckpointRecorded,
    DecisionMade,
    EvalScored,
    Heartbeat,
    LlmCalled,
    PermissionChecked,
    SessionEnded,
    SessionStarted,
    ToolCalled,
)
from streams.sdk import SessionFilter, current


def names(told) -> list[str]:
    return [type(event).__name__ for event in told.events]


def test_each_of_the_nine_kinds_can_be_told(tocsin):
    with tocsin.emitter.session(user="u-1", trigger="schedule") as work:
        work.heartbeat(context_ratio=0.5)
        work.decision_made("refund", kind="tool")
        work.permission_checked("refund.create", "allowed", "ann", wait_ms=5)
        work.llm_called("openai", "gpt-5")
        work.tool_called("refund", "timeout")
        work.eval_scored("grounded", score=0.9, passed=True)
        work.checkpoint_recorded("c1")
    kinds = (
        *(SessionStarted, Heartbeat, DecisionMade, PermissionChecked, LlmCalled, ToolCalled, EvalScored),
        *(CheckpointRecorded, SessionEnded),
    )
    assert names(tocsin) == [kind.__name__ for kind in kinds]


def test_a_call_tells_how_long_it_took_and_what_it_was_within(tocsin):
    with tocsin.emitter.session() as work, work.tool("search", {"q": "secret words"}) as search:
        with work.model("openai", "gpt-5") as call:
            call.tokens(10, 20, cache_read=5)
            call.cost("0.0012")
        search.result({"hits": ["secret result"]})
    (llm,), (tool,) = tocsin.of(LlmCalled), tocsin.of(ToolCalled)
    assert llm.causationid == tool.id == tool.data.call_id
    assert (llm.data.tokens.input, llm.data.cost.nano) == (10, 1_200_000)
    assert tool.data.args_hash.startswith("hmac-sha256:")
    assert tool.data.duration_ms is not None
    assert b"secret" not in b"".join(tocsin.sink._raw)


@pytest.mark.parametrize(
    ("raised", "call", "session"),
    [
        (ValueError("bad card 4111 of 'ann@example.org'"), "error", "failed"),
        (TimeoutError(), "timeout", "timed_out"),
        (PermissionError(), "denied", "failed"),
        (KeyboardInterrupt(), "cancelled", "cancelled"),
        (SystemExit(3), "cancelled", "cancelled"),
        (asyncio.CancelledError(), "cancelled", "cancelled"),
    ],
)
def test_an_exception_is_told_and_goes_on_unchanged(tocsin, raised, call, session):
    with pytest.raises(type(raised)) as caught, tocsin.emitter.session() as work, work.tool("refund"):
        raise raised
    assert caught.value is raised
    (told,), (ended,) = tocsin.of(ToolCalled), tocsin.of(SessionEnded)
    assert (str(told.data.status), str(ended.data.status)) == (call, session)
    assert told.data.error.type == type(raised).__name__
    assert "4111" not in (told.data.error.template or "")
    assert "ann" not in (told.data.error.template or "")


def test_a_caught_failure_ends_the_session_as_the_agent_says(tocsin):
    with tocsin.emitter.session() as work:
        with work.tool("refund") as call:
            call.failed("no such order")
        work.fail("gave up")
    (told,), (ended,) = tocsin.of(ToolCalled), tocsin.of(SessionEnded)
    assert (str(told.data.status), told.data.error.type) == ("error", "no such order")
    assert (str(ended.data.status), ended.data.stop_reason) == ("failed", "gave up")


async def test_tasks_of_one_loop_do_not_mix_their_sessions(tocsin):
    async def work(number: int) -> None:
        async with tocsin.emitter.session(session_id=f"s{number}") as session:
            async with session.tool(f"tool{number}"):
                await asyncio.sleep(0)
                assert current() is session
                session.heartbeat()
            await asyncio.gather(*(inner(number, part) for part in range(3)))

    async def inner(number: int, part: int) -> None:
        async with current().tool(f"tool{number}", {"part": part}):
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(10)))
    assert current() is None
    for event in tocsin.of(ToolCalled):
        assert event.data.tool.name.removeprefix("tool") == event.data.ctx.session_id.removeprefix("s")
    beats = tocsin.of(Heartbeat)
    tools = {event.id: event for event in tocsin.of(ToolCalled)}
    assert {tools[beat.causationid].data.ctx.session_id for beat in beats} == {f"s{n}" for n in range(10)}


def test_threads_each_have_their_own_session(tocsin):
    def work(number: int) -> None:
        with tocsin.emitter.session(session_id=f"t{number}") as session:
            for _ in range(50):
                session.tool_called("x")

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = tocsin.events
    assert len({event.id for event in events}) == len(events) == 8 * 52
    for number in range(8):
        mine = [event.sequence for event in events if event.data.ctx.session_id == f"t{number}"]
        assert mine == sorted(mine) == [f"{n:012d}" for n in range(1, 53)]


def test_a_session_within_a_session_is_a_subagents(tocsin):
    with tocsin.emitter.session(session_id="root") as root:
        with root.tool("delegate"), tocsin.emitter.session(session_id="child") as child:
            with tocsin.emitter.session(session_id="grandchild") as grandchild:
                grandchild.tool_called("x")
            child.tool_called("y")
        root.tool_called("z")
    (deepest,) = [event for event in tocsin.of(SessionStarted) if event.data.ctx.session_id == "grandchild"]
    ctx = deepest.data.ctx
    assert (ctx.root, ctx.parent.session_id, ctx.depth) == ("root", "child", 2)
    traces = {event.traceparent[3:35] for event in tocsin.events}
    assert len(traces) == 1
    assert {item.data.ctx.root for item in tocsin.events} == {"root"}


def test_what_the_agent_tells_wrongly_never_raises(tocsin, caplog):
    with tocsin.emitter.session() as work:
        work.tool_called("x", nonsense=1)
        work.tool_called("x", error=object())
        with work.model("openai", "gpt-5") as call:
            call.cost("many dollars")
            call.tokens("few", 1, nonsense=3)
        with work.tool("x", object()) as tool:
            tool.result(float("nan"))
    assert tocsin.emitter.flush()
    assert tocsin.emitter.numbers().invalid == 4
    assert "the agent goes on" in caplog.text
    tocsin.emitter._sending.invalid = 0  # they were meant


def test_a_session_that_is_closed_from_outside_ends_once(tocsin):
    with tocsin.emitter.session() as work:
        tocsin.emitter.close()
        work.tool_called("x")
    assert tocsin.emitter.numbers().lost == 1
    tocsin.emitter._sending.lost = 0  # it was meant
    assert [str(event.data.status) for event in tocsin.of(SessionEnded)] == ["cancelled"]


def test_lines_of_the_log_name_their_session(tocsin):
    record = logging.LogRecord("x", logging.INFO, "x", 1, "x", None, None)
    with tocsin.emitter.session(session_id="s1") as work:
        assert SessionFilter().filter(record)
        assert (record.session_id, record.trace_id) == ("s1", work.trace[3:35])
    assert SessionFilter().filter(record)
    assert (record.session_id, record.trace_id) == ("", "")


def test_a_generator_that_is_closed_elsewhere_breaks_nothing(tocsin):
    def stream():
        with tocsin.emitter.session() as work, work.tool("stream"):
            yield 1
            yield 2

    first = stream()
    next(first)

    def close() -> None:
        first.close()

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert [str(event.data.status) for event in tocsin.of(SessionEnded)] == ["cancelled"]
    tocsin.emitter.session().__enter__().__exit__(None, None, None)
