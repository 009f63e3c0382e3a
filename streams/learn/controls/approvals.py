"""Questions that a person answers: asked in Slack, answered once, expired undone. What a control waits for is its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from ...records import About, Approval, ApprovalAnswered, ApprovalAsked, ApprovalEnded, Obligation, Tick
from ...respond.messages import PageDoc, body
from ...respond.routing import BookValues, Owner, route, slack
from ...respond.writing_words import clip, home, moment, told
from ...step import Order, Step

KEPT = timedelta(days=1)  # after its end: so long a question told again is an echo
HEADLINE_MAX = 150
SAYS = {"approved": "Approved", "refused": "Refused", "expired": "Nobody answered in time; nothing is done"}
TODO = "Nothing is done before somebody approves, and nothing at all after {until}."


class Question(Struct, frozen=True, array_like=True):
    asked: ApprovalAsked
    ended: datetime | None = None


class Approvals:
    """Keyed by question. The first answer counts; after its end, and before it is asked, an answer says nothing."""

    name, version, memory = "approvals", 1, Question
    reads: tuple[type, ...] = (ApprovalAsked, ApprovalAnswered, ApprovalEnded)
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values = values

    def key(self, record: ApprovalAsked | ApprovalAnswered | ApprovalEnded) -> str | None:
        return record.id

    def step(self, memory: Question | None, record: Any) -> Step[Question]:
        if isinstance(record, ApprovalAsked):
            return self._asked(record) if memory is None else Step(memory, wake=_wake(memory))
        if memory is None:
            return Step(None)
        if memory.ended is not None:
            over = isinstance(record, Tick) and record.at >= memory.ended + KEPT
            return Step(None) if over else Step(memory, wake=_wake(memory))
        if record.at >= memory.asked.until:
            return self._ended(memory, Approval(memory.asked, "expired", record.at))
        if isinstance(record, ApprovalAnswered):
            return self._ended(memory, Approval(memory.asked, record.answer, record.at, record.actor, record.source))
        if isinstance(record, ApprovalEnded):
            return self._ended(memory, Approval(memory.asked, "expired", record.at, why=record.why))
        return Step(memory, wake=_wake(memory))

    def _asked(self, asked: ApprovalAsked) -> Step[Question]:
        question = Question(asked)
        approval = Approval(asked, "pending", asked.at)
        owed = self._obligation(approval, 1)
        return Step(question, (approval, owed), _wake(question))

    def _ended(self, memory: Question, approval: Approval) -> Step[Question]:
        question = Question(memory.asked, approval.at)
        return Step(question, (approval, self._obligation(approval, 2)), _wake(question))

    def _obligation(self, approval: Approval, ordinal: int) -> Obligation:
        """The question, and once it is over the same message without buttons."""
        asked = approval.asked
        owner = self._owner(asked)
        name = f"approval:{asked.id}"
        doc = self._doc(approval, owner, name)
        to = f"slack:{asked.channel}" if asked.channel else slack(self.values, owner)
        after = (f"{name}:page:1",) if ordinal > 1 else ()
        return Obligation(f"{name}:page:{ordinal}", name, "page", ordinal, to, body(doc), after, approval.at)

    def _owner(self, asked: ApprovalAsked) -> Owner:
        return route(self.values, About(agent=asked.agent), {"agent": asked.agent}, None).owner

    def _doc(self, approval: Approval, owner: Owner, name: str) -> PageDoc:
        asked, pending = approval.asked, approval.state == "pending"
        said = "Approval asked" if pending else "No longer asked" if approval.why else SAYS[approval.state]
        lines = (
            ("Action", asked.action),
            ("Agent", asked.agent),
            ("Session", asked.session),
            ("On", asked.resource),
            ("Why", asked.reason),
            ("Incident", asked.incident),
            ("Answered by", approval.actor),
            ("Over because", approval.why),
            ("Expires" if pending else "Ended", moment(asked.until if pending else approval.at)),
        )
        url = self.values.pages_url
        incident = home(self.values, asked.incident) if asked.incident and url else ""
        links = (("Approvals", f"{url}/approvals" if url else ""), ("Incident", incident))
        return PageDoc(
            incident=name,
            deployment=self.values.deployment,
            severity="high",
            state="open" if pending else "closed",
            headline=clip(f"{said}: {asked.action}", HEADLINE_MAX),
            lines=told((label, clip(value)) for label, value in lines if value),
            todo=TODO.format(until=moment(asked.until)) if pending else "",
            links=tuple((label, address) for label, address in links if address),
            mention=owner.mention if pending else "",
            oncall=owner.oncall if pending else "",
            actions=("approve", "refuse") if pending else (),
        )


def _wake(question: Question) -> datetime:
    return question.asked.until if question.ended is None else question.ended + KEPT
