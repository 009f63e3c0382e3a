"""The pages of the sandbox Jira: the list of tickets, one ticket, and the forms with which a person works on it."""

from typing import Any

from aiohttp import web
from markupsafe import Markup, escape

from streams.sandbox.jira import adf
from streams.sandbox.jira.catalogue import (
    CATEGORIES,
    DOING,
    DONE,
    HUMAN,
    KINDS,
    LINK_KINDS,
    OUTCOMES,
    PRIORITIES,
    RESOLUTIONS,
    STATUSES,
    TODO,
    people,
)
from streams.sandbox.jira.desk import Desk
from streams.sandbox.jira.ticket import Ticket
from streams.sandbox.jira.wire import HISTORY_NAMES


class Pages:
    def __init__(self, desk: Desk) -> None:
        self._book = desk.book
        self._page = desk.serving.page
        router = desk.serving.app.router
        router.add_get("/", self.board)
        router.add_get("/browse/{key}", self.ticket)
        router.add_post("/browse/{key}/comment", self.comment)
        router.add_post("/browse/{key}/start", self.start)
        router.add_post("/browse/{key}/resolve", self.resolve)
        router.add_post("/browse/{key}/reopen", self.reopen)

    async def board(self, request: web.Request) -> web.Response:
        chosen = request.query.get("show", "open")
        tickets = sorted(self._book.tickets(), key=lambda ticket: ticket.id, reverse=True)
        is_done = {"open": {False}, "done": {True}}.get(chosen, {True, False})
        rows = [self._row(one) for one in tickets if (one.status == DONE) in is_done]
        counts = {"open": sum(one.status != DONE for one in tickets), "all": len(tickets)}
        counts["done"] = counts["all"] - counts["open"]
        return self._page("board.html", rows=rows[:500], hidden=max(0, len(rows) - 500), chosen=chosen, counts=counts)

    async def ticket(self, request: web.Request) -> web.Response:
        ticket = self._book.find(request.match_info["key"])
        if ticket is None:
            return self._trouble(404, "There is no such ticket", "It was deleted, or it never was.")
        return self._page(
            "ticket.html",
            ticket=ticket,
            row=self._row(ticket),
            description=adf.html(ticket.description),
            comments=[(_name(one.author), one.at, adf.html(one.body)) for one in ticket.comments],
            history=[(_name(one.author), one.at, [self._item(item) for item in one.items]) for one in ticket.history],
            links=self._links(ticket),
            reporter=_name(ticket.author),
            assignee=_name(ticket.assignee) if ticket.assignee else None,
            outcomes=list(OUTCOMES.values()),
            resolutions=RESOLUTIONS,
            versions=list(self._book.versions[ticket.project].values()),
            can_start=ticket.status == TODO,
            is_done=ticket.status == DONE,
        )

    async def comment(self, request: web.Request) -> web.Response:
        ticket, form = await self._form(request)
        text = form.get("text", "").strip()
        if text:
            self._book.comment(ticket, HUMAN.id, adf.document(text.replace("\r\n", "\n")))
        return _back(ticket, "comments")

    async def start(self, request: web.Request) -> web.Response:
        ticket, _ = await self._form(request)
        if ticket.status == TODO:
            self._book.move(ticket, HUMAN.id, DOING, {})
        return _back(ticket)

    async def resolve(self, request: web.Request) -> web.Response:
        ticket, form = await self._form(request)
        outcome, resolution = form.get("outcome", ""), form.get("resolution", "")
        if ticket.status == DONE:
            return self._trouble(409, f"{ticket.key} is already done", "Somebody was faster. Reopen it first.")
        if outcome not in OUTCOMES.values() or resolution not in RESOLUTIONS:
            return self._trouble(400, "An outcome is missing", "Go back and choose an outcome and a resolution.")
        values: dict[str, Any] = {"outcome": outcome, "resolution": resolution}
        if name := form.get("version", "").strip()[:255]:
            version = self._book.version(ticket.project, name)
            values["versions"] = list(dict.fromkeys([*ticket.versions, version]))
        self._book.move(ticket, HUMAN.id, DONE, values)
        return _back(ticket)

    async def reopen(self, request: web.Request) -> web.Response:
        ticket, _ = await self._form(request)
        if ticket.status == DONE:
            self._book.move(ticket, HUMAN.id, TODO, {})
        return _back(ticket)

    async def _form(self, request: web.Request) -> tuple[Ticket, dict[str, str]]:
        ticket = self._book.find(request.match_info["key"])
        if ticket is None:
            raise web.HTTPNotFound(text="There is no such ticket.")
        return ticket, {name: value for name, value in (await request.post()).items() if isinstance(value, str)}

    def _trouble(self, status: int, title: str, text: str) -> web.Response:
        return self._page("trouble.html", status=status, title=title, text=text)

    def _row(self, ticket: Ticket) -> dict[str, Any]:
        name, category = STATUSES[ticket.status]
        return {
            "key": ticket.key,
            "summary": ticket.summary,
            "kind": KINDS[ticket.kind],
            "status": name,
            "category": category,
            "category_name": CATEGORIES[category][1],
            "priority": PRIORITIES[ticket.priority],
            "labels": ticket.labels,
            "created": ticket.created,
            "resolution": RESOLUTIONS[ticket.resolution] if ticket.resolution else None,
            "outcome": ticket.outcome,
            "versions": [self._book.versions[ticket.project][number] for number in ticket.versions],
        }

    def _item(self, item: Any) -> tuple[str, str, str]:
        name = HISTORY_NAMES.get(item.field, (item.field, ""))[0]
        return name, item.old or "none", item.new or "none"

    def _links(self, ticket: Ticket) -> list[tuple[str, Any]]:
        """What a link says, and what it shows: another ticket's key and summary, or a page elsewhere."""
        found = []
        for link in ticket.links:
            other = self._book.find(str(link.other))
            if other is not None:
                words = LINK_KINDS[link.kind][2 if link.outward else 1]
                found.append((words, Markup('<a href="/browse/{0}">{0}</a> {1}').format(other.key, other.summary)))
        for remote in ticket.remote:
            target = remote.body["object"]
            shown = adf.anchor(target["url"], escape(target["title"]))
            found.append((str(remote.body.get("relationship") or "links to"), shown))
        return found


def _name(person: str) -> str:
    known = people(person)
    return known.name if known else person


def _back(ticket: Ticket, place: str = "") -> web.Response:
    """See other: reloading the page afterwards does not send the form again."""
    where = f"/browse/{ticket.key}" + (f"#{place}" if place else "")
    return web.Response(status=303, headers={"Location": where})
