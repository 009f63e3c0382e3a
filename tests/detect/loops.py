"""Calls with hashes, and what a detector says to them: what the tests of loops share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import builders as b

from streams.detect.agents import AgentRules, Given
from streams.records import Finding

POLLING = Given(agents=(AgentRules(match=["*"], pollers=["job_*"]),))


def call(moment: float, name: str, result: str = "same", **given: Any) -> Any:
    """`name` is tool and arguments: `search:orders`."""
    tool, _, args = name.partition(":")
    return b.tool_called(moment, tool=tool, args_hash=f"b2:{args}", result_hash=f"b2:{result}", **given)


def calls(names: str, **given: Any) -> list[Any]:
    return [call(number, name, **given) for number, name in enumerate(names.split())]


def said(decider: Any, events: Iterable[Any]) -> list[Finding]:
    memory, found = None, []
    for event in events:
        step = decider.step(memory, event)
        memory = step.remember
        found += step.say
    return found
