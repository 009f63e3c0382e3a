"""A stop is asked for before every call; refused, it is told with the control's number, and the session ends as halted."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from streams.records import Control, Heartbeat, LlmCalled, Scope, SessionEnded, ToolCalled
from streams.records.control import Limits
from streams.sdk import AgentHalted, Breaker, LocalLimits
from streams.sdk.rules import Given
from streams.sdk.testing import Told

NOW = datetime.now(UTC)


def told_by(*controls: Control, **given) -> Told:
    breaker = Breaker(**given)
    breaker.apply([Given(one.scope.key, msgspec.json.encode(one)) for one in controls])
    breaker.ready()
    return Told(breaker=breaker)


def stop(scope: Scope, **given) -> Control:
    return Control(scope=scope, state="open", seq=7, issued_at=NOW, reason="AGT-412", **given)


def test_a_paused_agent_makes_no_further_call_and_says_which_control_held_it_back():
    told = told_by(stop(Scope("agent", "agent-under-test")))
    reached = []
    with pytest.raises(AgentHalted, match="AGT-412"), told.emitter.session() as work, work.model("openai", "gpt-5"):
        reached.append("the model")
    assert reached == []
    assert told.of(LlmCalled) == []
    (beat,) = told.of(Heartbeat)
    assert (beat.data.state, beat.data.breaker_seen) == ("paused", "7 agent:agent-under-test")
    assert (beat.data.numbers["control_seq"], beat.data.activity.ref) == (7.0, "openai/gpt-5")
    (ended,) = told.of(SessionEnded)
    assert str(ended.data.status) == "halted"
    assert "AGT-412" in ended.data.stop_reason
    told.emitter.close()


def test_a_denied_tool_is_not_called_and_the_agent_may_go_on_without_it():
    told = told_by(
        stop(Scope("agent", "agent-under-test"), ratio=0.0, limits=Limits(tool_deny=("refund",))),
    )
    with told.emitter.session() as work:
        with pytest.raises(AgentHalted), work.tool("refund"):
            raise AssertionError
        with work.tool("search"):
            pass
    assert [event.data.tool.name for event in told.of(ToolCalled)] == ["search"]
    assert str(told.of(SessionEnded)[0].data.status) == "succeeded"
    told.emitter.close()


def searching(told: Told) -> None:
    with told.emitter.session() as work:
        for _ in range(10):
            with work.tool("search", {"q": "x"}):
                pass


def spending(told: Told) -> None:
    with told.emitter.session() as work:
        for _ in range(10):
            with work.model("openai", "gpt-5") as call:
                call.cost("0.4")


def test_the_sessions_own_last_resort_needs_nobody_else():
    told = told_by(limits=LocalLimits(same_calls=3, cost=1.0))
    with pytest.raises(AgentHalted, match="same arguments"):
        searching(told)
    assert len(told.of(ToolCalled)) == 3
    with pytest.raises(AgentHalted, match="limit of a session"):
        spending(told)
    assert len(told.of(LlmCalled)) == 3
    assert [str(event.data.status) for event in told.of(SessionEnded)] == ["halted", "halted"]
    told.emitter.close()


def test_a_breaker_that_fails_stops_no_agent(caplog):
    class Broken(Breaker):
        def check(self, *_: object, **__: object) -> None:
            raise RuntimeError("a bug")

    told = Told(breaker=Broken())
    with told.emitter.session() as work, work.tool("search"):
        pass
    assert told.emitter.flush()
    assert "the agent goes on" in caplog.text
    told.emitter._sending.invalid = 0  # it was meant
    assert len(told.of(ToolCalled)) == 1
    told.emitter.close()


def test_heartbeats_say_what_the_breaker_knows():
    told = told_by()
    with told.emitter.session() as work:
        work.heartbeat()
    assert told.of(Heartbeat)[0].data.breaker_seen.startswith("0 ")
    told.emitter.close()
