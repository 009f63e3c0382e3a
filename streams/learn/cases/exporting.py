"""Regression cases as other tools read them: a line each, or promptfoo's tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ...markdown import JOINER
from ...records import RegressionCase

# promptfoo's own, which an expectation may begin with: `contains: refund`. Not those that run what is written.
ASSERTIONS = (
    "contains",
    "not-contains",
    "icontains",
    "not-icontains",
    "equals",
    "not-equals",
    "regex",
    "not-regex",
    "starts-with",
    "similar",
    "llm-rubric",
    "is-json",
    "contains-json",
)
BARE = ("is-json", "contains-json")
# promptfoo renders values as templates, whose language reaches everything of its process, and loads or runs files and
# packages that a value names. An invisible sign between keeps words of strangers words.
TEMPLATE = re.compile(r"\{(?=[{%#])")
LOADED = re.compile(r"\s*(?:file|package|https?):", re.IGNORECASE)


def jsonl(cases: Iterable[RegressionCase]) -> str:
    """The records as they are on the outcomes' topic."""
    return "".join(msgspec.json.encode(one).decode() + "\n" for one in cases)


def promptfoo(cases: Iterable[RegressionCase]) -> str:
    """A list of test cases, for `tests: file://cases.json`: JSON, which is YAML as well.

    Only what has an expectation: a test that asserts nothing passes.
    """
    tests = [_test(one) for one in cases if one.expectation and one.state != "retired"]
    return json.dumps(tests, indent=2, ensure_ascii=False) + "\n"


def _test(one: RegressionCase) -> dict[str, Any]:
    known = {
        "case_id": one.id,
        "agent": one.agent,
        "incident": one.incident,
        "ticket": one.ticket,
        "fixed_in": one.fixed_in,
        "introduced_in": ", ".join(one.introduced_in),
        "evaluators": ", ".join(one.evaluators),
        "negative": one.negative,
    }
    return {
        "description": words(one.title),
        "vars": {"input": words(one.input), "observed_bad": words(one.observed)},
        "assert": [{**assertion, "metric": one.id} for assertion in assertions(words(one.expectation))],
        "metadata": {name: value for name, value in known.items() if value not in ("", None)},
    }


def words(text: str) -> str:
    """No template, and nothing to load."""
    plain = TEMPLATE.sub("{" + JOINER, text)
    return JOINER + plain if LOADED.match(plain) else plain


def assertions(expectation: str) -> list[dict[str, Any]]:
    """Every line that names one of promptfoo's assertions is one; what is left is for a judge to read."""
    found: list[dict[str, Any]] = []
    rest: list[str] = []
    for line in expectation.splitlines():
        kind, _, value = line.strip().partition(":")
        if kind in BARE:
            found.append({"type": kind})
        elif kind in ASSERTIONS and value.strip():
            found.append({"type": kind, "value": words(value.strip())})
        elif line.strip():
            rest.append(line.strip())
    return [*found, *([{"type": "llm-rubric", "value": words("\n".join(rest))}] if rest else [])]
