"""What benchmarks/detecting says about loops and fingerprints holds: measured on the real sessions and on messages of ours."""

from typing import Any

import pytest

from benchmarks.detecting import fingerprints, loops
from benchmarks.detecting.messages import messages
from streams.detect.fingerprint import skeleton

LOOPS = ("tool.identical_call", "loop.stale", "loop.sequence")


@pytest.fixture(scope="module")
def measured(tocsin_data) -> dict[str, Any]:
    return loops.measure(lambda _: None, tocsin_data / "data" / "tau2", most=60)


@pytest.mark.parametrize("late", ["", ", late"], ids=["in order", "late"])
@pytest.mark.parametrize("period", loops.PERIODS)
def test_every_loop_behind_a_real_session_is_found_by_the_stale_rule(measured, period, late):
    found = measured["found"][f"period {period}{late}"]["loop.stale"]
    assert found["share"] == 1
    assert found["calls"] <= period + 7


@pytest.mark.parametrize("late", ["", ", late"], ids=["in order", "late"])
def test_the_same_error_with_other_arguments_each_time_is_found_at_once(measured, late):
    assert measured["found"][f"same error, arguments vary{late}"]["tool.repeated_error"] == {"share": 1, "calls": 3}


def test_another_result_each_time_is_no_loop(measured):
    found = measured["found"]["same call, other result each time"]
    assert {name: row["share"] for name, row in found.items()} == dict.fromkeys(found, 0)


def test_no_successful_session_is_flagged_for_a_loop_and_those_with_errors_are_found(measured):
    assert (measured["sessions"], measured["succeeded"]) == (327, 202)
    assert {name: measured["flagged_succeeded"][name] for name in LOOPS} == dict.fromkeys(LOOPS, 0)
    assert measured["flagged"]["tool.repeated_error"] == 13
    assert measured["flagged"]["loop.stale"] == 8


def test_the_benchmarks_say_it_in_tables(measured):
    assert "| period 8, late |" in loops.table(measured)
    text = fingerprints.table(fingerprints.measure(lambda _: None, size=300))
    assert "| skeleton + merge |" in text


def test_templates_are_told_apart_and_put_together():
    result = fingerprints.measure(lambda _: None, size=4000)
    row = result["methods"]["skeleton + merge"]
    assert row["precision"] > 0.999
    assert row["recall"] > 0.99
    assert row["ga"] > 0.9
    assert result["methods"]["digits -> #"]["ga"] < 0.5


def test_every_template_has_a_skeleton():
    assert all(skeleton(one.text) for one in messages(500))
