"""PagerDuty, Events API v2: one open trouble there per incident, kept one by its dedup key."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from ...records import Answer, Done, NotDone, Obligation, Refused, Unknown
from ...settings import Secret
from ..messages import PageDoc, read
from .http_wire import AGAIN_S, Reply, Request, Wire
from .jira_text import address, line
from .pacing import Allowed, Buckets
from .protocol import CREDENTIALS, Absent, Blind, Doubt, References

KEY_MAX = 255
SUMMARY_MAX = 1024
BODY_BYTES_MAX = 512 * 1024
WHY_MAX = 300
# PagerDuty takes about 120 events in any 60 seconds for each key: what is there at once, and what fills up meanwhile.
WAKING = Allowed(at_once=40, every_s=1.2)
NEWS = Allowed(at_once=5, every_s=2.6)
SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
WHERE = frozenset({"Agent", "Agents", "Where"})  # the line of a page that says what is affected
OVER = frozenset({"mitigated", "resolved", "closed", "merged"})


class PagerDuty:
    """A call may be repeated: what bears a key that is open there adds to it, and opens nothing.

    The one exception is PagerDuty's: a trigger that arrives after somebody resolved it there opens a new one.
    """

    name = "pagerduty"
    confirmed: frozenset[str] = frozenset()

    def __init__(
        self, wire: Wire, url: str, keys: Mapping[str, Secret], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wire, self._url, self._keys = wire, url, keys
        self._buckets = Buckets(clock)

    async def close(self) -> None:
        await self._wire.close()

    def pace(self, obligation: Obligation, *, asking: bool = False) -> float:
        """Whoever is to be woken never waits behind news."""
        if asking:
            return 0.0  # makes no call
        edits = self.edits(obligation)
        return self._buckets.take(f"{obligation.destination} {edits}", NEWS if edits else WAKING)

    def edits(self, obligation: Obligation) -> bool:
        return obligation.ordinal > 1 and not obligation.body.get("wakes")

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        del references, nonce
        service = obligation.destination.partition(":")[2]
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {type(error).__name__}")
        if not isinstance(doc, PageDoc):
            return Refused(f"PagerDuty has no use for a {obligation.kind}")
        key = self._keys.get(service)
        if key is None:
            return Refused(f"{service}: {CREDENTIALS}TOCSIN_PAGERDUTY_KEYS has no key for it")
        body = _encoded({"routing_key": key.reveal(), **_event(doc, obligation)})
        answer = await self._wire.send(Request("POST", self._url, {"Content-Type": "application/json"}, body))
        return answer if isinstance(answer, NotDone | Unknown) else _answer(answer, service, key, dedup_key(doc))

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        del obligation, references, doubt
        return Absent("may be repeated: deduplicated there")

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation
        return reference

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation, reference
        return Done("")


def dedup_key(doc: PageDoc) -> str:
    return key_of(doc.deployment, doc.incident)


def key_of(deployment: str, incident: str) -> str:
    """Readable, and the same whatever becomes of the incident; what is too long is named by its hash."""
    key = f"tocsin:{deployment}:{incident}"
    if len(key) <= KEY_MAX:
        return key
    return f"tocsin:{hashlib.sha256(key.encode()).hexdigest()}"


def incident_of(deployment: str, key: str) -> str | None:
    """Whose key it is; None: it is not one of this deployment's."""
    before = f"tocsin:{deployment}:"
    return key.removeprefix(before) if key.startswith(before) and len(key) > len(before) else None


def _event(doc: PageDoc, obligation: Obligation) -> dict[str, Any]:
    action = _action(doc, obligation)
    event: dict[str, Any] = {"event_action": action, "dedup_key": dedup_key(doc)}
    if action != "trigger":
        return event
    links = [{"href": url, "text": line(label, 100)} for label, url in doc.links if address(url)]
    payload: dict[str, Any] = {
        "summary": line(doc.headline, SUMMARY_MAX) or "Incident",
        "source": next((line(value) for label, value in doc.lines if label in WHERE and line(value)), "tocsin"),
        "severity": SEVERITIES.get(doc.severity, "error"),
        "group": line(doc.deployment) or "tocsin",
        "custom_details": dict(_details(doc)),
    }
    if obligation.at is not None:
        payload["timestamp"] = obligation.at.isoformat()
    event |= {"payload": payload, "client": "Tocsin"}
    if links:
        event |= {"links": links, "client_url": links[0]["href"]}
    return event


def _action(doc: PageDoc, obligation: Obligation) -> str:
    """What somebody has in hand stays with them, unless it is to wake somebody once more."""
    if obligation.ordinal == 1 or doc.wakes:
        return "trigger"
    if doc.state in OVER:
        return "resolve"
    return "acknowledge" if doc.state == "acknowledged" else "trigger"


def _details(doc: PageDoc) -> Iterator[tuple[str, Any]]:
    yield from ((line(label, 80), line(value, 500)) for label, value in doc.lines[:20] if label)
    for label, texts in (("Evidence", doc.evidence), ("First steps", doc.steps)):
        if texts:
            yield label, [line(one, 2000) for one in texts[:10]]
    if doc.todo:
        yield "To do", line(doc.todo, 1000)


def _encoded(event: dict[str, Any]) -> bytes:
    body = msgspec.json.encode(event)
    if len(body) > BODY_BYTES_MAX:
        event = {**event, "payload": {**event["payload"], "custom_details": {}}}
        event.pop("links", None)
        body = msgspec.json.encode(event)
    return body


def _answer(reply: Reply, service: str, key: Secret, mark: str) -> Answer:
    status = reply.status
    if status == 202:
        said = _said(reply.body)
        return Done(mark) if said.get("status") == "success" else Unknown("202 with a body that cannot be read")
    if status == 429:
        # With a time it is this service's: without one it would count as trouble of all of them.
        return NotDone("429: too many events", after_s=reply.after_s or AGAIN_S)
    if 300 <= status < 400:
        return Refused("3xx: the address redirects; set TOCSIN_PAGERDUTY_URL to where it leads")
    if status in (408, 425) or status < 300 or status >= 500:
        return Unknown(f"{status}: nobody knows whether it happened")
    said = _said(reply.body)
    errors = said.get("errors")
    texts = [said.get("message"), *(errors if isinstance(errors, list) else [])]
    why = "; ".join(one for one in texts if isinstance(one, str)).replace(key.reveal(), "***")
    ours = CREDENTIALS if status in (401, 403) or "routing_key" in why else ""
    return Refused(line(f"{service}: {ours}{status}: {why}".rstrip(": "), WHY_MAX))


def _said(body: bytes | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body or b"")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
