"""A comparison in lines for people: numbers side by side, then what is only in one of them, then what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..records import Difference
from .comparison import Comparison, Different, GateDifferent, GateSaid, Numbers, Opened

ROWS_MAX = 50  # of each list; then a count
TITLE_MAX = 100
VALUE_MAX = 60
NAMES = ("now", "candidate")


def side_by_side(one: Comparison) -> Iterator[str]:
    if one.first is None or one.last is None:
        yield "No events."
    else:
        first, last = (at.isoformat(timespec="seconds") for at in (one.first, one.last))
        yield f"{one.events} events of {one.sessions} sessions, {first} to {last}"
    yield from _listed("Changed", [_difference(value) for value in one.differences])
    yield from _aligned([("", *NAMES), *_numbers(one.now, one.candidate)], numbers=True)
    yield from _listed("Only now", [_opened(incident) for incident in one.only_now])
    yield from _listed("Only with the change", [_opened(incident) for incident in one.only_candidate])
    yield from _listed("In both, but different", [_different(incident) for incident in one.different])
    yield from _listed("Gate decisions that differ", [_gate(gate) for gate in one.gates])


def _numbers(now: Numbers, candidate: Numbers) -> list[tuple[str, ...]]:
    rows: list[tuple[Any, ...]] = [("findings", sum(now.findings.values()), sum(candidate.findings.values()))]
    rows += [(f"  {name}", *pair) for name, *pair in _pairs(now.findings, candidate.findings)]
    rows += [(name, getattr(now, name), getattr(candidate, name)) for name in ("incidents", "held", "pages", "tickets")]
    rows += [(f"gates: {name}", *pair) for name, *pair in _pairs(now.gates, candidate.gates)]
    return [tuple(str(cell) for cell in row) for row in rows]


def _pairs(now: dict[str, int], candidate: dict[str, int]) -> list[tuple[str, int, int]]:
    """Those that differ: the others are in what was printed without a change."""
    names = sorted({*now, *candidate})
    pairs = [(name, now.get(name, 0), candidate.get(name, 0)) for name in names]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _listed(what: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"{what}: {len(rows) or 'none'}"
    for line in _aligned(rows[:ROWS_MAX]):
        yield f"  {line}"
    if len(rows) > ROWS_MAX:
        yield f"  and {len(rows) - ROWS_MAX} more"


def _aligned(rows: Sequence[tuple[str, ...]], *, numbers: bool = False) -> Iterator[str]:
    """Columns under each other. The last one is as long as it is."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))] if rows else []
    for row in rows:
        first, *rest = row
        pad = [
            cell.rjust(width) if numbers else cell.ljust(width) for cell, width in zip(rest, widths[1:], strict=True)
        ]
        yield "  ".join((first.ljust(widths[0]), *pad)).rstrip()


def _difference(value: Difference) -> tuple[str, ...]:
    return value.path, f"{_clip(value.before or '(none)', VALUE_MAX)} -> {_clip(value.after or '(none)', VALUE_MAX)}"


def _opened(one: Opened) -> tuple[str, ...]:
    told = " and ".join(kind for kind, is_told in (("page", one.page), ("ticket", one.ticket)) if is_told)
    return one.severity, one.owner, told or _word(one.held) or "nobody told", _clip(one.title, TITLE_MAX)


def _different(one: Different) -> tuple[str, ...]:
    told = [name for name in one.values if name != "parent" or not {"held", "stage"} & set(one.values)]
    said = "; ".join(f"{name} {_turned(*one.values[name])}" for name in told)
    return said, _clip(one.title, TITLE_MAX)


def _gate(one: GateDifferent) -> tuple[str, ...]:
    where = f"{one.agent} {one.release or '(no release)'} in {one.environment}"
    return f"{_said(one.now)} -> {_said(one.candidate)}", one.gate, where


def _said(one: GateSaid | None) -> str:
    return f"{', '.join(one.states)} ({', '.join(one.reasons)})" if one else "never asked"


def _turned(now: Any, candidate: Any) -> str:
    one, other = _word(now), _word(candidate)
    return f"{one} -> {other}" if one != other else f"{one} -> {other}, for another reason"


def _word(value: Any) -> str:
    """A reason held is `word:id`: the word is what people read, the id is in the JSON."""
    if isinstance(value, tuple | list):
        return ", ".join(str(one).partition(":")[0] for one in value) or "no"
    if isinstance(value, bool) or value is None:
        return "yes" if value else "no"
    return _clip(str(value), VALUE_MAX)


def _clip(text: str, limit: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
