"""An event as a finding shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..records import EvalScored, Excerpt, evaluator_id

JUDGES_MAX = 20  # of one finding


def judge_of(event: EvalScored) -> str:
    """Whose word it is. Producers write the kind as they like."""
    said = event.data.evaluator
    return evaluator_id(said.kind.upper(), said.name, said.version)


def judges_of(marks: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(marks)[:JUDGES_MAX])


def excerpt(
    event: Any,
    status: str = "",
    tool: str | None = None,
    text: str | None = None,
    value: float | None = None,
    *,
    hashes: tuple[str | None, str | None] = (None, None),
) -> Excerpt:
    """An event as evidence. `hashes` are those of arguments and result."""
    position = str(event.position)
    kind, at, session = event.__struct_config__.tag, event.time, event.data.ctx.session_id
    return Excerpt(position, kind, at, session, status, tool, text, *hashes, value, event.id, event.causationid)
