"""`tocsin detectors`: what is looked for, by which thresholds, what it costs to remember, and how often it is wrong."""

from __future__ import annotations

import difflib
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec
import rich_click as click

from ..detect.catalogue import DETECTORS, SESSION_DETECTORS
from ..detect.listing import Described, Size, described
from .start import policy_or_exit, settings_or_exit

WIDTH = 106
LABEL = 14
UNITS = ((1_000_000, "MB"), (1_000, "kB"))


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def detectors(name: str | None, *, as_json: bool) -> None:
    """All detectors with what your policy says about them; or everything about the one called NAME.

    Thresholds, and what differs for some agents; the bytes it remembers of one session or scope, as measured; how much
    it has to see first; how often it is wrong, and how that is known.

    Exit codes: 0 done, 1 your policy has errors, 2 usage, or no such detector.

    Example: tocsin detectors tool.repeated_error
    """
    policy = policy_or_exit(settings_or_exit())
    sizes = measured()
    found = [described(one, policy.detectors[one.name], one not in SESSION_DETECTORS, sizes) for one in DETECTORS]
    found.sort(key=lambda one: one.name)
    if name is not None:
        found = [one for one in found if one.name == name] or _unknown(name, [one.name for one in found])
    if as_json:
        for one in found:
            sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
        return
    for line in _listed(found) if name is None else _whole(found[0]):
        click.echo(line)


def measured() -> dict[str, Size]:
    """By detector. Written by a measurement over the contract suite's samples, which a test repeats."""
    text = files("streams.detect").joinpath("sizes.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Size])


def _unknown(name: str, known: list[str]) -> list[Described]:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "`tocsin detectors` lists them."
    click.echo(f"No detector is called `{name}`; {hint}", err=True)
    sys.exit(2)


def _listed(found: list[Described]) -> Iterator[str]:
    rows = [("detector", "severity", "owner", "state")]
    rows += [(one.name, _severity(one), _owner(one), _bytes(one.state.typical if one.state else None)) for one in found]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    yield _row(rows[0], widths)
    for one, row in zip(found, rows[1:], strict=True):
        yield _row(row, widths)
        yield from _wrapped("", _values(one.thresholds))
        for glob, differs in one.agents.items():
            yield from _wrapped(f"{glob}:", _values(differs))
        yield from _wrapped("minimum:", one.minimum)
        yield from _wrapped("false alarms:", one.false_alarms or "not measured")


def _row(row: tuple[str, ...], widths: list[int]) -> str:
    *left, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join((*left, last.strip().rjust(widths[-1])))


def _wrapped(label: str, text: str) -> Iterator[str]:
    line = f"{label} {text}".strip()
    yield from (
        textwrap.wrap(line, WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)
        if text
        else ()
    )


def _whole(one: Described) -> Iterator[str]:
    yield from textwrap.wrap(f"{one.name}: {one.finds}", WIDTH + LABEL, break_on_hyphens=False)
    state = "not measured"
    if one.state:
        state = f"{_bytes(one.state.typical)} typical, {_bytes(one.state.large)} after a week, for one {one.where}"
    yield from _part("severity", _severity(one))
    yield from _part("owner", _owner(one))
    yield from _part("control", one.control)
    yield from _part("thresholds", _values(one.thresholds) or "none")
    for glob, differs in one.agents.items():
        yield from _part(f"  {glob}", _values(differs))
    yield from _part("minimum", one.minimum)
    yield from _part("false alarms", one.false_alarms or "not measured")
    yield from _part("state", state)
    yield from _part("memory", f"{one.memory} (version {one.version})")
    yield from _part("reads", ", ".join((*one.reads, *(f"facts of kind {kind}" for kind in one.facts))))
    yield from _part("order", ORDERS[one.order])
    for number, step in enumerate(one.runbook.splitlines()):
        yield from _part("" if number else "runbook", step)


ORDERS = {
    "free": "free: another order of the same events changes nothing",
    "bucketed": "bucketed: another order within a bucket of event time changes nothing",
    "near": "near: another order within the lateness may change a little",
}


def _part(label: str, text: str) -> Iterator[str]:
    head = f"{label:<{LABEL}}" if len(label) < LABEL else f"{label}  "
    yield from (
        textwrap.wrap(
            head + text, WIDTH + LABEL, subsequent_indent=" " * LABEL, drop_whitespace=True, break_on_hyphens=False
        )
        if text
        else ()
    )


def _severity(one: Described) -> str:
    return f"{one.severity}, on trial" if one.dry_run else one.severity


def _owner(one: Described) -> str:
    return one.owner or "the agent's"


def _values(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else msgspec.json.encode(value).decode()


def _bytes(size: int | None) -> str:
    if not size:
        return "?" if size is None else "nothing"
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
