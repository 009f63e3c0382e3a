"""Time is data: the clock of a partition, sentence by sentence."""

from __future__ import annotations

import builders as b

from streams.detect.clock import Clock, ScopeClock, advance, forwarded
from streams.records import Watermark, Watermarks

A, B = "agent.events/1/0", "agent.events/1/1"
TWO = {"agent.events/1": 2}


def reading(newest: float | None) -> Watermark:
    return Watermark(newest=None if newest is None else b.at(newest))


def silent(newest: float | None, seconds: float = 60.0) -> Watermark:
    return Watermark(newest=None if newest is None else b.at(newest), at_end=True, silent_s=seconds)


def report(wall: float, sources: dict[str, Watermark], writer: str = "intake-0") -> Watermarks:
    return b.watermarks(wall, writer=writer, partitions=TWO, sources=sources, lateness_s=30.0, idle_s=60.0)


def told(*reports: Watermarks) -> float | None:
    """The clock after these reports, in seconds after the epoch of the tests."""
    clock = Clock()
    for one in reports:
        clock = advance(clock, one)
    return None if clock.at_s is None else clock.at_s - b.EPOCH.timestamp()


def test_it_is_the_minimum_over_the_sources_less_the_lateness() -> None:
    assert told(report(500, {A: reading(100), B: reading(130)})) == 70


def test_it_waits_until_every_partition_has_been_reported() -> None:
    assert told(report(500, {A: reading(100)})) is None
    assert told(report(500, {A: reading(100)}), report(501, {B: reading(130)}, "intake-1")) == 70


def test_a_backlog_makes_nobody_late() -> None:
    """A partition that has not been read to its end holds the clock, however long its writer says nothing new."""
    behind = Watermark(newest=b.at(10), at_end=False, silent_s=900)
    assert told(report(500, {A: behind, B: reading(1000)})) == -20


def test_a_partition_that_nobody_has_read_yet_holds_it() -> None:
    unread = Watermark(newest=None, at_end=False)
    assert told(report(500, {A: unread, B: reading(1000)})) is None


def test_one_at_its_end_and_silent_for_a_minute_holds_nobody_back() -> None:
    assert told(report(500, {A: silent(10), B: reading(1000)})) == 970
    assert told(report(500, {A: silent(10, 59.0), B: reading(1000)})) == -20


def test_one_that_never_had_an_event_holds_nobody_back_after_that_minute() -> None:
    assert told(report(500, {A: silent(None), B: reading(1000)})) == 970


def test_what_a_silent_one_says_later_is_merely_late() -> None:
    assert told(report(500, {A: silent(10), B: reading(1000)}), report(501, {A: reading(11)})) == 970


def test_when_all_are_silent_it_goes_on_by_elapsed_time_from_where_it_stands() -> None:
    before = report(5000, {A: silent(100), B: reading(130)})
    both = {A: silent(100), B: silent(130)}
    assert told(before) == 100
    assert told(before, report(5007, both)) == 107
    assert told(before, report(5007, both), report(5010, both)) == 110


def test_when_all_are_silent_from_the_start_it_begins_at_the_newest() -> None:
    assert told(report(5000, {A: silent(100), B: silent(130)})) == 100


def test_it_never_goes_to_the_wall_clock() -> None:
    both = {A: silent(100), B: silent(130)}
    clock = told(report(90_000, both), report(90_001, both))
    assert clock == 101


def test_it_never_goes_back() -> None:
    assert (
        told(report(500, {A: reading(1000), B: reading(1000)}), report(501, {A: reading(2), B: reading(1000)})) == 970
    )


def test_a_writer_with_a_slow_watch_does_not_take_time_back() -> None:
    both = {A: silent(100), B: silent(130)}
    assert told(report(5000, both), report(4000, both, "intake-1"), report(5004, both)) == 104


def test_reading_a_report_twice_changes_nothing() -> None:
    both = report(5007, {A: silent(100), B: silent(130)})
    clock = advance(advance(Clock(), report(5000, {A: silent(100), B: silent(130)})), both)
    assert advance(clock, both) == clock


def test_without_events_anywhere_there_is_no_time() -> None:
    assert told(report(5000, {A: silent(None), B: silent(None)})) is None


def test_scopes_take_the_minimum_of_what_every_timeline_partition_forwarded() -> None:
    clock = forwarded(ScopeClock(), b.clock_forwarded(50, source="tocsin.timeline/0", partitions=2))
    assert clock.at_s is None
    clock = forwarded(clock, b.clock_forwarded(40, source="tocsin.timeline/1", partitions=2))
    assert clock.at_s == b.at(40).timestamp()


def test_a_scopes_clock_never_goes_back() -> None:
    clock = forwarded(ScopeClock(), b.clock_forwarded(50))
    assert forwarded(clock, b.clock_forwarded(40)).at_s == b.at(50).timestamp()
