"""Controls as a flag file of flagd: the same rules as `flags`, written as its targeting language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ...records import Control
from .flags import ENABLED, OF_TOOLS, RATIO, STEPS, TOOL, UNLIMITED, share, standing

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
WHOLE = 100


class Rule(NamedTuple):
    weight: float  # of two that match the heavier one holds
    condition: Any
    then: Any


def document(controls: Iterable[Control], at: datetime) -> dict[str, Any]:
    """The file at `at`. Leases that end are left out when it is asked for again."""
    held = list(standing(controls, at))
    agents = [one for one in held if one.scope.kind not in OF_TOOLS]
    slowed = [one for one in agents if share(one) > 0]
    limited = [one for one in agents if one.limits.max_steps is not None]
    off = [Rule(share(one), _about(one), _split(one, "off", "on")) for one in slowed]
    ratios = [Rule(share(one), _about(one), _percent(one)) for one in slowed]
    steps = [Rule(-_steps(one), _about(one), str(_steps(one))) for one in limited]
    return {
        "$schema": SCHEMA,
        "flags": {
            ENABLED: _flag({"on": True, "off": False}, "on", off),
            RATIO: _flag({"none": 0.0, **{_percent(one): share(one) for one in slowed}}, "none", ratios),
            STEPS: _flag(
                {"unlimited": UNLIMITED, **{str(_steps(one)): _steps(one) for one in limited}}, "unlimited", steps
            ),
            TOOL: _flag({"allowed": True, "denied": False}, "allowed", [*_of_tools(held)]),
        },
        "metadata": {"flagSetId": "tocsin", "version": str(max((one.seq for one in held), default=0))},
    }


def _flag(variants: dict[str, Any], default: str, rules: list[Rule]) -> dict[str, Any]:
    """The hardest rule comes first; they are nested, since flagd's `if` has one condition. None: the default holds."""
    targeting = None
    for rule in sorted(rules, key=lambda one: one.weight):
        targeting = {"if": [rule.condition, rule.then, targeting]}
    given = {"state": "ENABLED", "variants": variants, "defaultVariant": default}
    return given if targeting is None else {**given, "targeting": targeting}


def _of_tools(held: list[Control]) -> Iterator[Rule]:
    """A stop concerns every tool of its scope, a denial the tools that it names."""
    for one in held:
        if share(one) > 0:
            yield Rule(share(one), _about(one), _split(one, "denied", "allowed"))
        if one.limits.tool_deny:
            named = {"in": [{"var": "tool"}, list(one.limits.tool_deny)]}
            yield Rule(1.0, {"and": [_about(one), named]}, "denied")


def _about(control: Control) -> Any:
    """Whom it concerns, as a condition."""
    scope = control.scope
    named = {
        "global": (),
        "tenant": (("tenant", scope.id),),
        "agent": (("agent", scope.agent),),
        "release": (("agent", scope.agent), ("release", scope.id)),
        "tool": (("tool", scope.id),),
        "agent_tool": (("agent", scope.agent), ("tool", scope.id)),
    }[scope.kind]
    if not named:
        return True
    return {"and": [{"==": [{"var": name}, value]} for name, value in named]}


def _split(control: Control, off: str, on: str) -> Any:
    """flagd's own hash: always the same sessions, though others than those that Tocsin's SDK holds back."""
    ratio = share(control)
    if ratio >= 1.0:
        return off
    held = min(WHOLE - 1, max(1, round(ratio * WHOLE)))
    return {"fractional": [{"var": "targetingKey"}, [off, held], [on, WHOLE - held]]}


def _percent(control: Control) -> str:
    return f"{share(control) * 100:g}%"


def _steps(control: Control) -> int:
    return control.limits.max_steps if control.limits.max_steps is not None else UNLIMITED
