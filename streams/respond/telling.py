"""What people are owed for what was asked: first words, news, to which receivers, and each obligation's name."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ..records import About, Due, Incident, Notice, Obligation, ObligationKind
from . import routing, writing
from .messages import CommentDoc, Doc, PageDoc, body
from .routing import BookValues, Level, Owner
from .sighting import digest

EDITS = {"update", "outcome", "duplicate", "worse", "escalate", "recovered", "back", "closing", "split"}
NOTES: tuple[writing.News, ...] = ("recovered", "back", "closing", "assigned", "split", "gone", "unnamed")
FURTHER = ("pagerduty:", "webhook:")


class Telling:
    """Says obligations. Their ids follow from the incident alone, so that saying them again is no second one.

    `<incident>:page:<n>` is Slack's; what goes elsewhere has its destination behind that.
    """

    def __init__(self, values: BookValues) -> None:
        self.values = values

    def first(self, due: Due) -> tuple[Obligation, ...]:
        """A page, a ticket with its evidence, and the page once more with the ticket's key."""
        incident, owner = due.incident, self._owner(due)
        said = _Said(due)
        ticket = f"{incident.id}:ticket:1"
        paged = "page" in due.want and routing.unpaged(incident)
        if paged:
            doc = writing.page(self.values, incident, due.at, mention=owner.mention, oncall=owner.oncall)
            page = said.page(_waking(doc), (routing.slack(self.values, owner), *routing.further(owner)))
        if "ticket" in due.want and "ticket" not in incident.told:
            to = routing.jira(self.values, owner)
            said.owe("ticket", writing.ticket(self.values, incident, due.at), to)
            said.owe("evidence", writing.evidence(self.values, incident), to, ticket)
            if self.values.pages_url:
                said.owe("link", writing.link(self.values, incident), to, ticket)
        if paged:
            edit = _plain(writing.page(self.values, incident, due.at))
            said.page(edit, (routing.slack(self.values, owner),), page, ticket)
        return tuple(said.all)

    def news(self, due: Due, comments: tuple[CommentDoc, ...]) -> tuple[Obligation, ...]:
        """What people who were told already hear: pages again, edits, notes, comments, a ticket closed or opened."""
        incident, want, owner = due.incident, set(due.want), self._owner(due)
        said = _Said(due)
        if incident.told.get("page", 0) > incident.expired:
            self._woken(said, owner)
            self._edited(said, owner)
        if "ticket" in incident.told:
            to, ticket = routing.jira(self.values, owner), f"{incident.id}:ticket:1"
            for comment in comments:
                said.owe("comment", comment, to, ticket)
            if "duplicate" in want:
                duplicate = writing.duplicate(self.values, incident)
                said.owe("transition", duplicate, to, ticket, duplicate.parent_ticket)
            if "closing" in want:
                said.owe("transition", writing.closing(self.values, incident), to, ticket)
            if "split" in want and "transition" in incident.told:
                said.owe("transition", writing.apart(self.values, incident), to, ticket)
        return tuple(said.all)

    def comments(self, due: Due) -> list[tuple[str, CommentDoc]]:
        """What the ticket should say, and what each is about: the same is not said again so soon."""
        incident, want, values = due.incident, set(due.want), self.values
        if "ticket" not in incident.told:
            return []
        found: list[tuple[str, CommentDoc]] = []
        if "outcome" in want and "closing" not in want:
            found.append((f"outcome {incident.outcome} {_mark(incident)}", writing.understood(values, incident)))
        if "raised" in want:
            found.append(("raised", writing.raised(values, incident, due.at)))
        if "recovered" in want:
            found.append(("recovered", writing.recovered_comment(values, incident, due.at)))
        if "back" in want:
            found.append(("back", writing.back_comment(values, incident, due.at)))
        if "assigned" in want:
            found.append((f"assigned {incident.assigned_to}", writing.assigned_comment(values, incident, due.at)))
        if "remark" in want:
            found.append(("remark", writing.remark_comment(values, incident, due.remark)))
        return found

    def umbrella(
        self, name: tuple[str, datetime], ordinal: int, waiting: tuple[str, ...], told: int
    ) -> list[Obligation]:
        """One for an owner's minute; `ordinal` 2 edits it once the minute is over."""
        desk, minute = name
        owner = routing.owner_named(self.values, desk)
        key = f"storm:{desk}:{minute:%Y-%m-%dT%H:%MZ}"
        mention = owner.mention if ordinal == 1 else ""
        doc = writing.umbrella(self.values, key, desk, (told, len(waiting)), mention=mention, waiting=waiting)
        doc = replace(doc, oncall=owner.oncall if ordinal == 1 else "", wakes=ordinal == 1)
        elsewhere = [one for one in routing.further(owner) if one.startswith("pagerduty:") and ordinal == 1]
        hourly = replace(doc, incident=f"storm:{desk}:{minute:%Y-%m-%dT%HZ}")  # it wakes people: once an hour
        return [
            Obligation(_page(key, ordinal, to), "", "page", ordinal, to, body(one), (f"{key}:page:1",) * (ordinal > 1))
            for to, one in ((routing.slack(self.values, owner), doc), *((to, hourly) for to in elsewhere))
        ]

    def notice(self, said: Notice) -> tuple[Obligation, ...]:
        """About no incident: to the agent's owner, waking nobody."""
        name, owner = f"notice:{said.id}", self.owner_of(said)
        doc, to = writing.notice(self.values, name, owner.name, said), routing.slack(self.values, owner)
        return (Obligation(f"{name}:page:1", "", "page", 1, to, body(doc), at=said.at),)

    def owner_of(self, said: Notice) -> Owner:
        about = About(agent=said.agent, environment=said.environment)
        return routing.route(self.values, about, {"agent": said.agent}, None).owner

    def _woken(self, said: _Said, owner: Owner) -> None:
        due, want = said.due, set(said.due.want)
        incident = due.incident
        if "worse" in want:
            doc = _waking(writing.page(self.values, incident, due.at, mention=owner.mention, oncall=owner.oncall))
            slack = routing.slack(self.values, owner)
            wakes = doc.mention or doc.oncall
            if to := (*((slack,) * bool(wakes)), *_elsewhere(incident)):
                said.page(doc, to)
            if not wakes:
                said.owe("note", self._note(incident, due.at, "worse"), slack, root(incident))
        levels = routing.levels(self.values, incident.owner)
        if "escalate" in want and 0 < incident.level <= len(levels):
            level = levels[incident.level - 1]
            mention, oncall = _whom(level, owner)
            doc = writing.page(self.values, incident, due.at, mention=mention, oncall=oncall)
            channel = f"slack:{level.channel}" if level.channel else routing.slack(self.values, owner)
            said.page(_waking(doc, incident.level), (channel, *routing.further(level)))

    def _edited(self, said: _Said, owner: Owner) -> None:
        """Its page says how things are; the thread beneath, what happened."""
        due, want = said.due, set(said.due.want)
        incident, slack = due.incident, routing.slack(self.values, owner)
        if want & EDITS:
            after = (root(incident), *((f"{incident.id}:ticket:1",) if "ticket" in incident.told else ()))
            doc = _plain(writing.page(self.values, incident, due.at, explained=due.explained))
            told_now = {one.destination for one in said.all}
            elsewhere = tuple(one for one in _elsewhere(incident) if one not in told_now)
            said.page(doc, (slack,), *after)
            said.beside(doc, elsewhere)
        if "remark" in want:
            said.owe("note", writing.remark(self.values, incident, due.remark, root(incident)), slack, root(incident))
        for what in NOTES:
            if what in want:
                said.owe("note", self._note(incident, due.at, what), slack, root(incident))

    def _note(self, incident: Incident, at: datetime, what: writing.News) -> Doc:
        return replace(writing.note(self.values, incident, at, what), page=root(incident))

    def _owner(self, due: Due) -> Owner:
        return routing.owner_named(self.values, due.incident.owner)


class _Said:
    """The obligations of one Due, numbered on from what was told before."""

    def __init__(self, due: Due) -> None:
        self.due = due
        self.told = dict(due.incident.told)
        self.all: list[Obligation] = []

    def owe(self, kind: ObligationKind, doc: Doc, to: str, *after: str) -> str:
        ordinal = self.told.get(kind, 0) + 1
        self.told[kind] = ordinal
        incident = self.due.incident.id
        name = f"{incident}:{kind}:{ordinal}"
        self.all.append(Obligation(name, incident, kind, ordinal, to, body(doc), after, self.due.at))
        return name

    def page(self, doc: PageDoc, to: tuple[str, ...], *after: str) -> str:
        """One number for all of its destinations."""
        ordinal = self.told["page"] = self.told.get("page", 0) + 1
        for one in to:
            self._page(doc, ordinal, one, after if one.startswith("slack:") else ())
        return f"{self.due.incident.id}:page:{ordinal}"

    def beside(self, doc: PageDoc, to: tuple[str, ...]) -> None:
        """The last page for others, too: those are told in the order of what was promised, and wait for nothing."""
        for one in to:
            self._page(doc, self.told["page"], one, ())

    def _page(self, doc: PageDoc, ordinal: int, to: str, after: tuple[str, ...]) -> None:
        incident = self.due.incident.id
        name = _page(incident, ordinal, to)
        self.all.append(Obligation(name, incident, "page", ordinal, to, body(doc), after, self.due.at))


def _mark(incident: Incident) -> str:
    """The same decision is not said twice so soon; another one is."""
    said = incident.decision and replace(incident.decision, at=incident.first_seen, actor="", count=0)
    return digest(f"{incident.fixed_in} {said}")


def root(incident: Incident) -> str:
    """Its first page that was sent, or will be."""
    return f"{incident.id}:page:{incident.expired + 1}"


def _page(incident: str, ordinal: int, to: str) -> str:
    name = f"{incident}:page:{ordinal}"
    return name if to.startswith("slack:") else f"{name}:{to}"


def _plain(doc: PageDoc) -> PageDoc:
    """Not an escalation, whatever was escalated before."""
    return replace(doc, level=0)


def _waking(doc: PageDoc, level: int = 0) -> PageDoc:
    return replace(doc, level=level, wakes=True)


def _elsewhere(incident: Incident) -> tuple[str, ...]:
    """Where else it was paged: whoever was woken hears how it ends, whatever the policy says by now."""
    return tuple(one for one in incident.told if one.startswith(FURTHER))


def _whom(level: Level, owner: Owner) -> tuple[str, str]:
    return (level.mention, level.oncall) if level.mention or level.oncall else (owner.mention, owner.oncall)
