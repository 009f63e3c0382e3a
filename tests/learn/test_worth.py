"""What few decisions say of an evaluator: the tables that its power rests on."""

from random import Random

import pytest

from streams.learn.power import worth

WILSON = [
    (0, 1, 0.00, 0.73, 0.986, 0.94),
    (3, 3, 0.53, 1.00, 0.41, 0.17),
    (4, 5, 0.44, 0.95, 0.80, 0.44),
    (8, 10, 0.54, 0.93, 0.86, 0.38),
    (10, 10, 0.79, 1.00, 0.14, 0.02),
    (18, 20, 0.74, 0.97, 0.54, 0.05),
    (20, 20, 0.88, 1.00, 0.04, 0.01),
    (45, 50, 0.81, 0.95, 0.53, 0.01),
]


@pytest.mark.parametrize("row", WILSON)
def test_the_interval_is_honest_about_few_decisions(row):
    right, all_, low, high, nine, three_quarters = row
    found = worth.wilson(right, all_ - right)
    assert (round(found.low, 2), round(found.high, 2)) == (low, high)
    assert worth.below(0.9, right, all_ - right) == pytest.approx(nine, abs=0.006)
    at_most = worth.below(0.75, right, all_ - right)
    assert at_most < 0.01 if three_quarters == 0.01 else at_most == pytest.approx(three_quarters, abs=0.006)


def rejections_to_lose(confirmed: int, p: float) -> int:
    return next(bad for bad in range(100) if worth.e_value(confirmed, bad, p) >= worth.LOST)


@pytest.mark.parametrize(("confirmed", "rejections"), [(0, 2), (2, 3), (4, 4), (7, 5), (17, 8)])
def test_block_is_lost_by_few_rejections_and_a_record_buys_some(confirmed, rejections):
    assert rejections_to_lose(confirmed, worth.BLOCK) == rejections
    assert rejections_to_lose(confirmed + 1, worth.BLOCK) > rejections


@pytest.mark.parametrize(("confirmed", "rejections"), [(0, 3), (1, 5), (2, 6), (5, 8)])
def test_a_page_is_lost_later_than_block(confirmed, rejections):
    assert rejections_to_lose(confirmed, worth.PAGE) == rejections


@pytest.mark.parametrize(
    ("p", "rejected", "confirmations"),
    [
        (worth.TICKET, 0, 3),
        (worth.PAGE, 0, 9),
        (worth.PAGE, 1, 16),
        (worth.BLOCK, 0, 25),
        (worth.BLOCK, 1, 42),
        (worth.BLOCK, 2, 58),
    ],
)
def test_power_is_earned_by_so_many_decisions(p, rejected, confirmations):
    enough = next(all_ for all_ in range(rejected, 200) if worth.lower(all_ - rejected, rejected) >= p)
    assert enough == confirmations


def test_four_rejections_in_a_row_end_a_good_record():
    record = [True] * 100
    assert worth.cusum(record + [False] * 3) < worth.CUSUM_MAX <= worth.cusum(record + [False] * 4)


def test_a_fall_to_one_half_is_noticed_soon_after_a_hundred_good_ones():
    """Median 7 decisions by the sum, about 51 by the e-value, of a record of 97 in 100: both are needed."""
    chance = Random(7)
    by_sum, by_evidence = [], []
    for _ in range(300):
        sum_, good, bad, found = 0.0, 97, 3, [0, 0]
        for number in range(1, 400):
            right = chance.random() < 0.5
            sum_ = max(0.0, sum_ + (-worth.CUSUM_CONFIRMED if right else worth.CUSUM_REJECTED))
            good, bad = good + right, bad + (not right)
            found[0] = found[0] or (number if sum_ >= worth.CUSUM_MAX else 0)
            found[1] = found[1] or (number if worth.e_value(good, bad, 0.9) >= worth.LOST else 0)
            if all(found):
                break
        by_sum.append(found[0])
        by_evidence.append(found[1])
    assert sorted(by_sum)[150] == pytest.approx(7, abs=1)
    assert sorted(by_evidence)[150] == pytest.approx(51, abs=5)


def test_the_share_of_a_beta_agrees_with_the_binomial_sum():
    from math import comb

    for good, bad, p in ((3, 4, 0.3), (20, 1, 0.9), (0, 9, 0.05), (60, 40, 0.6)):
        n = good + bad + 1
        summed = sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(good + 1, n + 1))
        assert worth.beta_share(p, good + 1, bad + 1) == pytest.approx(summed, rel=1e-9)


def test_evidence_has_no_end_that_raises():
    assert worth.e_value(0, 5000, 0.9) == float("inf")
    assert worth.e_value(10**6, 0, 0.9) < 1


def test_old_decisions_fade_and_all_of_them_have_a_bound():
    assert worth.decayed(90, 90) == 0.5
    assert worth.decayed(-5, 90) == 1.0
    assert sum(worth.capped((300.0, 100.0))) == pytest.approx(100)
    assert worth.inherited((20.0, 5.0)) == pytest.approx((4.0, 1.0))
    assert sum(worth.inherited((90.0, 10.0))) == pytest.approx(10)


def test_the_corrected_rate_undoes_the_evaluators_errors():
    """Sensitivity .9, specificity .98: of 1 % bad sessions 2.88 % are flagged."""
    found = worth.corrected((288, 10_000), (900, 1000), (980, 1000))
    assert found is not None
    assert found.value == pytest.approx(0.01, abs=1e-9)
    assert found.low < 0.01 < found.high


def test_no_rate_is_corrected_by_an_evaluator_that_guesses_or_that_nobody_audited():
    assert worth.corrected((5, 10), (5, 10), (5, 10)) is None
    assert worth.corrected((5, 10), (0, 0), (5, 10)) is None


def test_the_interval_of_the_corrected_rate_covers_it_as_often_as_it_says():
    chance, hit = Random(3), 0
    for _ in range(400):
        seen = sum(chance.random() < (0.9 if chance.random() < 0.1 else 0.05) for _ in range(500))
        of_bad = sum(chance.random() < 0.9 for _ in range(60))
        of_good = sum(chance.random() < 0.95 for _ in range(120))
        found = worth.corrected((seen, 500), (of_bad, 60), (of_good, 120))
        hit += found is not None and found.low <= 0.1 <= found.high
    assert hit / 400 == pytest.approx(0.9, abs=0.05)


def test_agreement_is_shown_beside_what_saying_the_same_always_would_reach():
    found = worth.agreement(0, 1, 9, 90)
    assert found is not None
    assert found.agreed == found.constant - 0.01
    assert found.kappa < 0.01
    assert worth.agreement(0, 0, 0, 0) is None
