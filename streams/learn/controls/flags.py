"""Controls as feature flags: what an agent of any language may do, the most restrictive scope winning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import Control, held_back

ENABLED, RATIO, STEPS, TOOL = "agent.enabled", "agent.throttle_ratio", "agent.max_steps", "agent.tool_allowed"
PINNED = ("agent.release_pin", "agent.model_override")  # names that are taken; nothing pins or overrides yet
KEYS = (ENABLED, RATIO, STEPS, TOOL)
UNLIMITED = 2**31 - 1  # a limit that nobody reaches, and that every language's integers hold
IDLE = frozenset(("closed", "disabled", "metrics_only"))
OF_TOOLS = frozenset(("tool", "agent_tool"))
Metadata = dict[str, str | int | float | bool]


class Context(Struct, frozen=True):
    """Who asks. `session` is OpenFeature's targeting key."""

    session: str = ""
    agent: str = ""
    release: str = ""
    tenant: str = ""
    tool: str = ""


class Flag(Struct, frozen=True):
    """An answer; always with all of its fields, some providers index them without looking."""

    key: str
    value: bool | int | float
    reason: str
    variant: str
    metadata: Metadata


class NoFlag(Struct, frozen=True, rename="camel"):
    """Why there is no answer."""

    key: str
    error_code: str
    error_details: str


class Told(Struct, frozen=True, rename="camel"):
    """The context as OFREP sends it. What else it holds is nobody's business here."""

    targeting_key: Any = ""
    agent: Any = ""
    release: Any = ""
    tenant: Any = ""
    tool: Any = ""


class Request(Struct, frozen=True):
    """A request of OFREP, a single or a bulk one. Values that are no text name nobody."""

    context: Told | None = None

    @property
    def asked(self) -> Context:
        one = self.context or Told()
        found = (one.targeting_key, one.agent, one.release, one.tenant, one.tool)
        return Context(*(value if isinstance(value, str) else "" for value in found))


def evaluate(key: str, controls: Iterable[Control], asked: Context, at: datetime) -> Flag | NoFlag:
    """One flag, at `at`."""
    held = standing((one for one in controls if concerns(one, asked)), at)
    agents = [one for one in held if one.scope.kind not in OF_TOOLS]
    match key:
        case "agent.enabled":
            return _going(key, agents, asked.session)
        case "agent.throttle_ratio":
            return _ratio(key, agents)
        case "agent.max_steps":
            return _steps(key, agents)
        case "agent.tool_allowed" if not asked.tool:
            return NoFlag(key, "INVALID_CONTEXT", "Say in the context which `tool` is meant.")
        case "agent.tool_allowed":
            return _tool(key, held, asked)
    absent = "Nothing pins it." if key in PINNED else f"There is no such flag; there are {', '.join(KEYS)}."
    return NoFlag(key, "FLAG_NOT_FOUND", absent)


def evaluate_all(controls: Iterable[Control], asked: Context, at: datetime) -> tuple[Flag | NoFlag, ...]:
    known = tuple(one for one in controls if concerns(one, asked))
    return tuple(evaluate(key, known, asked, at) for key in KEYS)


def in_force(control: Control, at: datetime) -> Control | None:
    """What holds of it now. A lease that was not renewed is over; what a person asked for beneath it goes on."""
    if control.state in IDLE:
        return None
    if control.not_after is None or at < control.not_after:
        return control
    beneath = control.beneath
    if beneath is None or (beneath.not_after is not None and at >= beneath.not_after):
        return None
    stops = {"ratio": beneath.ratio, "limits": beneath.limits, "not_after": beneath.not_after}
    return replace(control, state="open", probe=None, beneath=None, **stops)


def concerns(control: Control, asked: Context) -> bool:
    scope = control.scope
    match scope.kind:
        case "global":
            return True
        case "tenant":
            return bool(asked.tenant) and scope.id == asked.tenant
        case "agent":
            return scope.agent == asked.agent
        case "release":
            return (scope.agent, scope.id) == (asked.agent, asked.release)
        case "tool":
            return scope.id == asked.tool
        case "agent_tool":
            return (scope.agent, scope.id) == (asked.agent, asked.tool)


def share(control: Control) -> float:
    """The share of sessions that it holds back: a stop is 1, a limit alone 0, half open all but the probes."""
    if control.state == "half_open":
        return 1.0 - (control.probe.ratio if control.probe else 0.0)
    return 1.0 if control.ratio is None else min(1.0, max(0.0, control.ratio))


def _going(key: str, agents: Sequence[Control], session: str) -> Flag | NoFlag:
    hardest = max(agents, key=share, default=None)
    ratio = 0.0 if hardest is None else share(hardest)
    if hardest is None or ratio == 0.0:
        return Flag(key, True, "DEFAULT", "on", {})
    if ratio >= 1.0:
        return Flag(key, False, "TARGETING_MATCH", "off", why(hardest))
    if not session:
        return NoFlag(key, "TARGETING_KEY_MISSING", "A throttle is on: the session must be the targeting key.")
    off = held_back(session, ratio)
    return Flag(key, not off, "SPLIT", "off" if off else "on", why(hardest))


def _ratio(key: str, agents: list[Control]) -> Flag:
    hardest = max(agents, key=share, default=None)
    ratio = 0.0 if hardest is None else float(share(hardest))
    if hardest is None or ratio == 0.0:
        return Flag(key, 0.0, "DEFAULT", "none", {})
    return Flag(key, ratio, "TARGETING_MATCH", "all" if ratio >= 1.0 else "some", why(hardest))


def _steps(key: str, agents: list[Control]) -> Flag:
    limited = [(one.limits.max_steps, one) for one in agents if one.limits.max_steps is not None]
    if not limited:
        return Flag(key, UNLIMITED, "DEFAULT", "unlimited", {})
    steps, by = min(limited, key=lambda pair: pair[0])
    return Flag(key, steps, "TARGETING_MATCH", "limited", why(by))


def _tool(key: str, held: Sequence[Control], asked: Context) -> Flag | NoFlag:
    """A tool goes where its agent goes, where no scope denies it, and as far as its own scopes let it."""
    denying = next((one for one in held if asked.tool in one.limits.tool_deny), None)
    if denying is not None:
        return Flag(key, False, "TARGETING_MATCH", "denied", why(denying))
    going = _going(key, held, asked.session)
    if isinstance(going, NoFlag):
        return going
    return Flag(key, going.value, going.reason, "allowed" if going.value else "denied", going.metadata)


def why(control: Control) -> Metadata:
    """Why, for logs and people: texts and numbers only."""
    given: Metadata = {
        "scope": control.scope.key,
        "seq": control.seq,
        "why": control.reason,
        "incident": control.incident,
        "ticket": control.ticket,
    }
    return {name: value for name, value in given.items() if value != ""}


def standing(controls: Iterable[Control], at: datetime) -> tuple[Control, ...]:
    """Those that hold anybody back now, in a fixed order."""
    held = [now for one in controls if (now := in_force(one, at)) is not None]
    return tuple(sorted(held, key=lambda one: one.scope.key))
