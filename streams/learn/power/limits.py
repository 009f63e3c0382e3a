"""Which threshold a finding went beyond, by how much, and with which value it would not have been one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import ceil, floor, log10
from typing import Any, NamedTuple

from ...records import Incident

NUMBER = r"(\d[\d_,]*(?:\.\d+)?)"
RIGHT = ("fixed", "accepted_risk", "wont_fix", "external_cause")
PAGING = ("critical", "high")


class Limit(NamedTuple):
    """`read` takes the number that counts out of what was observed; `whole`: it fires from the threshold on, not above."""

    threshold: str
    read: Callable[[str], float | None]
    whole: bool = False
    most: float = 1e9  # the threshold's own bound


class Seen(NamedTuple):
    """An earlier incident of the detector."""

    incident: str
    observed: str
    severity: str
    outcome: str


class Preview(NamedTuple):
    seen: int
    dropped: int
    lost: int
    undecided: int


def _first(pattern: str) -> Callable[[str], float | None]:
    found = re.compile(pattern)

    def read(observed: str) -> float | None:
        match = found.search(observed)
        return float(match[1].replace(",", "").replace("_", "")) if match else None

    return read


def _share(observed: str) -> float | None:
    match = re.match(rf"{NUMBER} of {NUMBER} in", observed)
    if match is None or not float(match[2].replace(",", "")):
        return None
    return float(match[1].replace(",", "")) / float(match[2].replace(",", ""))


def _percent(observed: str) -> float | None:
    found = _first(r"^(\d+(?:\.\d+)?)\s?% of the window")(observed)
    return None if found is None else found / 100


SPENT = _first(rf"^{NUMBER} in \d+ priced calls")
LIMITS: Mapping[str, Limit] = {
    "cost.session": Limit("floor", SPENT),
    "cost.retry_share": Limit("share_max", _share, most=1.0),
    "cost.rate": Limit("floor", _first(rf"; {NUMBER} beyond the expected")),
    "cost.peers": Limit("floor", _first(rf"^{NUMBER} so far in session")),
    "tool.repeated_error": Limit("errors_min", _first(r"^(\d+) errors of"), whole=True),
    "tool.identical_call": Limit("same_min", _first(r"^(\d+) of the last"), whole=True, most=64.0),
    "tool.latency": Limit("floor_ms", _first(rf"took up to {NUMBER} ms")),
    "context.pressure": Limit("ratio_max", _percent, most=1.0),
}


def limit_of(incident: Incident) -> Limit | None:
    """A session's cost has two thresholds: the one that pages, and the one that does not."""
    found = LIMITS.get(incident.detector)
    if incident.detector == "cost.session" and incident.severity in PAGING:
        return Limit("budget", SPENT)
    return found


def beyond(limit: Limit, observed: float) -> float | None:
    """The next value in two digits that it would not have reached. None: the threshold cannot be so high."""
    if limit.whole:
        value: float = floor(observed) + 1
    else:
        unit = 10.0 ** (floor(log10(observed)) - 1) if observed > 0 else 0.01
        value = round((floor(observed / unit + 1e-9) + 1) * unit, 10)
    return value if value < limit.most else None


def threshold(values: Any, name: str) -> float | None:
    found = getattr(values, name, None)
    return float(found) if isinstance(found, int | float) else None


def preview(detector: str, severity: str, value: float, rows: Iterable[Seen]) -> Preview:
    """What of the last incidents would not have been. One whose numbers cannot be read stays."""
    seen = dropped = lost = undecided = 0
    for row in rows:
        limit = LIMITS.get(detector)
        if detector == "cost.session" and (severity in PAGING) != (row.severity in PAGING):
            continue  # the other threshold's
        number = limit.read(row.observed) if limit else None
        seen += 1
        if limit is None or number is None or not (number < value if limit.whole else number <= value):
            continue
        dropped += row.outcome == "false_positive"
        lost += row.outcome in RIGHT
        undecided += row.outcome not in (*RIGHT, "false_positive")
    return Preview(seen, dropped, lost, undecided)


def written(value: float) -> str:
    """As the policy takes it: a whole number stays one."""
    return str(int(value)) if value == ceil(value) and value < 1e15 else repr(value)
