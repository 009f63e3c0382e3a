"""Findings as they are kept: printable, without secrets. Intake has cleaned events; a finding may come from elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..intake.secrets import maybe, without_secrets
from ..records import Finding
from .writing_words import printable

IDENTITY = frozenset(("id", "fingerprint", "detector", "policy", "position", "record", "control"))


def clean(finding: Finding) -> Finding:
    """The same in one line each; the very same where nothing is to be hidden. What identifies it is left alone."""
    told = msgspec.to_builtins(finding, builtin_types=(datetime,))
    cleaned = _clean(told)
    return finding if cleaned is told else msgspec.convert(cleaned, Finding, builtin_types=(datetime,))


def _clean(value: Any) -> Any:
    """The very value that came in, where nothing of it changed."""
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, list | tuple):
        items = [_clean(one) for one in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    fields = {_clean(key): one if key in IDENTITY else _clean(one) for key, one in value.items()}
    return value if fields == value else fields


def _line(text: str) -> str:
    """Never longer than it was, nor empty where it was not: fields have their bounds."""
    line = text if text.isprintable() else printable(text) or "?"
    return without_secrets(line, [])[: len(text)] if maybe(line) else line
