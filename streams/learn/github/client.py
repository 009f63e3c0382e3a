"""Speaks to GitHub: says what a gate answers, and asks what became of what was never answered."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ...records import Answer, Callback, Done, Hook, NotDone, Refused, Unknown
from ...respond.receivers.http_wire import AGAIN_S, Reply, Request, Wire
from .identity import Tokens

CHECKS_MAX = 100
LIMITED = "x-ratelimit-remaining"


class Gone(Struct, frozen=True):
    """Whether a run still waits at its environment, and who let it go on where it does not."""

    waits: bool
    approved_by: str = ""


class _Named(Struct, frozen=True):
    name: str = ""


class _Pending(Struct, frozen=True):
    environment: _Named


class _User(Struct, frozen=True):
    login: str = ""


class _Review(Struct, frozen=True):
    state: str = ""
    environments: tuple[_Named, ...] = ()
    user: _User | None = None


class _Check(Struct, frozen=True):
    id: int
    external_id: str | None = None


class _Checks(Struct, frozen=True):
    check_runs: tuple[_Check, ...] = ()


class Call(NamedTuple):
    method: str
    path: str
    body: Any = None


class GitHub:
    """Never raises for what the outside does, never repeats a write."""

    def __init__(self, wire: Wire, url: str, tokens: Tokens) -> None:
        self._wire, self._url, self._tokens = wire, url.rstrip("/"), tokens

    async def close(self) -> None:
        await self._wire.close()

    async def say(self, hook: Hook, said: Callback) -> Answer:
        """Once. Done's reference is the id of a check run."""
        reply = await self._sent(hook, _call(hook, said))
        if not isinstance(reply, Reply):
            return reply
        if said.what != "create":
            return Done("")
        try:
            return Done(str(msgspec.json.decode(reply.body or b"", type=_Check).id))
        except msgspec.DecodeError:
            return Unknown("the answer to a creation cannot be read")

    async def created(self, hook: Hook, decision: str) -> str | NotDone | None:
        """The id of the check run that a lost answer was about; None: there is none."""
        where = f"/repos/{hook.repository}/commits/{hook.sha}/check-runs?check_name={quote(_name(hook))}"
        found = await self._read(hook, f"{where}&filter=all&per_page={CHECKS_MAX}", _Checks)
        if isinstance(found, NotDone):
            return found
        return next((str(one.id) for one in found.check_runs if one.external_id == decision), None)

    async def gone(self, hook: Hook) -> Gone | NotDone:
        """An approval that is there while nothing waits any more; other reviewers may be waited for besides us."""
        run = f"/repos/{hook.repository}/actions/runs/{hook.run}"
        waiting = await self._read(hook, f"{run}/pending_deployments", tuple[_Pending, ...])
        if isinstance(waiting, NotDone):
            return waiting
        if any(one.environment.name == hook.target for one in waiting):
            return Gone(waits=True)
        reviews = await self._read(hook, f"{run}/approvals", tuple[_Review, ...])
        if isinstance(reviews, NotDone):
            return reviews
        mine = [one for one in reviews if any(place.name == hook.target for place in one.environments)]
        approved = [one for one in mine if one.state == "approved"]
        return Gone(False, ((approved[-1].user or _User()).login or "somebody") if approved else "")

    async def _read(self, hook: Hook, path: str, kind: type[Any]) -> Any:
        reply = await self._sent(hook, Call("GET", path))
        if not isinstance(reply, Reply):
            return NotDone(reply.why, reply.after_s if isinstance(reply, NotDone) else None)
        try:
            return msgspec.json.decode(reply.body or b"", type=kind)
        except msgspec.DecodeError:
            return NotDone("the answer cannot be read")

    async def _sent(self, hook: Hook, call: Call) -> Reply | NotDone | Refused | Unknown:
        """A reply that is a yes, or why there is none."""
        headers = await self._tokens.headers(hook.installation)
        if isinstance(headers, NotDone):
            return headers
        body = None if call.body is None else msgspec.json.encode(call.body)
        given = {**headers, **({"Content-Type": "application/json"} if body else {})}
        reply = await self._wire.send(Request(call.method, f"{self._url}{call.path}", given, body))
        if not isinstance(reply, Reply):
            return reply
        if reply.status == 401:
            self._tokens.forget(hook.installation)
        return _meaning(reply)


def _meaning(reply: Reply) -> Reply | NotDone | Refused | Unknown:
    status = reply.status
    if 200 <= status < 300:
        return reply
    limited = status == 429 or (status == 403 and (reply.after_s is not None or reply.headers.get(LIMITED) == "0"))
    if limited or (status == 503 and reply.after_s is not None):
        return NotDone(f"{status}: asked to wait", after_s=reply.after_s or AGAIN_S)
    if status == 401:
        return NotDone("401: the token is not accepted", after_s=AGAIN_S)
    if 300 <= status < 500 and status not in (408, 425):
        return Refused(f"{status}: refused")
    return Unknown(f"{status}: nobody knows whether it happened")


def _name(hook: Hook) -> str:
    return f"Tocsin: {hook.gate} of {hook.agent} in {hook.environment}"


def _call(hook: Hook, said: Callback) -> Call:
    where = f"/repos/{hook.repository}"
    match said.what:
        case "approve" | "reject" | "note":
            # A review without a state is a note.
            state = {"approve": {"state": "approved"}, "reject": {"state": "rejected"}}.get(said.what, {})
            body = {"environment_name": hook.target, **state, "comment": said.text}
            return Call("POST", f"{where}/actions/runs/{hook.run}/deployment_protection_rule", body)
    shown: dict[str, Any] = {
        "name": _name(hook),
        "status": said.status,
        "external_id": said.told.decision,
        "output": {"title": said.title, "summary": said.text},
        **({"conclusion": said.conclusion} if said.conclusion else {}),
        **({"details_url": said.url} if said.url.startswith(("http://", "https://")) else {}),
    }
    if said.what == "create":
        return Call("POST", f"{where}/check-runs", {**shown, "head_sha": hook.sha})
    return Call("PATCH", f"{where}/check-runs/{said.told.remote}", shown)
