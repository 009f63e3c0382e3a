"""A person is asked before something is done. Whoever cannot ask does not do it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from ..records import Activity, Actor
from .session import Session, current
from .sinks import Away, Post

if TYPE_CHECKING:
    from ..records import PermissionResult

log = logging.getLogger(__name__)

WAIT_S = 20.0  # of one question whether there is an answer
CALL_S = 10.0
AGAIN_S = 1.0
TRIES = 3  # to ask at all: whoever waits to act hears soon that nobody can be asked
GIVE_UP_S = 30.0  # so long nobody could be asked for the answer
RESULTS: dict[str, Literal["allowed", "denied", "expired"]] = {
    "approved": "allowed",
    "refused": "denied",
    "expired": "expired",
}


class Approval(NamedTuple):
    """What came of a question."""

    id: str
    action: str
    result: Literal["allowed", "denied", "expired"]
    person: str = ""  # who answered
    wait_ms: int = 0
    link: str = ""  # to the message in which they were asked
    why: str = ""  # nobody could be asked


class NotApproved(PermissionError):
    """Refused, not answered in time, or nobody could be asked: `approval.why` says that."""

    def __init__(self, approval: Approval) -> None:
        by = f" by {approval.person}" if approval.person else ""
        super().__init__(approval.why or f"{approval.action} was not approved: {approval.result}{by}")
        self.approval = approval


class Approvals:
    """Where to ask: the address of Tocsin's pages, and its token."""

    def __init__(self, url: str, token: str, *, channel: str = "", timeout_s: float = CALL_S) -> None:
        self._post, self._channel = Post(url, token, timeout_s), channel

    def ask(self, question: Mapping[str, Any]) -> None:
        """Told twice it is one question: its id is the same. Raises Away."""
        body = msgspec.json.encode({"channel": self._channel, **question})
        for left in reversed(range(TRIES)):
            try:
                self._post("POST", "/v1/approvals", body)
            except Away as error:
                if not left or 400 <= error.status < 500:
                    raise
                time.sleep(AGAIN_S)
            else:
                return

    def answer(self, name: str, wait_s: float) -> dict[str, Any]:
        """What there is by then. Raises Away."""
        return self._post("GET", f"/v1/approvals/{quote(name, safe='')}?wait={wait_s:.0f}", more_s=wait_s)


def request_approval(action: str, *, wait_s: float = 1800.0, **about: str) -> Approval:
    """Of the session that is open here. `about`: reason, resource, channel. Raises NotApproved."""
    session = current()
    if session is None:
        raise NotApproved(Approval("", action, "denied", why="There is no open session to ask for."))
    return session.request_approval(action, wait_s=wait_s, **about)


async def request_approval_async(action: str, *, wait_s: float = 1800.0, **about: str) -> Approval:
    session = current()
    if session is None:
        raise NotApproved(Approval("", action, "denied", why="There is no open session to ask for."))
    return await session.request_approval_async(action, wait_s=wait_s, **about)


def asked(session: Session, action: str, wait_s: float, about: Mapping[str, str]) -> Approval:
    """The whole of it: two events, pending and what came of it, one question, and the answer."""
    name = f"agent-{secrets.token_hex(8)}"  # nobody guesses it, and it is nobody else's
    _told(session, name, (action, "pending"), Actor("human"), about)
    outer, session.activity = session.activity, Activity("approval", action[:1024], datetime.now(UTC))
    try:
        approval = _answered(session, name, action, wait_s, about)
    finally:
        session.activity = outer
    by = Actor("human", approval.person or None) if not approval.why else Actor("default", "tocsin")
    more: dict[str, Any] = {"wait_ms": approval.wait_ms, **({"evidence_ref": approval.link} if approval.link else {})}
    if approval.why:
        more["reason"] = approval.why
    _told(session, name, (action, approval.result), by, {**about, **more})
    if approval.result != "allowed":
        raise NotApproved(approval)
    return approval


def _told(
    session: Session, name: str, what: tuple[str, PermissionResult | str], by: Actor, more: Mapping[str, Any]
) -> None:
    known = {key: more[key] for key in ("reason", "resource", "wait_ms", "evidence_ref") if key in more}
    session.permission_checked(what[0], what[1], by, name, **known)


def _answered(session: Session, name: str, action: str, wait_s: float, about: Mapping[str, str]) -> Approval:
    began = time.monotonic()

    def waited_ms() -> int:
        return int(1000 * (time.monotonic() - began))

    approvals = session.emitter.approvals
    if approvals is None:
        return Approval(name, action, "denied", why="Nobody can be asked: the emitter was given no approvals.")
    question = {"id": name, "action": action, "agent": session.ctx.agent.id, "session": session.ctx.session_id}
    try:
        approvals.ask({**about, **question, "wait_s": wait_s})
        found = _polled(approvals, name, began + wait_s)
    except Away as error:
        log.warning("%s is not done: nobody could be asked whether it may be (%s)", action, error)
        return Approval(name, action, "denied", wait_ms=waited_ms(), why=f"Tocsin could not be asked: {error}")
    result = RESULTS.get(str(found.get("state")), "expired")
    return Approval(name, action, result, str(found.get("actor") or ""), waited_ms(), str(found.get("link") or ""))


def _polled(approvals: Approvals, name: str, until: float) -> dict[str, Any]:
    """Tocsin may be away for a moment meanwhile; for longer, that is raised. Its own clock ends the question."""
    away_since = 0.0
    while True:
        left_s = until - time.monotonic()
        try:
            found = approvals.answer(name, max(0.0, min(WAIT_S, left_s)))
        except Away as error:
            away_since = away_since or time.monotonic()
            over = time.monotonic() - away_since > GIVE_UP_S or left_s <= 0
            if over or 400 <= error.status < 500:
                raise
            time.sleep(AGAIN_S)
            continue
        away_since = 0.0
        if found.get("state") in RESULTS or left_s <= 0:
            return found
