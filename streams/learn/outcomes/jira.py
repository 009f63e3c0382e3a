"""Reads tickets by id: many at once from Cloud, one by one from Data Center. Never a search, whose index lags."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from .jira_said import COMMENTS, comment, duplicated, identity, marks, name_of, part, parts, when
from .ticket import Comment, Mover, TicketRead

BULK_MAX = 100
AT_ONCE = 4
WANTED = ["status", "resolution", "fixVersions", "updated", "duedate", "issuelinks"]
MOVES = ("status", "resolution", "fix version", "fixversions", "outcome", "duedate", "due date", "link")


class TrackerAway(Exception):
    """The tracker did not answer, or not as it should: what was known last stands."""


class JiraReader:
    """One site. `token` goes as the password of `user`, or as a bearer token when there is no user."""

    def __init__(self, url: str, user: str, token: str, *, cloud: bool = True, timeout_s: float = 15.0) -> None:
        self._base = f"{url.rstrip('/')}/rest/api/{3 if cloud else 2}"
        self._cloud, self._timeout = cloud, aiohttp.ClientTimeout(total=timeout_s)
        auth = aiohttp.encode_basic_auth(user, token) if user else f"Bearer {token}"
        self._headers = {"Authorization": auth, "Accept": "application/json"}
        self._session: aiohttp.ClientSession | None = None
        self._outcome: str | None = None  # id of the field "Outcome"; empty: the site has none
        self._resolutions: dict[str, str] = {}  # id -> name, as the site lists them
        self._own: str | None = None  # our account

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)

    async def stop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def read(self, references: Sequence[str]) -> dict[str, TicketRead | None]:
        """Each reference, an id or a key, with its ticket; None: the site says that it is not there."""
        field = await self._outcome_field()
        found: dict[str, TicketRead | None] = {}
        for start in range(0, len(references) if self._cloud else 0, BULK_MAX):
            found |= await self._bulk(references[start : start + BULK_MAX], field)
        rest = [one for one in references if one not in found]
        for start in range(0, len(rest), AT_ONCE):
            few = rest[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._one(one, field) for one in few))
            found |= dict(zip(few, answers, strict=True))
        await self._learn_resolutions(found.values())
        return {name: self._resolved(ticket) for name, ticket in found.items()}

    async def comments(self, ticket: TicketRead) -> list[Comment]:
        """The newest of them. Ours, and those of other machines, say so."""
        own = await self._myself()
        status, answer = await self._ask("GET", f"/issue/{quote(ticket.id, safe='')}/comment?{COMMENTS}")
        if status != 200:
            raise TrackerAway(f"GET /issue/comment: {status}")
        read = (comment(one, own) for one in parts(answer, "comments"))
        return [one for one in read if one is not None]

    async def trusted(self) -> bool:
        """Whether we are still who we were: Jira says 404, not 401, to a stranger who asks for a ticket."""
        status, answer = await self._ask("GET", "/myself")
        return status == 200 and isinstance(answer, dict)

    async def sees(self, project: str) -> bool:
        """Whether we may browse it: to somebody who may not, every ticket of it is not there."""
        query = f"projectKey={quote(project, safe='')}&permissions=BROWSE_PROJECTS"
        status, answer = await self._ask("GET", f"/mypermissions?{query}")
        browse = part(part(answer, "permissions"), "BROWSE_PROJECTS")
        return status == 200 and part(browse, "havePermission") is True

    async def mover(self, ticket: TicketRead, otherwise: datetime) -> Mover:
        """Who moved it last and when. Best effort: nothing about it may hold up the outcome."""
        try:
            own = await self._myself()
            query = "?expand=changelog&fields=assignee"
            status, answer = await self._ask("GET", f"/issue/{quote(ticket.id, safe='')}{query}")
        except TrackerAway:
            return Mover("", otherwise)
        entries = parts(part(answer, "changelog"), "histories") if status == 200 else []
        moves = [one for one in entries if _moves(one)]
        if not moves:
            who = part(part(answer, "fields"), "assignee")
            return Mover(name_of(who), otherwise, marks(who))
        last = max(moves, key=lambda one: when(part(one, "created")) or otherwise)
        who, at = part(last, "author"), when(part(last, "created")) or otherwise
        return Mover(name_of(who), at, marks(who), ours=bool(own) and identity(who) == own)

    async def _myself(self) -> str:
        if self._own is None:
            status, answer = await self._ask("GET", "/myself")
            if status != 200:
                raise TrackerAway(f"GET /myself: {status}")
            self._own = identity(answer)
        return self._own

    async def _learn_resolutions(self, tickets: Iterable[TicketRead | None]) -> None:
        """Names by number, as the site lists them: a ticket shows them in whoever's language."""
        asked = {one.resolution_id for one in tickets if one is not None and one.resolution_id}
        if asked <= self._resolutions.keys():
            return
        status, answer = await self._ask(
            "GET", f"/resolution/search?maxResults={BULK_MAX}" if self._cloud else "/resolution"
        )
        listed = answer if isinstance(answer, list) else parts(answer, "values")
        known = {str(part(one, "id")): str(part(one, "name") or "") for one in listed} if status == 200 else {}
        self._resolutions = {**dict.fromkeys(asked, ""), **known}  # one that is not listed is not asked for again

    def _resolved(self, ticket: TicketRead | None) -> TicketRead | None:
        name = self._resolutions.get(ticket.resolution_id, "") if ticket is not None else ""
        return msgspec.structs.replace(ticket, resolution=name) if ticket is not None and name else ticket

    async def _outcome_field(self) -> str:
        if self._outcome is None:
            status, answer = await self._ask("GET", "/field")
            if status != 200 or not isinstance(answer, list):
                raise TrackerAway(f"GET /field: {status}")
            named = [one for one in answer if str(part(one, "name")).strip().lower() == "outcome"]
            self._outcome = str(part(named[0], "id")) if named else ""
        return self._outcome

    async def _bulk(self, references: Sequence[str], field: str) -> dict[str, TicketRead | None]:
        """Missing and moved ones are left out without a word: they are asked for one by one."""
        body = {"issueIdsOrKeys": list(references), "fields": [*WANTED, *([field] if field else [])]}
        status, answer = await self._ask("POST", "/issue/bulkfetch", body)
        if status != 200:
            raise TrackerAway(f"POST /issue/bulkfetch: {status}")
        tickets = [_ticket(one, field) for one in parts(answer, "issues")]
        by_name = {name: ticket for ticket in tickets for name in (ticket.id, ticket.key)}
        return {one: by_name[one] for one in references if one in by_name}

    async def _one(self, reference: str, field: str) -> TicketRead | None:
        fields = ",".join([*WANTED, *([field] if field else [])])
        status, answer = await self._ask("GET", f"/issue/{quote(reference, safe='')}?fields={fields}")
        if status == 404:
            return None
        if status != 200 or not isinstance(answer, dict):
            raise TrackerAway(f"GET /issue: {status}")
        return _ticket(answer, field)

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        assert self._session is not None, "start() comes first"
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self._base + path, data=data, headers=headers, allow_redirects=False
            ) as response:
                raw = await response.read()
                return response.status, msgspec.json.decode(raw) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise TrackerAway(f"{method} {path.split('?', maxsplit=1)[0]}: {type(error).__name__}") from None


def _ticket(found: Any, field: str) -> TicketRead:
    fields = part(found, "fields")
    status, resolution, outcome = part(fields, "status"), part(fields, "resolution"), part(fields, field)
    stated = part(outcome, "value") if isinstance(outcome, dict) else outcome
    key = part(found, "key")
    return TicketRead(
        id=str(part(found, "id")),
        key=str(key or ""),
        done=part(part(status, "statusCategory"), "key") == "done",
        status=str(part(status, "name") or ""),
        resolution=part(resolution, "name"),
        outcome=stated if isinstance(stated, str) else None,
        fix_versions=tuple(str(part(one, "name")) for one in parts(fields, "fixVersions")),
        updated=str(part(fields, "updated") or ""),
        resolution_id=str(part(resolution, "id") or ""),
        due=str(part(fields, "duedate") or ""),
        duplicates=duplicated(parts(fields, "issuelinks")),
    )


def _moves(entry: Any) -> bool:
    return any(str(part(item, "field")).lower() in MOVES for item in parts(entry, "items"))
