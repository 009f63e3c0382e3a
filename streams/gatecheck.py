"""The client of the gate: one question, an answer as an exit code. Anything that is not a decision is not a yes."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

import msgspec

from .records import GateQuestion

ALLOW, WARN, HOLD, BLOCK, USAGE, UNREACHABLE = 0, 10, 20, 30, 2, 4
SCHEMA = "gate.decision/v1"
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


_opener = urllib.request.build_opener(_NoRedirect)


def check(
    url: str,
    gate: str,
    question: GateQuestion,
    *,
    wait_s: float | None = None,
    strict: bool = False,
    token: str | None = None,
) -> Checked:
    """Ask; with `wait_s`, again while the answer is hold or nobody answers, at most that long."""
    until = time.monotonic() + (wait_s or 0.0)
    while True:
        checked = _asked(url, gate, question, strict=strict, token=token)
        left = until - time.monotonic()
        if checked.code not in (HOLD, UNREACHABLE) or left <= 0:
            return checked
        after = (checked.document or {}).get("retry_after_s")
        pause_s = float(after) if isinstance(after, int | float) else PAUSE_S
        time.sleep(min(max(1.0, pause_s), PAUSE_S_MAX, left))


def _asked(url: str, gate: str, question: GateQuestion, *, strict: bool, token: str | None) -> Checked:
    fields = {name: value for name, value in msgspec.to_builtins(question).items() if value is not None}
    where = f"{url.rstrip('/')}/v1/gates/{urllib.parse.quote(gate, safe='')}/decision?{urllib.parse.urlencode(fields)}"
    if not where.startswith(("http://", "https://")):
        return Checked(USAGE, None, f"{url} is not an http address")
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(where, headers=headers)  # noqa: S310 - checked above
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as answer:
            return _read(answer.read(BODY_BYTES_MAX), (gate, question.agent, question.environment), strict=strict)
    except urllib.error.HTTPError as error:
        with error:
            problem = _problem(error)
            code = USAGE if problem and error.code in (400, 404, 422) else UNREACHABLE  # a stranger's 404 is no answer
            return Checked(code, None, f"The gate refused to answer: HTTP {error.code} {problem}".strip())
    except (OSError, http.client.HTTPException, ValueError) as error:  # a body cut short, a header that is none
        return Checked(UNREACHABLE, None, f"The gate at {url} could not be reached: {error}")


def _read(body: bytes, asked: tuple[str, str, str], *, strict: bool) -> Checked:
    try:
        document = json.loads(body)
        state = document["state"] if document["schema"] == SCHEMA else ""
    except (ValueError, LookupError, TypeError):
        return Checked(UNREACHABLE, None, "What answered is not Tocsin's gate: the body is not a decision")
    codes = {"allow": ALLOW, "warn": WARN if strict else ALLOW, "hold": HOLD, "block": BLOCK}
    if not isinstance(state, str) or state not in codes:
        return Checked(UNREACHABLE, None, "What answered is not Tocsin's gate: the decision has no known state")
    if (document.get("gate"), document.get("agent"), document.get("environment")) != asked:
        return Checked(UNREACHABLE, None, "What answered is not about this question")
    if document.get("allow") is not (state in ("allow", "warn")):
        return Checked(UNREACHABLE, None, "What answered contradicts itself: its state is not its allow")
    return Checked(codes[state], document, f"{state}: {document.get('summary', '')}")


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(BODY_BYTES_MAX)).get("detail", ""))
    except (ValueError, AttributeError, OSError, http.client.HTTPException):
        return ""
