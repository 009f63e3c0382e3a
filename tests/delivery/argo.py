"""Argo Rollouts as far as our template uses it: arguments, one measurement of the web provider, and a run of many."""

import json
import re

SUCCESSFUL, FAILED, INCONCLUSIVE, ERROR, RUNNING = "Successful", "Failed", "Inconclusive", "Error", "Running"
EFFECT = {SUCCESSFUL: "continues", FAILED: "aborts", INCONCLUSIVE: "pauses", ERROR: "aborts", RUNNING: "waits"}


def filled(text, args):
    """Placeholders are replaced when the run is made; one without a value is refused."""
    return re.sub(r"\{\{\s*args\.([\w-]+)\s*\}\}", lambda found: args[found[1]], text)


def path(document, expression):
    """`{$.a.b}`; KeyError where there is nothing."""
    found = document
    for part in re.fullmatch(r"\{\$((?:\.\w+)+)\}", expression)[1].split(".")[1:]:
        found = found[part]
    return found


def holds(expression, **names):
    """`==`, `||` and `&&` over dotted names, strings, numbers and true."""
    return any(all(_equal(one, names) for one in alternative.split("&&")) for alternative in expression.split("||"))


def _equal(comparison, names):
    left, right = (part.strip() for part in comparison.split("=="))
    found, *parts = left.split(".")
    value = names[found]
    for part in parts:
        value = value[part]
    return value == json.loads(right)


def measured(metric, status, body):
    """The phase of one measurement. A body that is no JSON is read as text and succeeds in releases up to 1.9."""
    if status is None or not 200 <= status < 300:
        return ERROR
    try:
        document = json.loads(body)
    except ValueError:
        return SUCCESSFUL
    try:
        value = path(document, metric["provider"]["web"]["jsonPath"])
    except (KeyError, TypeError):
        return ERROR
    success, failure = (metric.get(f"{name}Condition") for name in ("success", "failure"))
    if failure and holds(failure, result=value):
        return FAILED
    if success and holds(success, result=value):
        return SUCCESSFUL
    return INCONCLUSIVE if success and failure else FAILED if success else SUCCESSFUL


def run(metric, phases, *, since_1_8=True):
    """What becomes of the analysis after these measurements, in the order in which Argo looks."""
    counted = dict.fromkeys((SUCCESSFUL, FAILED, INCONCLUSIVE), 0)
    errors = successes = 0
    for phase in phases:
        errors = errors + 1 if phase == ERROR else 0
        successes = successes + 1 if phase == SUCCESSFUL else 0
        if phase != ERROR:
            counted[phase] += 1
        if counted[FAILED] > metric.get("failureLimit", 0):
            return FAILED
        if counted[INCONCLUSIVE] > metric.get("inconclusiveLimit", 0):
            return INCONCLUSIVE
        if errors > metric.get("consecutiveErrorLimit", 4):
            return ERROR
        if since_1_8 and successes >= metric.get("consecutiveSuccessLimit", metric["count"] + 1):
            return SUCCESSFUL
        if sum(counted.values()) >= metric["count"]:
            return INCONCLUSIVE if since_1_8 and "consecutiveSuccessLimit" in metric else SUCCESSFUL
    return RUNNING
