"""A prompt, model or set of tools that changes without registration: a release of its own, that nobody has registered."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from ...records import RanWith, Registration

REGISTERED = {"prompt": "prompt_hash", "model": "model", "tools": "tools_hash"}  # part -> where CI says it
VALUES_MAX = 3  # of a part that CI did not register; one with more varies by itself and says nothing
NAMES_MAX = 20  # releases that one may imply; the rest share one
MORE = "more"


class Looked(NamedTuple):
    ran_with: RanWith
    release: str  # for which the minute counts


def suffix(config: Mapping[str, str]) -> str:
    """The short hash of what was run with: the same whatever was known before."""
    said = "\x1f".join(f"{part}:{config[part]}" for part in sorted(config) if part in REGISTERED)
    return blake2b(said.encode(), digest_size=4).hexdigest()


def name_of(release: str, config: Mapping[str, str]) -> str:
    return f"{release}+{suffix(config)}"


def looked(release: str, known: Registration | None, before: RanWith, config: Mapping[str, str]) -> Looked:
    """A minute in which sessions ran with `config`. A part that CI registered has to be what it registered; one that it
    did not has to be what was seen first, as long as it was seen with few values.
    """
    if not any(part in REGISTERED for part in config):
        return Looked(before, before.now or release)  # sessions that go on, with what they began with
    registered = known or Registration()
    seen = dict(before.seen)
    other = False
    for part, value in sorted(config.items()):
        if part not in REGISTERED:
            continue
        said = getattr(registered, REGISTERED[part])
        values = seen.get(part, ())
        if value not in values and len(values) <= VALUES_MAX:
            seen[part] = values = (*values, value)
        other = other or (value != said if said else value != values[0] and len(values) <= VALUES_MAX)
    name = name_of(release, config) if other else ""
    if name and name not in before.names and len(before.names) >= NAMES_MAX:
        name = f"{release}+{MORE}"
    names = before.names if not name or name in before.names else (*before.names, name)
    return Looked(RanWith(seen, names, name), name or release)
