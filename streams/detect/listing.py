"""A detector as people look it up: what it finds, by which thresholds, for whom, at what cost, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from ..records import Severity


class Size(Struct, frozen=True):
    """Bytes of what is remembered of one session or scope."""

    typical: int
    large: int


class Described(Struct, frozen=True, kw_only=True):
    name: str
    finds: str
    where: str  # session, scope
    severity: Severity
    owner: str  # empty: whoever owns the agent
    dry_run: bool
    thresholds: dict[str, Any]
    agents: dict[str, dict[str, Any]]  # what differs for some agents, by glob; the first that matches holds
    minimum: str
    false_alarms: str
    state: Size | None  # None: not measured
    control: str = ""
    reads: tuple[str, ...]
    facts: tuple[str, ...]  # kinds, of a scope detector
    order: str
    version: int
    memory: str
    runbook: str


def described(detector: Any, stanza: Any, scope: bool, sizes: Mapping[str, Size]) -> Described:
    """`stanza` is what the policy says about it."""
    thresholds = msgspec.to_builtins(stanza.thresholds)
    usual = {"severity": stanza.severity, "dry_run": stanza.dry_run, **thresholds}
    agents = {}
    for glob, chosen in stanza.overrides:
        given = {"severity": chosen.severity, "dry_run": chosen.dry_run, **msgspec.to_builtins(chosen.thresholds)}
        agents[glob] = {key: value for key, value in given.items() if usual[key] != value}
    return Described(
        name=detector.name,
        finds=" ".join((detector.__doc__ or "").split()),
        where="scope" if scope else "session",
        severity=stanza.severity,
        owner=stanza.owner,
        dry_run=stanza.dry_run,
        thresholds=thresholds,
        agents=agents,
        minimum=getattr(detector, "minimum", ""),
        false_alarms=getattr(detector, "false_alarms", ""),
        state=sizes.get(detector.name),
        control=getattr(stanza, "control", ""),
        reads=tuple(sorted(_named(kind) for kind in detector.reads)),
        facts=tuple(getattr(detector, "kinds", ())),
        order=detector.order,
        version=detector.version,
        memory=_shape(detector.memory),
        runbook=stanza.runbook or detector.runbook,
    )


def _named(kind: Any) -> str:
    tag = kind.__struct_config__.tag
    return tag if isinstance(tag, str) else kind.__name__.lower()


def _shape(memory: Any) -> str:
    """Its fields by name; of a frame also those of what it holds."""
    kind, inner = get_origin(memory) or memory, get_args(memory)
    fields = ", ".join(kind.__struct_fields__) or "nothing"
    held = "".join(f"; {_shape(one)}" for one in inner if isinstance(one, type) and issubclass(one, Struct))
    return f"{kind.__name__}: {fields}{held}"
