"""The scorer of the NAB section, against a case computed by hand from NAB's published rule."""

from __future__ import annotations

import pytest

from benchmarks.detecting.scoring import LOW_FN, LOW_FP, STANDARD, Window, normalised, points, probation, sigmoid

WINDOW = Window(40, 49)


def test_a_small_case_computed_by_hand() -> None:
    """10: probation. 20: false, out of nowhere, -1. 45: 5 of 10 rows from the end. 47: no more. 60: false, 11 rows after.

    sigma(-0.5) = 2 / (1 + e^-2.5) - 1 = 0.848284, over sigma(-1) = 0.986614, is 0.859793;
    sigma(11 / 9) = 2 / (1 + e^6.1111) - 1 = -0.995574.
    """
    found = points([10, 20, 45, 47, 60], [WINDOW], 100)
    assert found.hits == (pytest.approx(0.859793, abs=1e-6),)
    assert found.false == pytest.approx(-1.995574, abs=1e-6)
    assert normalised([found], STANDARD) == pytest.approx(100 * (0.859793 - 0.11 * 1.995574 + 1) / 2, abs=1e-4)
    assert normalised([found], LOW_FP) == pytest.approx(100 * (0.859793 - 0.22 * 1.995574 + 1) / 2, abs=1e-4)
    assert normalised([found], LOW_FN) == pytest.approx(100 * (0.859793 - 0.11 * 1.995574 + 2) / 3, abs=1e-4)


def test_every_window_at_its_first_row_is_a_hundred_and_silence_is_nothing() -> None:
    windows = [WINDOW, Window(70, 79)]
    for profile in (STANDARD, LOW_FP, LOW_FN):
        assert normalised([points([40, 70], windows, 100)], profile) == pytest.approx(100)
        assert normalised([points([], windows, 100)], profile) == pytest.approx(0)


def test_a_missed_window_costs_more_where_misses_are_feared() -> None:
    part = [points([40], [WINDOW, Window(70, 79)], 100)]
    assert normalised(part, STANDARD) == pytest.approx(50)
    assert normalised(part, LOW_FN) == pytest.approx(100 * (1 - 2 + 4) / (2 + 4))


def test_a_detection_just_after_a_window_costs_less_than_a_late_one() -> None:
    just, late = points([50], [WINDOW], 100).false, points([90], [WINDOW], 100).false
    assert -0.6 < just < 0
    assert late == -1.0


def test_probation_is_fifteen_percent_and_at_most_750_rows() -> None:
    assert probation(100) == 15
    assert probation(4032) == 604
    assert probation(22695) == 750


def test_the_sigmoid_passes_zero_at_the_windows_end() -> None:
    assert sigmoid(0) == 0
    assert sigmoid(-1) == pytest.approx(0.986614, abs=1e-6)
    assert sigmoid(3.1) == -1
