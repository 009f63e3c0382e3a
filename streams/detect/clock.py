"""Event time of a partition: the minimum over its sources, never back, never the wall clock."""

from __future__ import annotations

from msgspec import Struct

from ..records import ClockForwarded, Watermark, Watermarks


class Clock(Struct, frozen=True, array_like=True):
    """A timeline partition's clock. `at_s` None: not every source partition has been reported yet."""

    at_s: float | None = None
    wall_s: float = 0.0  # when the newest report was written
    sources: dict[str, Watermark] = {}
    partitions: dict[str, int] = {}


def advance(clock: Clock, report: Watermarks) -> Clock:
    """The clock after a writer reported on its source partitions.

    One that has not been read to its end holds the clock; one at its end and silent for `idle_s` holds nobody back.
    When all are silent the clock goes on by the time that passed, from where it stands.
    """
    sources = {**clock.sources, **report.sources}
    partitions = {**clock.partitions, **report.partitions}
    wall_s = max(clock.wall_s, report.at.timestamp())
    if len(sources) < sum(partitions.values()):
        return Clock(clock.at_s, wall_s, sources, partitions)
    holders = [mark for mark in sources.values() if not (mark.at_end and mark.silent_s >= report.idle_s)]
    if holders:
        newest = [mark.newest.timestamp() for mark in holders if mark.newest is not None]
        at_s = min(newest) - report.lateness_s if len(newest) == len(holders) else clock.at_s
    elif clock.at_s is None:
        known = [mark.newest.timestamp() for mark in sources.values() if mark.newest is not None]
        at_s = max(known) - report.lateness_s if known else None
    else:
        at_s = clock.at_s + (wall_s - clock.wall_s if clock.wall_s else 0.0)
    if clock.at_s is not None and at_s is not None:
        at_s = max(at_s, clock.at_s)
    return Clock(at_s if at_s is not None else clock.at_s, wall_s, sources, partitions)


class ScopeClock(Struct, frozen=True, array_like=True):
    """A facts partition's clock: the minimum of what the timeline partitions forwarded."""

    clocks: dict[str, float] = {}
    partitions: int = 0

    @property
    def at_s(self) -> float | None:
        return min(self.clocks.values()) if self.clocks and len(self.clocks) >= self.partitions else None


def forwarded(clock: ScopeClock, report: ClockForwarded) -> ScopeClock:
    at_s = max(report.at.timestamp(), clock.clocks.get(report.source, 0.0))
    return ScopeClock({**clock.clocks, report.source: at_s}, report.partitions)
