"""What Jira's refusals and broken exchanges mean, in our four words, and whom a limit is about."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from ...records import NotDone, Refused, Unknown
from .protocol import ALONE, QUOTA

NOT_SENT = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ProxyError)
AFTER_S_MAX = 3600.0  # quotas are counted by the hour: whoever names a later time has a clock that is wrong
CONFLICT_S = 5.0

Failure = NotDone | Refused | Unknown


def limited(headers: Mapping[str, str]) -> NotDone:
    """429. A quota is everything's, a burst its destination's, a limit of one ticket that ticket's."""
    reason = headers.get("RateLimit-Reason", "")
    why = f"429: too many requests{f' ({reason})' if reason.isprintable() and reason else ''}"[:200]
    after_s = retry_after(headers)
    if after_s is None:
        after_s = _reset(headers)
    if reason.startswith("jira-quota"):
        why = f"{QUOTA}{why}"
    elif reason.startswith("jira-per-issue"):
        why = f"{ALONE}{why}"
    return NotDone(why, after_s=after_s)


def conflict(why: str) -> NotDone:
    """409: somebody changes the same ticket at this moment. Nothing happened, and it may be said again."""
    return NotDone(f"{ALONE}{why}", after_s=CONFLICT_S)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, or a date, as any proxy may write it; None: it does not say."""
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.replace(".", "", 1).isdigit():
        return min(AFTER_S_MAX, float(given))
    try:
        at = parsedate_to_datetime(given)
    except (ValueError, OverflowError):  # no date, or one beyond every calendar
        return None
    return _until(at)


def _reset(headers: Mapping[str, str]) -> float | None:
    try:
        return _until(datetime.fromisoformat(headers.get("X-RateLimit-Reset", "")))
    except ValueError:
        return None


def _until(at: datetime) -> float:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(AFTER_S_MAX, max(0.0, (at - datetime.now(UTC)).total_seconds()))


def complaints(response: requests.Response | None) -> Iterator[str]:
    """What it says is wrong: a field's complaint begins with the field."""
    try:
        body = response.json() if response is not None else {}
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    said = body.get("errorMessages")
    yield from (str(one) for one in (said if isinstance(said, list) else ()))
    errors = body.get("errors")
    if isinstance(errors, dict):
        yield from (f"{name}: {complaint}" for name, complaint in errors.items())
    if isinstance(body.get("message"), str):
        yield body["message"]


def broken(error: requests.RequestException) -> Failure:
    """What a failed exchange means. Only what surely never left this machine is certain."""
    kind = type(error).__name__
    if isinstance(error, requests.TooManyRedirects):
        return redirected()
    if isinstance(error, requests.ConnectTimeout):
        return NotDone("no connection: timeout")
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectionError) and isinstance(reason, NOT_SENT):
        return NotDone(f"no connection: {type(reason).__name__}")
    if isinstance(reason, Exception) and _unverified(reason):
        return NotDone("no connection: the certificate cannot be verified")
    return Unknown(f"the exchange broke off: {kind}")


def redirected() -> Refused:
    return Refused("3xx: the address redirects; set TOCSIN_JIRA_URL to where it leads")


def _unverified(reason: Exception) -> bool:
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in (reason, *reason.args, reason.__cause__))
