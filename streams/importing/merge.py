"""Reads run files, gzip or plain, and merges their events by time; what was left out is counted, never dropped quietly."""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from ..records import EvalScored, Event, LlmCalled, SessionEnded, SessionStatus, Status, ToolCalled
from .fields import unmapped
from .tau2 import Run, convert, run_of

GZIP = b"\x1f\x8b"

Progress = Callable[[str, int], None]


class Unreadable(Exception):
    """A file that is not what it should be; the message names it and says why."""


class Report(Struct):
    """What an import found, and what it left out."""

    files: int = 0
    sessions: int = 0
    events: int = 0
    sessions_failed: int = 0
    sessions_unpriced: int = 0
    evaluations_failed: int = 0
    sessions_unevaluated: int = 0  # an evaluator failed: neither a pass nor a failure
    model_calls: int = 0
    tool_calls: int = 0
    tool_calls_by_user: int = 0
    tool_errors: int = 0
    skipped: dict[str, str] = field(default_factory=dict)  # simulation -> why
    unmapped: Counter[str] = field(default_factory=Counter)  # field path -> how often

    def lines(self) -> list[str]:
        """For people, one fact a line."""
        out = [
            f"{self.sessions} sessions in {self.files} files, {self.events} events",
            f"{self.sessions_failed} sessions failed, {self.sessions_unpriced} are unpriced (cost 0 beside real tokens)",
            f"{self.evaluations_failed} evaluations failed, in {self.sessions_unevaluated} sessions an evaluator broke",
            f"{self.tool_errors} errors in {self.tool_calls} tool calls ({self.tool_calls_by_user} by the simulated user)",
        ]
        out += [f"skipped {name}: {why}" for name, why in self.skipped.items()]
        out += [f"not mapped: {path} ({count})" for path, count in sorted(self.unmapped.items())]
        return out


def read(
    paths: Iterable[Path], progress: Progress | None = None, environment: str = "prod"
) -> tuple[Iterator[Event], Report]:
    """Every event of the files in time order, and what was counted. Raises Unreadable before the first event."""
    report, runs, stems = Report(), [], Counter[str]()
    for path in paths:
        stem = path.name.split(".json")[0]
        stems[stem] += 1
        if stems[stem] > 1:  # two files of one name: their sessions are different ones
            stem = f"{stem}-{stems[stem]}"
        events = _file(path, stem, environment, report)
        runs.append(events)
        report.files += 1
        if progress is not None:
            progress(path.name, len(events))
    return heapq.merge(*runs, key=lambda event: event.time), report


class _File(NamedTuple):
    info: Mapping[str, Any]
    simulations: list[Mapping[str, Any]]


def _file(path: Path, stem: str, environment: str, report: Report) -> list[Event]:
    file = _load(path)
    run = run_of(stem, file.info, environment)
    report.unmapped += unmapped(file.info, "info")
    events: list[Event] = []
    for number, simulation in enumerate(file.simulations):
        events += _simulation(simulation, run, number, report)
    return sorted(events, key=lambda event: event.time)


def _simulation(simulation: Mapping[str, Any], run: Run, number: int, report: Report) -> list[Event]:
    try:
        events, unpriced = convert(simulation, run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        report.skipped[f"{run.stem} simulation {number}"] = f"{type(error).__name__}: {error}"
        return []
    report.unmapped += unmapped(simulation)
    report.sessions += 1
    report.sessions_unpriced += unpriced
    _count(events, report)
    return events


def _count(events: list[Event], report: Report) -> None:
    report.events += len(events)
    ended = [event.data for event in events if isinstance(event, SessionEnded)]
    scored = [event.data for event in events if isinstance(event, EvalScored)]
    tools = [event.data for event in events if isinstance(event, ToolCalled)]
    report.sessions_failed += sum(end.status == SessionStatus.failed for end in ended)
    report.evaluations_failed += sum(score.passed is False for score in scored)
    report.sessions_unevaluated += any(score.status == Status.error for score in scored)
    report.model_calls += sum(isinstance(event, LlmCalled) for event in events)
    report.tool_calls += len(tools)
    report.tool_calls_by_user += sum(tool.by == "user" for tool in tools)
    report.tool_errors += sum(tool.status == Status.error for tool in tools)


def _load(path: Path) -> _File:
    try:
        raw = path.read_bytes()
        if raw.startswith(GZIP):
            raw = gzip.decompress(raw)
        loaded = msgspec.json.decode(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"{path}: cannot be read: {error}") from None
    except msgspec.DecodeError as error:
        raise Unreadable(f"{path}: not JSON: {error}") from None
    simulations = loaded.get("simulations") if isinstance(loaded, dict) else None
    if not isinstance(simulations, list):
        raise Unreadable(f"{path}: not a tau2-bench run file: it has no list of `simulations`")
    info = loaded.get("info")
    return _File(info if isinstance(info, dict) else {}, simulations)
