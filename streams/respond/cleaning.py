"""Findings without secrets. Intake has taken them out of events; a finding may have been said by somebody else."""

from __future__ import annotations

from typing import Any

import msgspec

from ..intake.secrets import maybe, without_secrets
from ..records import Finding

IDENTITY = frozenset(("id", "fingerprint", "detector", "policy", "position", "record", "control"))


def clean(finding: Finding) -> Finding:
    """The same, with stand-ins; the very same where there is nothing to hide. What identifies it is left alone."""
    told = msgspec.to_builtins(finding)
    cleaned = _clean(told)
    return finding if cleaned is told else msgspec.convert(cleaned, Finding)


def _clean(value: Any) -> Any:
    """The very value that came in, where nothing of it changed."""
    if isinstance(value, str):
        return without_secrets(value, []) if maybe(value) else value
    if isinstance(value, list | tuple):
        items = [_clean(one) for one in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    fields = {_clean(key): one if key in IDENTITY else _clean(one) for key, one in value.items()}
    return value if fields == value else fields
