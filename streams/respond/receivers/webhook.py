"""A signed webhook, as Standard Webhooks has it: the same id however often it is repeated, so repeats can be dropped."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

import msgspec

from ...addresses import Hook
from ...records import Answer, Done, NotDone, Obligation, Refused, Unknown
from ..messages import NoteDoc, PageDoc, Webhook, read
from .http_wire import AGAIN_S, Reply, Request, Wire
from .jira_text import address, line
from .patience import Patience
from .protocol import CREDENTIALS, Absent, Blind, Doubt, References


class Webhooks:
    """A 2xx is the receiver's word; its body is not asked. Nobody knows: it is sent again, with the same id."""

    name = "webhook"
    confirmed: frozenset[str] = frozenset()
    many = True  # each has a patience of its own

    def __init__(self, wire: Wire, hooks: Mapping[str, Hook], *, clock: Callable[[], float] = time.time) -> None:
        self._wire, self._hooks, self._clock = wire, hooks, clock
        self._patience = Patience()

    async def close(self) -> None:
        await self._wire.close()

    def pace(self, obligation: Obligation, *, asking: bool = False) -> float:
        return 0.0 if asking else self._patience.take(obligation.destination, obligation.id)

    def edits(self, obligation: Obligation) -> bool:
        del obligation  # whoever listens hears of every step
        return False

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        del references, nonce
        answer = await self._sent(obligation)
        self._patience.heed(obligation.destination, obligation.id, answer)
        return answer

    async def _sent(self, obligation: Obligation) -> Answer:
        name = obligation.destination.partition(":")[2]
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {type(error).__name__}")
        if not isinstance(doc, PageDoc | NoteDoc):
            return Refused(f"a webhook has no use for a {obligation.kind}")
        hook = self._hooks.get(name)
        if hook is None:
            return Refused(f"{name}: {CREDENTIALS}TOCSIN_WEBHOOKS has no address for it")
        mark = identity(doc.deployment, obligation.id)
        body = msgspec.json.encode(_written(obligation, doc, mark))
        sent = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": mark,
            "webhook-timestamp": str(sent),
            "webhook-signature": signature(hook.keys, mark, sent, body),
        }
        answer = await self._wire.send(Request("POST", hook.url, headers, body))
        return answer if isinstance(answer, NotDone | Unknown) else _answer(answer, name, mark)

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        del obligation, references, doubt
        return Absent("may be repeated: it has the same id")

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation
        return reference

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation, reference
        return Done("")


def identity(deployment: str, obligation: str) -> str:
    """Without a full stop, which parts the signed text."""
    return f"msg_{hashlib.sha256(f'{deployment}/{obligation}'.encode()).hexdigest()[:32]}"


def signature(keys: tuple[bytes, ...], mark: str, sent: int, body: bytes) -> str:
    """One per key, parted by spaces: whoever has either of two keys can check it."""
    text = f"{mark}.{sent}.".encode() + body
    digests = (hmac.new(key, text, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _written(obligation: Obligation, doc: PageDoc | NoteDoc, mark: str) -> Webhook:
    return Webhook(
        type="incident.page" if isinstance(doc, PageDoc) else "incident.note",
        id=mark,
        timestamp=obligation.at,
        obligation=obligation.id,
        ordinal=obligation.ordinal,
        data=doc,
    )


def _answer(reply: Reply, name: str, mark: str) -> Answer:
    status = reply.status
    if 200 <= status < 300:
        place = reply.headers.get("Location", "")
        return Done(mark, place if address(place) else None)
    if status == 429 or (status == 503 and reply.after_s is not None):
        return NotDone(f"{status}: asked to wait", after_s=reply.after_s or AGAIN_S)
    if 300 <= status < 400:
        return Refused(f"{name}: {status}: the address redirects; set TOCSIN_WEBHOOKS to where it leads")
    if status in (408, 425) or status < 200 or status >= 500:
        return Unknown(f"{status}: nobody knows whether it happened")
    ours = CREDENTIALS if status in (401, 403) else ""  # one webhook's refusal says nothing about the others
    return Refused(line(f"{name}: {ours}{status}"))
