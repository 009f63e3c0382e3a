"""Routes about the site: who am I, what is there, what does the create screen ask."""

from typing import Any

from aiohttp import web

from streams.sandbox.jira.catalogue import (
    FIELDS,
    KINDS,
    LINK_KINDS,
    PEOPLE,
    PRIORITIES,
    RESOLUTIONS,
    STATUSES,
    field_bean,
    kind_bean,
    named_bean,
    screen_bean,
    status_bean,
)
from streams.sandbox.jira.desk import Desk, answer, body, listed
from streams.sandbox.jira.fields import Refused
from streams.sandbox.jira.rules import PERMISSIONS
from streams.sandbox.jira.ticket import now


class Site:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._book = desk.book
        get, post = desk.serving.app.router.add_get, desk.serving.app.router.add_post
        api = "/rest/api/{api:2|3|latest}"
        get(f"{api}/serverInfo", self.server)
        get(f"{api}/myself", self.myself)
        get(f"{api}/mypermissions", self.permissions)
        get(f"{api}/user/search", self.users)
        get(f"{api}/user/assignable/search", self.users)
        get(f"{api}/project", self.projects)
        get(f"{api}/project/search", self.project_page)
        get(f"{api}/project/{{project}}", self.project)
        get(f"{api}/project/{{project}}/versions", self.versions)
        post(f"{api}/version", self.make_version)
        get(f"{api}/issuetype", self.kinds)
        get(f"{api}/issue/createmeta/{{project}}/issuetypes", self.create_kinds)
        get(f"{api}/issue/createmeta/{{project}}/issuetypes/{{kind}}", self.create_fields)
        get(f"{api}/field", self.fields)
        get(f"{api}/priority", self.priorities)
        get(f"{api}/resolution", self.resolutions)
        get(f"{api}/resolution/search", self.resolution_page)
        get(f"{api}/status", self.statuses)
        get(f"{api}/issueLinkType", self.link_kinds)
        get(f"{api}/attachment/meta", self.attachment_meta)

    async def server(self, request: web.Request) -> web.Response:
        at = now()
        return answer(
            {
                "baseUrl": self._desk.serving.origin(request),
                "version": "1001.0.0-SNAPSHOT" if self._desk.cloud else "10.3.24",
                "versionNumbers": [1001, 0, 0] if self._desk.cloud else [10, 3, 24],
                "deploymentType": "Cloud" if self._desk.cloud else "Server",
                "buildNumber": 100_000,
                "buildDate": at,
                "serverTime": at,
                "scmInfo": "sandbox",
                "serverTitle": "Jira (sandbox)",
            }
        )

    async def myself(self, request: web.Request) -> web.Response:
        return answer(self._desk.wire(request).user(self._desk.author(request)))

    async def permissions(self, request: web.Request) -> web.Response:
        asked = listed(request, "permissions")
        if not asked and self._desk.cloud:
            raise Refused(400, ["The permissions parameter must be used."])
        project = request.query.get("projectKey", "")
        if project and not self._visible(project):
            raise Refused(404, [f"No project could be found with key '{project[:20]}'."])
        return answer(
            {
                "permissions": {
                    key: {
                        "id": "1",
                        "key": key,
                        "name": key,
                        "type": "PROJECT",
                        "description": "",
                        "havePermission": not project or self._desk.rules.may(project, key),
                    }
                    for key in asked or PERMISSIONS
                }
            }
        )

    async def users(self, request: web.Request) -> web.Response:
        wanted = request.query.get("query", "").lower()
        found = [one for one in PEOPLE if wanted in one.email or wanted in one.name.lower() or wanted == one.id]
        return answer([self._desk.wire(request).user(one.id) for one in found])

    async def projects(self, request: web.Request) -> web.Response:
        return answer([self._desk.wire(request).project(key) for key in self._book.projects if self._visible(key)])

    async def project_page(self, request: web.Request) -> web.Response:
        visible = [key for key in self._book.projects if self._visible(key)]
        return answer(page([self._desk.wire(request).project(key) for key in visible]))

    async def project(self, request: web.Request) -> web.Response:
        key, wire = self._desk.project(request.match_info["project"]), self._desk.wire(request)
        more = {
            "issueTypes": [kind_bean(wire.base, kind) for kind in KINDS],
            "versions": [wire.version(key, number) for number in self._book.versions[key]],
            "components": [],
        }
        return answer({**wire.project(key), **more})

    async def versions(self, request: web.Request) -> web.Response:
        key, wire = self._desk.project(request.match_info["project"]), self._desk.wire(request)
        return answer([wire.version(key, number) for number in self._book.versions[key]])

    async def make_version(self, request: web.Request) -> web.Response:
        given = await body(request)
        name = given.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= 255:
            raise Refused(400, errors={"name": "You must specify a valid version name"})
        key = self._desk.project(str(given.get("projectId") or given.get("project")))
        if name in self._book.versions[key].values():
            raise Refused(400, errors={"name": "A version with this name already exists in this project."})
        return answer(self._desk.wire(request).version(key, self._book.version(key, name)), 201)

    async def kinds(self, request: web.Request) -> web.Response:
        return answer([kind_bean(self._base(request), kind) for kind in KINDS])

    async def create_kinds(self, request: web.Request) -> web.Response:
        self._desk.project(request.match_info["project"])
        beans = [kind_bean(self._base(request), kind) for kind in KINDS]
        return answer(self._screens("issueTypes", beans))

    async def create_fields(self, request: web.Request) -> web.Response:
        self._desk.project(request.match_info["project"])
        if request.match_info["kind"] not in KINDS:
            raise Refused(404, ["Issue type not found."])
        base, desk = self._base(request), self._desk
        names = [name for name, field in FIELDS.items() if field.on_create and (field.operations or field.required)]
        beans = [screen_bean(base, one, required=one in desk.required) for one in names if one not in desk.off_screen]
        return answer(self._screens("fields", beans))

    def _screens(self, name: str, beans: list[dict[str, Any]]) -> dict[str, Any]:
        """Data Center calls every list the same."""
        counted = {"maxResults": 50, "startAt": 0, "total": len(beans)}
        return {name: beans, **counted} if self._desk.cloud else {"values": beans, "isLast": True, **counted}

    def _visible(self, project: str) -> bool:
        return project in self._book.projects and self._desk.rules.may(project, "BROWSE_PROJECTS")

    async def fields(self, _: web.Request) -> web.Response:
        return answer([field_bean(name) for name in FIELDS])

    async def priorities(self, request: web.Request) -> web.Response:
        return answer([named_bean(self._base(request), "priority", *pair) for pair in PRIORITIES.items()])

    async def resolutions(self, request: web.Request) -> web.Response:
        return answer([named_bean(self._base(request), "resolution", *pair) for pair in RESOLUTIONS.items()])

    async def resolution_page(self, request: web.Request) -> web.Response:
        return answer(page([named_bean(self._base(request), "resolution", *pair) for pair in RESOLUTIONS.items()]))

    async def statuses(self, request: web.Request) -> web.Response:
        return answer([status_bean(self._base(request), status) for status in STATUSES])

    async def link_kinds(self, request: web.Request) -> web.Response:
        wire = self._desk.wire(request)
        beans = [
            {
                "id": number,
                "name": name,
                "inward": inward,
                "outward": outward,
                "self": wire.address(f"issueLinkType/{number}"),
            }
            for number, (name, inward, outward) in LINK_KINDS.items()
        ]
        return answer({"issueLinkTypes": beans})

    async def attachment_meta(self, _: web.Request) -> web.Response:
        rules = self._desk.rules
        return answer({"enabled": rules.attachments, "uploadLimit": rules.upload_limit})

    def _base(self, request: web.Request) -> str:
        return self._desk.serving.origin(request)


def page(values: list[dict[str, Any]]) -> dict[str, Any]:
    return {"values": values, "startAt": 0, "maxResults": 50, "total": len(values), "isLast": True}
