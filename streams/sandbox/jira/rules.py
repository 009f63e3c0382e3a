"""What an administrator may change behind our back while the site runs: permissions, screens, workflow, archive."""

from typing import Literal

import msgspec
from aiohttp import web

from streams.sandbox.jira.catalogue import FIELDS
from streams.sandbox.jira.fields import Refused

PERMISSIONS = (
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "ADD_COMMENTS",
    "CREATE_ATTACHMENTS",
    "LINK_ISSUES",
    "TRANSITION_ISSUES",
    "DELETE_ISSUES",
)
UPLOAD_LIMIT = 10 * 2**20
READ_ONLY = "This project is archived: it can only be read."


class Workflow(msgspec.Struct, forbid_unknown_fields=True):
    """How tickets of a project end. `resolution` is what the screen of the last step asks."""

    done: bool = True  # False: no way there
    resolution: Literal["offered", "required", "hidden"] = "offered"
    needs: list[str] = []  # further fields which that screen insists on


class Rules(msgspec.Struct, forbid_unknown_fields=True):
    off_screen: set[str] = set()
    required: set[str] = msgspec.field(default_factory=lambda: {name for name, one in FIELDS.items() if one.required})
    denied: dict[str, set[str]] = {}  # project -> permissions taken away
    archived: set[str] = set()
    workflow: dict[str, Workflow] = {}
    attachments: bool = True
    upload_limit: int = UPLOAD_LIMIT

    def may(self, project: str, permission: str) -> bool:
        if project in self.archived and permission != "BROWSE_PROJECTS":
            return False
        denied = self.denied.get(project, set())
        return permission not in denied and "BROWSE_PROJECTS" not in denied

    def revoke(self, project: str, *permissions: str) -> None:
        self.denied.setdefault(project, set()).update(permissions)

    def grant(self, project: str, *permissions: str) -> None:
        """Without names: all of them."""
        self.denied[project] = self.denied.get(project, set()) - set(permissions or PERMISSIONS)

    def insist(self, project: str, permission: str, status: int = 403) -> None:
        if self.may(project, permission):
            return
        verb = permission.lower().replace("_", " ")
        why = READ_ONLY if project in self.archived else f"You do not have permission to {verb} in this project."
        raise Refused(status, [why])

    def ends(self, project: str) -> Workflow:
        return self.workflow.get(project, Workflow())


def changed(rules: Rules, raw: bytes) -> None:
    """Over HTTP: every rule that is named is replaced."""
    try:
        named = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        new = msgspec.convert(msgspec.json.decode(raw), Rules)
    except msgspec.DecodeError as error:
        raise Refused(400, [str(error)]) from None
    for name in named:
        setattr(rules, name, getattr(new, name))


class Ruling:
    """GET and PUT /_sandbox/rules."""

    def __init__(self, rules: Rules, router: web.UrlDispatcher) -> None:
        self._rules = rules
        router.add_get("/_sandbox/rules", self.show)
        router.add_put("/_sandbox/rules", self.change)

    async def show(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._rules), content_type="application/json")

    async def change(self, request: web.Request) -> web.Response:
        changed(self._rules, await request.read())
        return await self.show(request)
