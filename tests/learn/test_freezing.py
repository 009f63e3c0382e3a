"""When a freeze begins and ends is said, never guessed."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from streams.learn.gates import freezing
from streams.records import FreezeAsked

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
ASKED = FreezeAsked(
    begins="2026-12-20T18:00", ends="2027-01-04T08:00", timezone="Europe/Berlin", reason="holidays", actor="ada"
)


def test_edges_are_moments_of_the_timezone_that_was_named():
    freeze = freezing.asked(ASKED, NOW)
    assert freeze.begins == datetime(2026, 12, 20, 17, tzinfo=UTC)
    assert freeze.ends == datetime(2027, 1, 4, 7, tzinfo=UTC)
    assert (freeze.agents, freeze.environments, freeze.exempt) == (("*",), ("*",), "fixes")


def test_an_offset_needs_no_timezone():
    given = replace(ASKED, begins="2026-12-20T18:00+01:00", ends="2026-12-21T18:00Z", timezone="")
    assert freezing.asked(given, NOW).ends == datetime(2026, 12, 21, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"begins": ""}, "`from` is no moment"),
        ({"ends": "9999-12-31T23:59:59-14:00"}, "`until` is beyond every calendar"),
        ({"begins": "0001-01-01T00:00", "timezone": "Europe/Berlin"}, "`from` is beyond every calendar"),
        ({"ends": "next week"}, "`until` is no moment"),
        ({"timezone": ""}, "has no offset"),
        ({"timezone": "Berlin"}, "no timezone Berlin"),
        ({"timezone": "../../etc/passwd"}, "no timezone"),
        ({"ends": "2026-12-20T18:00"}, "ends after it begins"),
        ({"begins": "2026-09-01T00:00", "ends": "2026-09-02T00:00"}, "has passed"),
        ({"ends": "2027-12-20T18:00"}, "90 days"),
        ({"begins": "2027-03-28T02:30", "ends": "2027-03-29T02:30"}, "does not exist"),
        ({"begins": "2026-10-25T02:30"}, "comes twice"),
        ({"reason": " "}, "Say why"),
        ({"agents": ()}, "Name agents"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_words(wrong, words):
    assert words in freezing.asked(replace(ASKED, **wrong), NOW)
