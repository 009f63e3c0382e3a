"""What was believed, and when that changed: the digest in everything said leads to what it stood for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

VALUE_MAX = 500
DIFFERENCES_MAX = 500


class Difference(Struct, frozen=True, omit_defaults=True):
    """One value, as JSON. Absent: it was not there, or is there no more."""

    path: str  # as `tocsin replay --set` takes it: tool.repeated_error.errors_min
    before: str | None = None
    after: str | None = None


class PolicyChanged(Struct, frozen=True, tag="policy_changed", tag_field="record", omit_defaults=True):
    """Another policy is in force, and what it says otherwise. The first one has no `before` and no differences."""

    number: int  # 1, 2, 3, …
    at: datetime  # wall clock of the start that noticed it
    name: str
    after: str  # digest
    before: str | None = None
    differences: tuple[Difference, ...] = ()
    more: int = 0  # differences beyond those


def contents(policy: Struct) -> dict[str, Any]:
    """All that a policy says, defaults filled in, as plain values in the shape of its file."""
    whole: dict[str, Any] = msgspec.to_builtins(policy)
    del whole["digest"]
    return {**whole, "detectors": {name: _stanza(one) for name, one in whole["detectors"].items()}}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What two policies' contents say differently, by path."""
    one, other = dict(_leaves(before, "")), dict(_leaves(after, ""))
    paths = [path for path in sorted({*one, *other}) if one.get(path) != other.get(path)]
    return tuple(Difference(path, _clipped(one.get(path)), _clipped(other.get(path))) for path in paths)


def _stanza(stanza: dict[str, Any]) -> dict[str, Any]:
    """In a file a detector's thresholds stand beside its severity, and agents only where they differ."""
    thresholds, overrides = stanza.pop("thresholds"), stanza.pop("overrides")
    usual = {**stanza, **thresholds}
    agents = {}
    for glob, (own, severity, dry_run) in overrides:
        chosen = {"severity": severity, "dry_run": dry_run, **own}
        agents[glob] = {key: value for key, value in chosen.items() if usual[key] != value}
    return {**usual, "agents": agents} if agents else usual


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, _joined(path, key))
    elif _tables(node):
        names = _names(node)
        yield path, _text(names)  # their order matters: the first that matches wins
        for name, one in zip(names, node, strict=True):
            yield from _leaves(one, _joined(path, name))
    elif node is not None and node != "":  # what says nothing; an empty list may say that nothing is allowed
        yield path, _text(node)


def _joined(path: str, key: str) -> str:
    """A detector is named as people name it; in any other place a name with dots in it is quoted."""
    if path == "detectors":
        return key
    key = f'"{key}"' if "." in key else key
    return f"{path}.{key}" if path else key


def _tables(node: Any) -> bool:
    return isinstance(node, list | tuple) and bool(node) and all(isinstance(one, dict) for one in node)


def _names(tables: Sequence[dict[str, Any]]) -> list[str]:
    """What to call the tables of a list: by their name, or whom they match, if that is theirs alone; else by number."""
    given = [one.get("name") or one.get("source") or one.get("match") or "" for one in tables]
    names = [one if isinstance(one, str) else ",".join(map(str, one)) for one in given]
    often = Counter(names)
    return [name if name and often[name] == 1 else str(number) for number, name in enumerate(names)]


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _clipped(text: str | None) -> str | None:
    return text if text is None or len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"
