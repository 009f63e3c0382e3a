"""Whether a delivery is signed by who it says it is from, and is of now."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from slack_sdk.signature import SignatureVerifier

from ...settings import Secret

SLACK_S_MAX = 300.0
JIRA_S_MAX = 3600.0  # Jira tells again for half an hour
METHODS = frozenset(("sha256", "sha384", "sha512"))


class Rejected(Exception):
    """`reason`: forged or stale."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Clock(NamedTuple):
    """The SDK asks an object for the time. It is told the stamp's own: forged and stale are two things."""

    at: float

    def now(self) -> float:
        return self.at


def slack(secret: Secret, headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The signature, which nobody may use twice; raises Rejected."""
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    try:
        at = int(stamp)
        verifier = SignatureVerifier(secret.reveal(), _Clock(at))  # type: ignore[arg-type]
        genuine = verifier.is_valid(body, stamp, signature)
    except Exception:  # it raises on no secret, and on stamps, bodies and signatures of strange characters
        raise Rejected("forged") from None
    if not genuine:
        raise Rejected("forged")
    if abs(now_s - at) > SLACK_S_MAX:
        raise Rejected("stale")
    return signature


def jira(secret: Secret, header: str, body: bytes) -> str:
    """The signature; raises Rejected. The header names its method."""
    method, _, given = header.strip().partition("=")
    method = method.lower()
    if not secret or method not in METHODS:
        raise Rejected("forged")
    expected = hmac.new(secret.reveal().encode(), body, getattr(hashlib, method)).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.strip().lower().encode(errors="replace")):
        raise Rejected("forged")
    return f"{method}={expected}"


def fresh(timestamp_ms: object, now_s: float) -> None:
    """Of a body that says when it was written; raises Rejected."""
    earliest, latest = (1000 * (now_s + side * JIRA_S_MAX) for side in (-1, 1))
    if not isinstance(timestamp_ms, int | float) or not earliest <= timestamp_ms <= latest:
        raise Rejected("stale")
