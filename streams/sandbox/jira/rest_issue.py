"""Routes about one ticket: create, read, edit, delete, move through the workflow, history."""

from typing import Any

from aiohttp import web

from streams.sandbox.jira.catalogue import FIELDS, TRANSITIONS
from streams.sandbox.jira.desk import Desk, answer, body, listed, nothing, number, properties
from streams.sandbox.jira.fields import Refused, Screen, read, said, updated
from streams.sandbox.jira.ticket import Ticket
from streams.sandbox.jira.wire import asked

CREATE = frozenset(name for name, field in FIELDS.items() if field.on_create and (field.operations or field.required))
EDIT = CREATE - {"project", "issuetype"}
FINISH = frozenset({"resolution", "fixVersions", "customfield_10100", "assignee", "labels"})
MISSING = {
    "project": "valid project is required",
    "issuetype": "Specify an issue type",
    "summary": "You must specify a summary of the issue.",
}
NOT_NOW = (
    "It seems that you have tried to perform a workflow operation ({}) that is not valid for the current state of this "
    "issue ({}). The likely cause is that somebody has changed the issue recently, please look at the issue history "
    "for details."
)


class Issues:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._book = desk.book
        router = desk.serving.app.router
        api = "/rest/api/{api:2|3|latest}/issue"
        router.add_post(api, self.create)
        router.add_get(f"{api}/{{ticket}}", self.get)
        router.add_put(f"{api}/{{ticket}}", self.edit)
        router.add_delete(f"{api}/{{ticket}}", self.delete)
        router.add_get(f"{api}/{{ticket}}/transitions", self.transitions)
        router.add_post(f"{api}/{{ticket}}/transitions", self.move)
        router.add_get(f"{api}/{{ticket}}/changelog", self.changelog)

    async def create(self, request: web.Request) -> web.Response:
        given = await body(request)
        fields = given.get("fields")
        if not isinstance(fields, dict):
            raise Refused(400, ["Field values are missing."])
        missing = {name for name in self._desk.required if fields.get(name) in (None, "", [])}
        if missing:
            raise Refused(
                400, errors={name: MISSING.get(name, f"{FIELDS[name].name} is required.") for name in missing}
            )
        project = read(self._screen(request, "", CREATE), {"project": fields["project"]})["project"]
        if not self._desk.rules.may(project, "CREATE_ISSUES"):
            raise Refused(
                400, errors={"project": "You cannot create issues in this project: archived, or no permission."}
            )
        values = read(self._screen(request, project, CREATE), fields)
        del values["project"]
        values["properties"] = properties(given.get("properties"))
        ticket = self._book.create(project, self._desk.author(request), values)
        address = self._desk.wire(request).address(f"issue/{ticket.id}")
        return answer({"id": str(ticket.id), "key": ticket.key, "self": address}, 201)

    async def get(self, request: web.Request) -> web.Response:
        ticket, wire = self._desk.ticket(request), self._desk.wire(request)
        wanted = [name for name in listed(request, "fields") if name != "id"] or ["*all"]
        bean = wire.issue(ticket, wanted, listed(request, "properties"))
        if "changelog" in listed(request, "expand"):
            histories = [wire.change(change) for change in reversed(ticket.history)]
            bean["changelog"] = {
                "startAt": 0,
                "maxResults": len(histories),
                "total": len(histories),
                "histories": histories,
            }
        return answer(bean)

    async def edit(self, request: web.Request) -> web.Response:
        ticket, given = self._desk.writable(request, "EDIT_ISSUES"), await body(request)
        screen = self._screen(request, ticket.project, EDIT)
        comments, values = self._said(screen, ticket, given)
        ticket.properties |= properties(given.get("properties"))
        author = self._desk.author(request)
        self._comment(ticket, author, comments)
        self._book.change(ticket, author, values)
        if request.query.get("returnIssue") == "true":
            return answer(self._desk.wire(request).issue(ticket, ["*all"]))
        return nothing()

    async def delete(self, request: web.Request) -> web.Response:
        self._book.delete(self._desk.writable(request, "DELETE_ISSUES"))
        return nothing()

    async def transitions(self, request: web.Request) -> web.Response:
        ticket, wire = self._desk.ticket(request), self._desk.wire(request)
        rules = self._desk.rules
        with_fields = "transitions.fields" in listed(request, "expand")
        beans = wire.transitions(ticket, rules.ends(ticket.project), with_fields=with_fields)
        if not rules.may(ticket.project, "TRANSITION_ISSUES"):
            beans = []
        if wanted := request.query.get("transitionId"):
            beans = [bean for bean in beans if bean["id"] == wanted]
        return answer({"expand": "transitions", "transitions": beans})

    async def move(self, request: web.Request) -> web.Response:
        ticket, given = self._desk.writable(request, "TRANSITION_ISSUES", 400), await body(request)
        ends = self._desk.rules.ends(ticket.project)
        chosen = given.get("transition")
        wanted = str(chosen.get("id")) if isinstance(chosen, dict) else ""
        transition = next((one for one in TRANSITIONS if one.id == wanted and ticket.status in one.start), None)
        if transition is None or (transition.name == "Done" and not ends.done):
            raise Refused(400, [NOT_NOW.format(wanted, ticket.key)])
        finish = asked(ends) if transition.name == "Done" else {}
        screen = self._screen(
            request, ticket.project, FINISH & {*finish, "assignee", "labels"} if finish else frozenset()
        )
        comments, values = self._said(screen, ticket, given)
        sent = given.get("fields") or {}
        if lacking := {
            name: f"{FIELDS[name].name} is required." for name, must in finish.items() if must and not sent.get(name)
        }:
            raise Refused(400, errors=lacking)
        author = self._desk.author(request)
        self._comment(ticket, author, comments)
        self._book.move(ticket, author, transition.to, values)
        return nothing()

    async def changelog(self, request: web.Request) -> web.Response:
        ticket, wire = self._desk.ticket(request), self._desk.wire(request)
        start = number(request, "startAt", 0, 10**9, lenient=True)
        limit = number(request, "maxResults", 100, 100, lenient=True)
        shown = ticket.history[start : start + limit]
        return answer(
            {
                "self": wire.address(f"issue/{ticket.key}/changelog"),
                "startAt": start,
                "maxResults": limit,
                "total": len(ticket.history),
                "isLast": start + len(shown) >= len(ticket.history),
                "values": [wire.change(change) for change in shown],
            }
        )

    def _screen(self, request: web.Request, project: str, names: frozenset[str]) -> Screen:
        return self._desk.screen(request, project, names)

    def _said(self, screen: Screen, ticket: Ticket, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Comments and values of an edit or a transition; everything is checked before anything changes."""
        update = given.get("update") or {}
        fields = given.get("fields") or {}
        if not isinstance(update, dict) or not isinstance(fields, dict):
            raise Refused(400, ["fields and update must be objects"])
        if both := set(update) & set(fields):
            raise Refused(400, errors=dict.fromkeys(both, "Field cannot be in both fields and update."))
        spoken = update.get("comment", [])
        comments = [
            _comment_body(screen, operation) for operation in (spoken if isinstance(spoken, list) else [spoken])
        ]
        operations = {name: operation for name, operation in update.items() if name != "comment"}
        return comments, read(screen, fields) | updated(screen, ticket, operations)

    def _comment(self, ticket: Ticket, author: str, bodies: list[Any]) -> None:
        for one in bodies:
            self._book.comment(ticket, author, one)


def _comment_body(screen: Screen, operation: Any) -> Any:
    if not isinstance(operation, dict) or set(operation) != {"add"}:
        raise Refused(400, errors={"comment": "Only 'add' is supported."})
    return said(screen, operation["add"])
