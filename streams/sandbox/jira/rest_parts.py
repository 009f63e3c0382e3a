"""Routes about what hangs on a ticket: comments, attachments, properties, links."""

import re
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from streams.sandbox.jira.catalogue import link_kind
from streams.sandbox.jira.desk import NOT_FOUND, Desk, answer, body, checked, listed, nothing, number, properties
from streams.sandbox.jira.fields import Refused, said
from streams.sandbox.jira.ticket import Comment, File, RemoteLink, Ticket


class Parts:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._book = desk.book
        router = desk.serving.app.router
        get, put, post, delete = router.add_get, router.add_put, router.add_post, router.add_delete
        rest = "/rest/api/{api:2|3|latest}"
        one = f"{rest}/issue/{{ticket}}"
        get(f"{one}/comment", self.comments)
        post(f"{one}/comment", self.comment)
        get(f"{one}/comment/{{id}}", self.one_comment)
        put(f"{one}/comment/{{id}}", self.edit_comment)
        delete(f"{one}/comment/{{id}}", self.drop_comment)
        post(f"{one}/attachments", self.attach)
        get(f"{rest}/attachment/{{id:\\d+}}", self.attachment)
        get(f"{rest}/attachment/content/{{id:\\d+}}", self.download)
        get("/secure/attachment/{id:\\d+}/{name:.*}", self.download)
        get(f"{one}/properties", self.property_keys)
        get(f"{one}/properties/{{key}}", self.property)
        put(f"{one}/properties/{{key}}", self.set_property)
        delete(f"{one}/properties/{{key}}", self.drop_property)
        get(f"{one}/remotelink", self.remote_links)
        post(f"{one}/remotelink", self.remote_link)
        delete(f"{one}/remotelink", self.drop_remote_link)
        post(f"{rest}/issueLink", self.link)

    async def comments(self, request: web.Request) -> web.Response:
        start, limit = number(request, "startAt", 0, 10**9), number(request, "maxResults", 5000, 5000)
        order = request.query.get("orderBy", "created")
        if order not in {"created", "+created", "-created"}:
            raise Refused(400, [f"Invalid orderBy: {order[:50]}"])
        shown = self._desk.wire(request).comments(
            self._desk.ticket(request),
            slice(start, start + limit),
            newest=order == "-created",
            properties="properties" in listed(request, "expand"),
        )
        return answer(shown)

    async def comment(self, request: web.Request) -> web.Response:
        ticket, given = self._desk.writable(request, "ADD_COMMENTS", 400), await body(request)
        written = said(self._desk.screen(request, ticket.project, frozenset()), given)
        kept = [{"key": key, "value": value} for key, value in properties(given.get("properties")).items()]
        comment = self._book.comment(ticket, self._desk.author(request), written, kept)
        return answer(self._desk.wire(request).comment(ticket, comment), 201)

    async def one_comment(self, request: web.Request) -> web.Response:
        ticket = self._desk.ticket(request)
        return answer(self._desk.wire(request).comment(ticket, _comment(ticket, request)))

    async def edit_comment(self, request: web.Request) -> web.Response:
        ticket, given = self._desk.writable(request, "ADD_COMMENTS", 400), await body(request)
        comment = _comment(ticket, request)
        written = said(self._desk.screen(request, ticket.project, frozenset()), given)
        self._book.edit_comment(ticket, self._desk.author(request), comment, written)
        return answer(self._desk.wire(request).comment(ticket, comment))

    async def drop_comment(self, request: web.Request) -> web.Response:
        ticket = self._desk.writable(request, "ADD_COMMENTS", 400)
        self._book.drop_comment(ticket, _comment(ticket, request))
        return nothing()

    async def attach(self, request: web.Request) -> web.Response:
        ticket, rules = self._desk.writable(request, "CREATE_ATTACHMENTS"), self._desk.rules
        if not rules.attachments:
            raise Refused(404, ["Attachments are disabled."])
        if request.headers.get("X-Atlassian-Token") != "no-check":
            return web.Response(status=403, text="XSRF check failed")
        parts = files(request.headers.get("Content-Type", ""), await request.read())
        if not 0 < len(parts) <= 60:
            raise Refused(400, ["Between 1 and 60 files in parts named 'file' are needed."])
        if any(len(data) > rules.upload_limit for _, _, data in parts):
            raise Refused(413, [f"The file exceeds its maximum permitted size of {rules.upload_limit} bytes."])
        wire = self._desk.wire(request)
        kept = [self._book.attach(ticket, self._desk.author(request), *part) for part in parts]
        return answer([wire.file(file) for file in kept])

    async def attachment(self, request: web.Request) -> web.Response:
        return answer(self._desk.wire(request).file(self._file(request)[0]))

    async def download(self, request: web.Request) -> web.Response:
        """Never shown in the page: what is in it came from outside."""
        file, data = self._file(request)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return web.Response(body=data, content_type="application/octet-stream", headers=headers)

    def _file(self, request: web.Request) -> tuple[File, bytes]:
        found = self._book.file(int(request.match_info["id"]))
        if found is None:
            raise Refused(404, ["The attachment with this id does not exist."])
        return found

    async def property_keys(self, request: web.Request) -> web.Response:
        ticket, wire = self._desk.ticket(request), self._desk.wire(request)
        return answer(
            {
                "keys": [
                    {"key": key, "self": wire.address(f"issue/{ticket.key}/properties/{quote(key)}")}
                    for key in ticket.properties
                ]
            }
        )

    async def property(self, request: web.Request) -> web.Response:
        ticket, key = self._desk.ticket(request), request.match_info["key"]
        if key not in ticket.properties:
            raise Refused(404, [f"The property with key '{key}' does not exist."])
        return answer({"key": key, "value": ticket.properties[key]})

    async def set_property(self, request: web.Request) -> web.Response:
        ticket, key = self._desk.writable(request, "EDIT_ISSUES"), request.match_info["key"]
        try:
            value = checked(key, msgspec.json.decode(await request.read()))
        except msgspec.DecodeError:
            raise Refused(400, ["The property value is not valid JSON."]) from None
        known = key in ticket.properties
        ticket.properties[key] = value
        self._book.keep(ticket)
        return answer(None, 200 if known else 201)

    async def drop_property(self, request: web.Request) -> web.Response:
        ticket, key = self._desk.ticket(request), request.match_info["key"]
        if key not in ticket.properties:
            raise Refused(404, [f"The property with key '{key}' does not exist."])
        del ticket.properties[key]
        self._book.keep(ticket)
        return nothing()

    async def remote_links(self, request: web.Request) -> web.Response:
        ticket, wire = self._desk.ticket(request), self._desk.wire(request)
        wanted = request.query.get("globalId")
        if wanted is None:
            return answer([wire.remote(ticket, link) for link in ticket.remote])
        for link in ticket.remote:
            if link.global_id == wanted:
                return answer(wire.remote(ticket, link))
        raise Refused(404, ["No remote issue link was found for the global id."])

    async def remote_link(self, request: web.Request) -> web.Response:
        """An upsert by global id within one ticket."""
        ticket, given = self._desk.writable(request, "LINK_ISSUES"), await body(request)
        kept = _remote_body(given)
        global_id = given.get("globalId")
        link = next((one for one in ticket.remote if global_id is not None and one.global_id == global_id), None)
        known = link is not None
        if link is None:
            link = RemoteLink(self._book.next_id(), global_id, kept)
            ticket.remote.append(link)
        link.body = kept
        self._book.touch(ticket)
        self._book.keep(ticket)
        address = self._desk.wire(request).address(f"issue/{ticket.key}/remotelink/{link.id}")
        return answer({"id": link.id, "self": address}, 200 if known else 201)

    async def drop_remote_link(self, request: web.Request) -> web.Response:
        ticket = self._desk.ticket(request)
        wanted = listed(request, "globalId")
        if not wanted:
            raise Refused(400, errors={"globalId": "'globalId' is required."})
        left = [link for link in ticket.remote if link.global_id not in wanted]
        if len(left) == len(ticket.remote):
            raise Refused(404, ["No remote issue link was found for the global id."])
        ticket.remote = left
        self._book.keep(ticket)
        return nothing()

    async def link(self, request: web.Request) -> web.Response:
        given = await body(request)
        kind = link_kind(given.get("type"))
        if kind is None:
            raise Refused(404, ["No issue link type with the given id or name was found."])
        inward, outward = (self._named(given.get(side)) for side in ("inwardIssue", "outwardIssue"))
        self._desk.rules.insist(inward.project, "LINK_ISSUES", 401)
        if (comment := given.get("comment")) is not None:
            screen = self._desk.screen(request, inward.project, frozenset())
            written = said(screen, comment)
            self._book.comment(inward, self._desk.author(request), written)
        self._book.link(kind, inward, outward)
        return web.Response(status=201)

    def _named(self, given: Any) -> Any:
        wanted = str(given.get("key") or given.get("id")) if isinstance(given, dict) else ""
        found = self._book.find(wanted)
        if found is None or not self._desk.rules.may(found.project, "BROWSE_PROJECTS"):
            raise Refused(404, [NOT_FOUND])
        return found


def _comment(ticket: Ticket, request: web.Request) -> Comment:
    for comment in ticket.comments:
        if str(comment.id) == request.match_info["id"]:
            return comment
    raise Refused(404, ["Can not find a comment for the id given."])


def _remote_body(given: dict[str, Any]) -> dict[str, Any]:
    target = given.get("object")
    errors = {}
    if not isinstance(target, dict) or not isinstance(target.get("title"), str) or not target["title"]:
        errors["title"] = "'title' is required."
    if not isinstance(target, dict) or not isinstance(target.get("url"), str) or not target["url"]:
        errors["url"] = "'url' is required."
    global_id = given.get("globalId")
    if not isinstance(global_id, str | None) or len(global_id or "") > 255:
        errors["globalId"] = "The global id must be a string of at most 255 characters."
    if errors:
        raise Refused(400, errors=errors)
    return {key: given[key] for key in ("application", "relationship", "object") if given.get(key) is not None}


def files(content_type: str, data: bytes) -> list[tuple[str, str, bytes]]:
    """Name, media type and content of each part named `file`."""
    if not re.match(r"multipart/form-data\s*;", content_type, re.IGNORECASE):
        raise Refused(415, ["multipart/form-data is needed."])
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
    found = []
    for part in message.iter_parts():
        name = part.get_filename()
        if part.get_param("name", header="content-disposition") == "file" and name:
            content = part.get_payload(decode=True)
            found.append((name, part.get_content_type(), content if isinstance(content, bytes) else b""))
    return found
