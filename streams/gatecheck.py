"""The client of the gate: one question, an answer as an exit code. Anything that is not a decision is not a yes."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .records import GateQuestion

ALLOW, WARN, HOLD, BLOCK, USAGE, UNREACHABLE = 0, 10, 20, 30, 2, 4
SCHEMA, SEVERAL = "gate.decision/v1", "gate.decisions/v1"
NO_DECISION = "What answered is not Tocsin's gate: the body is not a decision"
TIMEOUT_S = 10.0
PAUSE_S, PAUSE_S_MAX = 5.0, 30.0
BODY_BYTES_MAX = 1024 * 1024


class Checked(NamedTuple):
    """The exit code, the decision where there is one, and a sentence for people."""

    code: int
    document: dict[str, Any] | None
    message: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect leads to a login page, and a login page is not a decision."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _unheard(_text: str) -> None:
    pass


_opener = urllib.request.build_opener(_NoRedirect)


def check(
    url: str,
    gate: str,
    question: GateQuestion | Sequence[GateQuestion],
    *,
    wait_s: float | None = None,
    strict: bool = False,
    told: Callable[[str], None] = _unheard,
) -> Checked:
    """Ask; with `wait_s`, again while the answer is hold or nobody answers, at most that long; `told` hears how it goes.

    Several questions are one: the worst of their answers.
    """
    questions = (question,) if isinstance(question, GateQuestion) else tuple(question)
    until, last = time.monotonic() + (wait_s or 0.0), ""
    while True:
        checked = _asked(url, gate, questions, strict=strict)
        left = until - time.monotonic()
        if checked.code not in (HOLD, UNREACHABLE) or left <= 0:
            return checked
        said = _how_far(checked)
        if said != last:
            told(said)
            last = said
        after = (checked.document or {}).get("retry_after_s")
        pause_s = float(after) if isinstance(after, int | float) else PAUSE_S
        time.sleep(min(max(1.0, pause_s), PAUSE_S_MAX, left))


def _how_far(checked: Checked) -> str:
    progress = (checked.document or {}).get("progress")
    return f"{checked.message} ({progress})" if isinstance(progress, str) and progress else checked.message


def _asked(url: str, gate: str, questions: tuple[GateQuestion, ...], *, strict: bool) -> Checked:
    where = f"{url.rstrip('/')}/v1/gates/{urllib.parse.quote(gate, safe='')}/decision?{_query(questions)}"
    if not where.startswith(("http://", "https://")):
        return Checked(USAGE, None, f"{url} is not an http address")
    request = urllib.request.Request(where, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            return _read(answer.read(BODY_BYTES_MAX), gate, questions, strict=strict)
    except urllib.error.HTTPError as error:
        with error:
            problem = _problem(error)
            code = USAGE if problem and error.code in (400, 404, 422) else UNREACHABLE  # a stranger's 404 is no answer
            return Checked(code, None, f"The gate refused to answer: HTTP {error.code} {problem}".strip())
    except (OSError, http.client.HTTPException, ValueError) as error:  # a body cut short, a header that is none
        return Checked(UNREACHABLE, None, f"The gate at {url} could not be reached: {error}")


def _query(questions: tuple[GateQuestion, ...]) -> str:
    """`agent` and `release` are repeated, in pairs; the environment is that of all."""
    first = questions[0]
    pairs = [(name, getattr(one, name)) for one in questions for name in ("agent", "release")]
    rest = [("environment", first.environment), *([("baseline", first.baseline)] if first.baseline else [])]
    return urllib.parse.urlencode([*pairs, *rest])


def _read(body: bytes, gate: str, questions: tuple[GateQuestion, ...], *, strict: bool) -> Checked:
    try:
        document = json.loads(body)
        schema = document["schema"]
        found = [document] if len(questions) == 1 else document["decisions"]
        states = [one["state"] if one["schema"] == SCHEMA else "" for one in found]
    except (ValueError, LookupError, TypeError):
        return Checked(UNREACHABLE, None, NO_DECISION)
    if schema != (SCHEMA if len(questions) == 1 else SEVERAL) or len(found) != len(questions):
        return Checked(UNREACHABLE, None, NO_DECISION)
    for one, question, state in zip(found, questions, states, strict=True):
        if wrong := _wrong(one, gate, question, state):
            return Checked(UNREACHABLE, None, f"What answered {wrong}")
    codes = {"allow": ALLOW, "warn": WARN if strict else ALLOW, "hold": HOLD, "block": BLOCK}
    worst = max(states, key=list(codes).index)
    if document.get("state") != worst or document.get("allow") is not (worst in ("allow", "warn")):
        return Checked(UNREACHABLE, None, "What answered contradicts itself: its state is not that of its answers")
    whole = document if len(questions) == 1 else _together(document)
    return Checked(codes[worst], whole, f"{worst}: {document.get('summary', '')}")


def _wrong(document: Any, gate: str, question: GateQuestion, state: Any) -> str:
    if not isinstance(state, str) or state not in ("allow", "warn", "hold", "block"):
        return "is not Tocsin's gate: the decision has no known state"
    asked = (gate, question.agent, question.environment)
    if (document.get("gate"), document.get("agent"), document.get("environment")) != asked:
        return "is not about this question"
    if document.get("allow") is not (state in ("allow", "warn")):
        return "contradicts itself: its state is not its allow"
    return ""


def _together(document: dict[str, Any]) -> dict[str, Any]:
    """With the reasons and tickets of all, as a single decision has its own."""
    reasons: list[dict[str, Any]] = []
    tickets: list[Any] = []
    for one in document["decisions"]:
        given, links = one.get("reasons"), one.get("links")
        reasons += [{**why, "agent": one["agent"]} for why in given or () if isinstance(why, dict)]
        tickets += links.get("tickets", []) if isinstance(links, dict) else []
    return {**document, "reasons": reasons, "links": {"tickets": tickets}}


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(BODY_BYTES_MAX)).get("detail", ""))
    except (ValueError, AttributeError, OSError, http.client.HTTPException):
        return ""
