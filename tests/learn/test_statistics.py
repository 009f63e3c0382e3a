"""The numbers that gates decide by, held against what is known of them."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.learn.gates import statistics
from streams.records import GateCell, GateShare, Measure

CELLS = st.lists(st.builds(GateCell, st.floats(0.001, 0.999), st.integers(0, 50), st.integers(0, 50)), max_size=5)


@pytest.mark.parametrize(("limit", "sessions"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598), (0.001, 2995)])
def test_clean_sessions_that_rule_out_a_share(limit, sessions):
    assert statistics.clean_needed(limit) == sessions


@pytest.mark.parametrize(
    ("x", "a", "b", "share"),
    [
        (0.5, 2, 3, 0.6875),
        (0.9, 26, 1, 0.9**26),
        (0.01, 1, 100, 1 - 0.99**100),
        (0.3, 5, 5, 0.0988086586),
        (0.999, 500, 2, 0.999**501 + 501 * 0.999**500 * 0.001),
        (0.0, 3, 4, 0.0),
        (1.0, 3, 4, 1.0),
    ],
)
def test_the_mass_of_a_beta_distribution(x, a, b, share):
    assert statistics.share_below(x, a, b) == pytest.approx(share, rel=1e-6)


@given(st.floats(0.001, 0.999), st.integers(1, 3000), st.integers(1, 3000))
def test_the_two_sides_of_a_beta_distribution_are_one(x, a, b):
    both = statistics.share_below(x, a, b) + statistics.share_below(1 - x, b, a)
    assert both == pytest.approx(1.0, abs=1e-9)


def test_an_objective_is_broken_as_soon_as_the_design_says():
    """At 5 %: 25 % is found after 20 sessions; at 1 %: 5 % after 130."""
    assert statistics.above(0.05, 5, 20) >= 20
    assert statistics.above(0.05, 1, 20) < 20
    assert statistics.above(0.01, 7, 130) >= 20
    assert statistics.above(0.01, 1, 100) < 1
    assert statistics.above(0.05, 0, 0) == pytest.approx(1.0)
    assert statistics.above(0.001, 5000, 5000) == statistics.E_MAX, "and no number is too large for JSON"


def test_evidence_that_an_objective_is_met_is_its_mirror_image():
    assert statistics.below(0.05, 0, 0) == pytest.approx(1.0)
    assert statistics.below(0.05, 4, 400) >= 20
    assert statistics.below(0.05, 20, 400) < 20
    assert statistics.below(0.3, 3, 40) == pytest.approx(statistics.above(0.7, 37, 40))


def test_bets_reach_as_far_as_they_should():
    worse, safe = statistics.worse(0.25), statistics.safe(2.0)
    assert len(worse.ratios) == len(safe.ratios) == 32
    assert worse.ratios[0] > worse.null == 1.25
    assert worse.ratios[-1] == pytest.approx(20.0)
    assert safe.ratios[0] == pytest.approx(0.05)
    assert 1.7 < safe.ratios[-1] < safe.null == 2.0


def test_a_bad_session_of_the_candidate_at_a_small_share_weighs_more():
    small = statistics.evidence(statistics.worse(), (GateCell(0.01, 3, 10),))
    large = statistics.evidence(statistics.worse(), (GateCell(0.5, 3, 10),))
    assert small > 20 > large


def test_one_arm_alone_says_nothing():
    for share in (0.0, 1.0):
        assert statistics.evidence(statistics.worse(), (GateCell(share, 50, 0),)) == pytest.approx(1.0)


@given(CELLS, CELLS)
def test_evidence_adds_up_in_any_order(first, second):
    bet = statistics.worse()
    logs = [0.0] * len(bet.ratios)
    for cell in (*second, *first):
        logs = statistics.grown(logs, bet, cell)
    assert statistics.e_value(logs) == pytest.approx(statistics.evidence(bet, (*first, *second)), rel=1e-9)


@given(st.floats(0.01, 0.99), st.sampled_from([statistics.worse(0.0), statistics.worse(0.5), statistics.safe(2.0)]))
def test_a_bet_is_fair_where_its_claim_holds(share, bet):
    """The mean of what one bad session makes of 1, when the candidate fails exactly `null` times as often."""
    chance = bet.null * share / (bet.null * share + 1 - share)
    candidate, baseline = (statistics.e_value(logs) for logs in statistics.weights(bet, share))
    assert chance * candidate + (1 - chance) * baseline == pytest.approx(1.0)


def test_sessions_that_are_not_split_as_declared_show_and_small_differences_do_not():
    assert statistics.skew([GateShare(0.1, 400, 600)]) >= statistics.SAMPLE_RATIO_E
    assert statistics.skew([GateShare(0.5, 300, 700)]) >= statistics.SAMPLE_RATIO_E
    assert statistics.skew([GateShare(0.1, 10_050, 89_950)]) < 1
    assert statistics.skew([]) == pytest.approx(1.0)


def test_measures_share_the_error():
    assert statistics.threshold(0.05) == 20
    assert statistics.threshold(0.05, 5) == 100
    assert statistics.threshold(0.05, 9) == 100


def test_an_interval_is_that_of_the_sequence():
    rho2 = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 5000
    wanted = 2 * math.sqrt(2 * (1000 * rho2 + 1) / (1000**2 * rho2) * math.log(math.sqrt(1000 * rho2 + 1) / 0.05))
    assert statistics.half_width(2.0, 1000, 0.05) == pytest.approx(wanted)


def test_quantities_are_found_worse_when_they_are_and_seldom_when_they_are_not():
    draw = random.Random(5)

    def measure(mean, count):
        some = [draw.gauss(mean, 1.0) for _ in range(count)]
        return Measure(count, sum(some), sum(one * one for one in some))

    found = [statistics.difference(measure(1.0, 2000), measure(1.0, 2000), 0.05) for _ in range(60)]
    assert sum(one.low > 0 for one in found) <= 3
    worse = statistics.difference(measure(1.5, 2000), measure(1.0, 2000), 0.05)
    assert worse.low > math.log(1.2) and worse.mean == pytest.approx(0.5, abs=0.15)
    assert statistics.difference(Measure(1, 1.0, 1.0), measure(1.0, 9), 0.05) is None


def test_an_estimate_shrinks_with_what_is_won_and_grows_with_a_thin_arm():
    bet = statistics.safe()
    assert statistics.bad_needed(bet, 0.5, 20) < statistics.bad_needed(bet, 0.05, 20)
    assert statistics.bad_needed(bet, 0.5, 5) < statistics.bad_needed(bet, 0.5, 20)
    assert statistics.bad_needed(bet, 1.0, 20) == math.inf
