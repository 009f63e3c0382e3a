"""What intake says about how far it has read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams.intake.watermarks import Progress
from streams.records import Watermark

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
ALL = {"agent.events/1": 4}


def progress(*sources: str) -> Progress:
    made = Progress("intake-0", 30.0, 60.0)
    made.own(sources, 100.0)
    return made


def said(of: Progress, now_s: float = 100.0) -> dict[str, Watermark]:
    watermarks = of.watermarks(AT, now_s, ALL)
    assert watermarks is not None
    assert watermarks.partitions == ALL
    assert (watermarks.lateness_s, watermarks.idle_s, watermarks.at) == (30.0, 60.0, AT)
    return watermarks.sources


def test_a_partition_without_any_message_is_at_its_end_and_has_no_newest_time() -> None:
    made = progress("e/1/0")
    made.ends({"e/1/0": True})
    assert said(made, 107.5) == {"e/1/0": Watermark(newest=None, at_end=True, silent_s=7.5)}


def test_the_newest_time_never_goes_back() -> None:
    made = progress("e/1/0")
    made.heard({"e/1/0": AT}, 101.0)
    made.heard({"e/1/0": AT - timedelta(hours=1)}, 102.0)
    assert said(made, 102.0)["e/1/0"].newest == AT


def test_a_message_that_could_not_be_used_ends_the_silence_but_moves_no_time() -> None:
    made = progress("e/1/0")
    made.heard({"e/1/0": None}, 150.0)
    assert said(made, 151.0)["e/1/0"] == Watermark(newest=None, at_end=False, silent_s=1.0)


def test_a_partition_that_moved_away_is_no_longer_spoken_of() -> None:
    made = progress("e/1/0", "e/1/1")
    made.heard({"e/1/0": AT}, 101.0)
    made.own(["e/1/0", "e/1/2"], 102.0)
    made.heard({"e/1/1": AT}, 103.0)
    assert set(said(made)) == {"e/1/0", "e/1/2"}
    assert said(made)["e/1/0"].newest == AT


def test_a_writer_that_owns_nothing_says_nothing() -> None:
    assert progress().watermarks(AT, 100.0, ALL) is None
