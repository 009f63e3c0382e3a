"""What people decided becomes a case, what they expect makes it count, and its runs are judged."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from learn.booking import sighted

from streams.learn.cases.exporting import assertions, jsonl, promptfoo
from streams.learn.cases.making import Cases, Kept, case_state, judged
from streams.records import CaseScoredData, CaseWritten, Decided, Outcome, RegressionCase

AT = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
CASES = Cases("sha256:7")
KEY = CASES.key(Decided(Outcome("i", "fixed", AT), sighted()))


def decided(outcome="fixed", hours=0.0, incident=None, **given):
    incident = incident or sighted(ticket="OPS-1", judges=("LLM:grounded@4",))
    return Decided(Outcome(incident.id, outcome, AT + timedelta(hours=hours), "Ada", "jira", **given), incident)


def written(**given):
    return CaseWritten(KEY, "Bruno", AT + timedelta(hours=1), **given)


def after(*records, memory: Kept | None = None):
    """The case as it stands, and how often it was said."""
    said = 0
    for record in records:
        assert CASES.key(record) == KEY
        step = CASES.step(memory, record)
        memory, said = step.remember, said + len(step.say)
    return (memory.case if memory else None), said


@pytest.mark.parametrize(
    ("runs", "passes", "baseline", "state"),
    [
        (0, 0, None, "missing"),
        (2, 2, None, "missing"),
        (3, 2, None, "verified"),
        (3, 1, None, "failed"),
        (4, 2, None, "failed"),  # half is no majority
        (3, 0, 3, "failed"),
        (3, 0, 1, "unreliable"),  # it fails there as well
        (3, 3, 0, "verified"),  # the baseline has what it was made of
        (3, 4, None, "missing"),  # nonsense says nothing
    ],
)
def test_the_majority_of_three_runs_at_least_decides(runs, passes, baseline, state):
    assert case_state(runs, passes, baseline) == state
    scored = CaseScoredData(case_id="c", agent="a", release="8", runs=runs, passes=passes, baseline_passes=baseline)
    assert judged([scored]) == state


def test_runs_add_up_whoever_made_them():
    once = [
        CaseScoredData(case_id="c", agent="a", release="8", runs=1, passes=one, baseline_passes=1) for one in (1, 0, 0)
    ]
    assert [judged(once[:count]) for count in (1, 2, 3)] == ["missing", "missing", "failed"]


def test_a_fix_becomes_a_draft_that_knows_where_it_came_from():
    case, said = after(decided(fixed_in="2026.09.4"))
    assert (case.state, case.agent, case.ticket, case.fixed_in, said) == (
        "draft",
        "support-bot",
        "OPS-1",
        "2026.09.4",
        1,
    )
    assert case.references == ("agent.events/1/0/7",)
    assert (case.evaluators, case.introduced_in, case.redaction) == (("LLM:grounded@4",), ("2026.09.3",), "sha256:7")


def test_it_counts_once_somebody_says_what_is_expected():
    case, _ = after(decided(), written(expectation="asks before it refunds", input="refund me"))
    assert (case.state, case.author, case.expectation, case.input) == (
        "ready",
        "Bruno",
        "asks before it refunds",
        "refund me",
    )
    case, _ = after(decided(), written(expectation="x"), written(expectation=" "))
    assert case.state == "draft"


def test_no_secret_gets_into_a_case():
    incident = sighted(observed="the tool said password=hunter2hunter2")
    case, _ = after(decided(incident=incident), written(expectation="no ghp_" + "a" * 36, input="api_key=abcd1234efgh"))
    assert "hunter2" not in case.observed
    assert "ghp_aaaa" not in case.expectation
    assert "abcd1234" not in case.input


@pytest.mark.parametrize(
    ("outcome", "given", "kept"),
    [
        ("fixed", {}, True),
        ("accepted_risk", {}, True),
        ("cannot_reproduce", {}, True),
        ("external_cause", {}, False),
        ("external_cause", {"cause": "tool"}, True),
        ("false_positive", {"why": "stale_reference"}, True),
        ("false_positive", {"why": "test_traffic"}, False),
        ("false_positive", {"pressed": True}, False),
        ("wont_fix", {}, False),
        ("duplicate", {}, False),
        ("unspecified", {}, False),
    ],
)
def test_only_what_there_is_to_learn_from_becomes_a_case(outcome, given, kept):
    case, said = after(decided(outcome, **given))
    assert (case is not None, bool(said)) == (kept, kept)
    assert case is None or case.negative is (outcome == "false_positive")


def test_taking_the_decision_back_withdraws_a_draft_and_leaves_what_a_person_wrote():
    draft, _ = after(decided(), decided("unspecified", 1, reopened=True))
    assert draft.state == "retired"
    again, _ = after(decided(), decided("unspecified", 1, reopened=True), decided(hours=2))
    assert again.state == "draft"
    kept, _ = after(decided(), written(expectation="x"), decided("wont_fix", 2))
    assert (kept.state, kept.expectation) == ("ready", "x")


def test_what_is_expected_of_an_agent_is_not_expected_of_its_judge():
    case, _ = after(decided(), written(expectation="asks first"), decided("false_positive", 2, why="evaluator_wrong"))
    assert (case.state, case.negative, case.expectation) == ("draft", True, "")


def test_what_a_person_retired_only_words_bring_back():
    case, _ = after(decided(), written(retired=True), decided(hours=2, fixed_in="9"))
    assert (case.state, case.fixed_in) == ("retired", "9")
    case, _ = after(decided(), written(retired=True), written(expectation="asks first"))
    assert case.state == "ready"


def test_a_decision_that_is_older_than_the_last_one_changes_nothing():
    case, said = after(decided(hours=2, fixed_in="9"), decided(hours=1, fixed_in="8"))
    assert (case.fixed_in, said) == ("9", 1)


def test_nobody_writes_to_a_case_that_there_is_not():
    assert CASES.step(None, written(expectation="x")).remember is None


def ready(**given):
    known = {
        "id": "case-1",
        "agent": "a",
        "incident": "i",
        "fingerprint": "f",
        "state": "ready",
        "title": "Refunds twice",
    }
    return RegressionCase(**{**known, "at": AT, "expectation": "asks first", "input": "refund me", **given})


def test_each_line_of_the_export_is_a_case():
    lines = jsonl([ready(), ready(id="case-2")]).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["case-1", "case-2"]


def test_promptfoo_gets_tests_that_assert_something():
    (test,) = json.loads(promptfoo([ready(), ready(expectation="", state="draft"), ready(state="retired")]))
    assert test == {
        "description": "Refunds twice",
        "vars": {"input": "refund me", "observed_bad": ""},
        "assert": [{"type": "llm-rubric", "value": "asks first", "metric": "case-1"}],
        "metadata": {"case_id": "case-1", "agent": "a", "incident": "i", "negative": False},
    }


@pytest.mark.parametrize(
    "evil",
    [
        "{{ range.constructor('return process.env')() }}",
        "{% include 'x' %}",
        "{# x #}",
        "{{{x}}}",
        "file://steal.js",
        " FILE://etc/passwd",
        "package:evil:run",
        "javascript: process.exit(1)",
        "python: import os",
        "contains: file:///etc/passwd",
    ],
)
def test_words_of_strangers_are_no_templates_files_or_programs_for_promptfoo(evil):
    told = promptfoo([ready(title=evil, input=evil, observed=evil, expectation=evil)])
    (test,) = json.loads(told)
    assert not re.search(r"\{[{%#]", json.dumps([test["vars"], test["assert"], test["description"]]))
    values = [*test["vars"].values(), *(one["value"] for one in test["assert"])]
    assert not any(re.match(r"\s*(file|package):", value, re.IGNORECASE) for value in values)
    assert {one["type"] for one in test["assert"]} <= {"llm-rubric", "contains"}
    assert test["vars"]["input"].replace("\u2060", "") == evil


def test_a_line_may_be_an_assertion_and_the_rest_is_for_a_judge():
    text = "contains: order number\nis-json\nis polite\nregex: ^OK: .*$\nnonsense: of mine"
    assert assertions(text) == [
        {"type": "contains", "value": "order number"},
        {"type": "is-json"},
        {"type": "regex", "value": "^OK: .*$"},
        {"type": "llm-rubric", "value": "is polite\nnonsense: of mine"},
    ]
