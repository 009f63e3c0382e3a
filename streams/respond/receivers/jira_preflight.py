"""Before anybody needs it: whether this Jira will take a ticket as we send it, in words. Only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .jira_text import line
from .jira_wire import Call, Reply, Wire

PERMISSIONS = {
    "BROWSE_PROJECTS": "see the project: without that no search finds anything, and nothing is opened at all",
    "CREATE_ISSUES": "open tickets",
    "EDIT_ISSUES": "confirm a ticket and take the label of an unconfirmed one away",
    "ADD_COMMENTS": "comment",
    "CREATE_ATTACHMENTS": "attach evidence",
    "LINK_ISSUES": "link duplicates and the incident's page",
    "TRANSITION_ISSUES": "close duplicates and what is over",
}
SENT = frozenset({"project", "issuetype", "summary", "description", "labels"})
NEEDED = ("summary", "description", "labels")
ENOUGH_BYTES = 256 * 1024
PAGE = "200"


class Found(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


async def preflight(
    wire: Wire, project: str, issue_type: str, more: Mapping[str, Any], *, priorities: Sequence[str] = ()
) -> list[Found]:
    """As far as it gets: whoever is not let in, or does not see the project, need not hear of its fields."""
    found = [await _myself(wire)]
    if not found[0].ok:
        return found
    found.append(await _project(wire, project))
    if found[-1].ok:
        found += await _screen(wire, (project, issue_type), more, priorities)
        found += await _permissions(wire, project)
    return [*found, await _attachments(wire)]


async def _myself(wire: Wire) -> Found:
    answer = await wire.call(Call("GET", "myself"))
    if not isinstance(answer, Reply):
        return Found(ok=False, what="credentials", says=f"Jira does not let us in: {answer.why}")
    body = answer.body if isinstance(answer.body, dict) else {}
    name = line(str(body.get("displayName") or body.get("name") or "somebody"), 80)
    kind = "Cloud" if "accountId" in body else "Data Center"
    if ("accountId" in body) != wire.cloud:
        says = f"this is a {kind}: set TOCSIN_JIRA_CLOUD to {'true' if not wire.cloud else 'false'}"
        return Found(ok=False, what="credentials", says=says)
    return Found(ok=True, what="credentials", says=f"signed in as {name}, {kind}")


async def _project(wire: Wire, project: str) -> Found:
    answer = await wire.call(Call("GET", f"project/{project}"))
    if not isinstance(answer, Reply):
        says = f"project {project} is not there, or may not be seen: {answer.why}"
        return Found(ok=False, what="project", says=says)
    archived = isinstance(answer.body, dict) and answer.body.get("archived") is True
    return Found(ok=not archived, what="project", says=f"project {project} {'is archived' if archived else 'is there'}")


async def _screen(
    wire: Wire, where: tuple[str, str], more: Mapping[str, Any], priorities: Sequence[str]
) -> list[Found]:
    project, issue_type = where
    kinds = await _listed(wire, f"issue/createmeta/{project}/issuetypes", "issueTypes")
    if isinstance(kinds, Found):
        return [kinds]
    kind = next((one for one in kinds if one.get("name") == issue_type), None)
    if kind is None:
        names = ", ".join(sorted(line(str(one.get("name")), 40) for one in kinds)) or "none that we may create"
        says = f"project {project} has no issue type {issue_type}; it has {names}"
        return [Found(ok=False, what="issue type", says=says)]
    fields = await _listed(wire, f"issue/createmeta/{project}/issuetypes/{kind.get('id')}", "fields")
    if isinstance(fields, Found):
        return [fields]
    there = {str(one.get("fieldId") or one.get("key")): one for one in fields}
    found = [Found(ok=True, what="issue type", says=f"{issue_type} can be created in {project}")]
    return [*found, *_fields(there, more, priorities)]


def _fields(there: Mapping[str, dict[str, Any]], more: Mapping[str, Any], priorities: Sequence[str]) -> list[Found]:
    sent = SENT | set(more) | ({"priority"} if priorities else set())
    found = [
        Found(
            ok=False,
            what="field",
            says=f"{_named(name, one)} is required, and we do not send it: add it to the owner's fields",
        )
        for name, one in there.items()
        if one.get("required") and not one.get("hasDefaultValue") and name not in sent
    ]
    wanted = [*NEEDED, *more, *(["priority"] if priorities else [])]
    found += [
        Found(ok=False, what="field", says=f"{name} is not on the create screen: a ticket with it is refused")
        for name in dict.fromkeys(wanted)
        if name not in there and name not in ("project", "issuetype")
    ]
    allowed = [str(one.get("name")) for one in (there.get("priority") or {}).get("allowedValues") or ()]
    found += [
        Found(ok=False, what="priority", says=f"there is no priority {name}; there is {', '.join(allowed)}")
        for name in dict.fromkeys(priorities)
        if allowed and name not in allowed
    ]
    return found or [
        Found(ok=True, what="fields", says="the create screen takes all that we send, and asks for no more")
    ]


async def _permissions(wire: Wire, project: str) -> list[Found]:
    params = {"projectKey": project, "permissions": ",".join(PERMISSIONS)}
    answer = await wire.call(Call("GET", "mypermissions", params=params))
    known = answer.body.get("permissions") if isinstance(answer, Reply) and isinstance(answer.body, dict) else None
    if not isinstance(known, dict):
        return [Found(ok=False, what="permissions", says=f"they cannot be read: {getattr(answer, 'why', 'no list')}")]
    missing = [name for name in PERMISSIONS if not _given(known.get(name))]
    found = [
        Found(ok=False, what="permission", says=f"{name} is missing: we cannot {PERMISSIONS[name]}") for name in missing
    ]
    return found or [Found(ok=True, what="permissions", says=f"all {len(PERMISSIONS)} that we need in {project}")]


async def _attachments(wire: Wire) -> Found:
    answer = await wire.call(Call("GET", "attachment/meta"))
    if not isinstance(answer, Reply) or not isinstance(answer.body, dict):
        return Found(ok=False, what="attachments", says=f"cannot be asked about: {getattr(answer, 'why', 'no answer')}")
    if answer.body.get("enabled") is not True:
        return Found(ok=False, what="attachments", says="are switched off: evidence is on the incident's page alone")
    limit = answer.body.get("uploadLimit")
    small = isinstance(limit, int) and limit < ENOUGH_BYTES
    says = f"at most {limit} bytes each{': evidence will often be shortened' if small else ''}"
    return Found(ok=not small, what="attachments", says=says)


async def _listed(wire: Wire, path: str, name: str) -> list[dict[str, Any]] | Found:
    """Data Center calls every list `values`."""
    answer = await wire.call(Call("GET", path, params={"maxResults": PAGE}))
    body = answer.body if isinstance(answer, Reply) and isinstance(answer.body, dict) else {}
    shown = body.get(name, body.get("values"))
    if not isinstance(shown, list):
        return Found(ok=False, what="create screen", says=f"cannot be read: {getattr(answer, 'why', 'no list')}")
    return [one for one in shown if isinstance(one, dict)]


def _named(field: str, found: Mapping[str, Any]) -> str:
    name = line(str(found.get("name") or field), 80)
    return f"{name} ({field})" if name != field else field


def _given(permission: Any) -> bool:
    return isinstance(permission, dict) and permission.get("havePermission") is True
