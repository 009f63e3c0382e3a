"""A false positive of a threshold proposes the next one, with what it would have done; nobody applies it unasked."""

import builders as b
import pytest

from streams import policy
from streams.command.replay import _changed
from streams.learn.power.limits import LIMITS, Seen, preview
from streams.learn.power.proposing import Proposing
from streams.records import Decided, Outcome

POLICY = policy.load()
THRESHOLDS = {name: stanza.thresholds for name, stanza in POLICY.detectors.items()}


def decided(detector, observed, outcome="false_positive", severity="medium", agent="billing", **given):
    name = f"v1:{detector}:x#1"
    subject = {"agent": agent, "tool": "search"}
    about = b.incident(0, id=name, detector=detector, severity=severity, observed=observed, subject=subject)
    return Decided(Outcome(name, outcome, b.at(given.pop("at", 9)), "ann", "jira", **given), about)


def proposed(*records):
    decider, memory, said = Proposing(THRESHOLDS), None, []
    for record in records:
        assert decider.key(record)
        step = decider.step(memory, record)
        memory, said = step.remember, [*said, *step.say]
    return said


@pytest.mark.parametrize(
    ("detector", "severity", "observed", "threshold", "value"),
    [
        ("cost.session", "medium", "7.42 in 31 priced calls", "floor", 7.5),
        ("cost.session", "high", "12.00 in 31 priced calls", "budget", 13),
        ("cost.retry_share", "medium", "0.45 of 0.90 in 7 retries", "share_max", 0.51),
        ("cost.rate", "medium", "9.00 in 5 minutes; 4.20 beyond the expected by now; most of it for x", "floor", 4.3),
        ("cost.peers", "medium", "3.20 so far in session s", "floor", 3.3),
        ("tool.repeated_error", "high", "5 errors of search in the last 9 calls of a session", "errors_min", 6),
        ("tool.identical_call", "medium", "7 of the last 20 calls are the same, 7 in a row", "same_min", 8),
        ("tool.latency", "medium", "95 % of 40 calls in 10 minutes took up to 2431 ms", "floor_ms", 2500),
        ("context.pressure", "medium", "93% of the window", "ratio_max", 0.94),
    ],
)
def test_the_next_value_is_one_with_which_it_would_have_kept_silent(detector, severity, observed, threshold, value):
    (found,) = proposed(decided(detector, observed, severity=severity))
    assert (found.threshold, found.value) == (threshold, value)
    assert policy.parse(found.stanza + "\n", "policy.toml").detectors[detector].overrides
    setting = found.command.partition("--set ")[2].strip("'")
    assert _changed(None, None, (setting,)).digest != POLICY.digest


@pytest.mark.parametrize(
    "record",
    [
        decided("tool.repeated_error", "5 errors of search in the last 9", "fixed"),
        decided("tool.repeated_error", "5 errors of search in the last 9", why="test_traffic"),
        decided("tool.repeated_error", "something else"),
        decided("tool.repeated_error", "2 errors of search in the last 9"),  # it was not this threshold
        decided("context.pressure", "100% of the window"),  # there is none so high
        decided("tool.repeated_error", ""),
    ],
)
def test_nothing_is_proposed_that_would_not_help(record):
    assert proposed(record) == []


def test_who_changes_their_mind_takes_the_proposal_back():
    wrong = decided("tool.repeated_error", "5 errors of search in the last 9")
    said = proposed(wrong, wrong, decided("tool.repeated_error", "5 errors of search in the last 9", "fixed", at=20))
    assert [one.withdrawn for one in said] == [False, True]


def test_an_agent_whose_name_is_no_key_gets_the_threshold_for_everybody():
    (found,) = proposed(decided("tool.repeated_error", "5 errors of search", agent='x"]\n[evil'))
    assert found.stanza == '[detectors."tool.repeated_error"]\nerrors_min = 6'
    assert "evil" not in found.command


def test_the_preview_says_what_would_be_lost_and_what_spared():
    rows = [
        Seen("1", "5 errors of a in the last 9", "high", "false_positive"),
        Seen("2", "4 errors of a in the last 9", "high", "fixed"),
        Seen("3", "9 errors of a in the last 9", "high", "fixed"),
        Seen("4", "3 errors of a in the last 9", "high", ""),
        Seen("5", "unreadable", "high", "false_positive"),
    ]
    assert preview("tool.repeated_error", "high", 6, rows) == (5, 1, 1, 1)


def test_every_limit_names_a_threshold_that_the_policy_has():
    assert {name for name, limit in LIMITS.items() if not hasattr(THRESHOLDS[name], limit.threshold)} == set()
