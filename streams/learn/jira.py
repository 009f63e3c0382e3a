"""Reads tickets by id: many at once from Cloud, one by one from Data Center. Never a search, whose index lags."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from .ticket import Mover, TicketRead

BULK_MAX = 100
AT_ONCE = 4
WANTED = ["status", "resolution", "fixVersions", "updated"]
MOVES = ("status", "resolution", "fix version", "fixversions", "outcome")


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
            part = rest[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._one(one, field) for one in part))
            found |= dict(zip(part, answers, strict=True))
        return found

    async def trusted(self) -> bool:
        """Whether we are still who we were: Jira says 404, not 401, to a stranger who asks for a ticket."""
        status, answer = await self._ask("GET", "/myself")
        return status == 200 and isinstance(answer, dict)

    async def sees(self, project: str) -> bool:
        """Whether we may browse it: to somebody who may not, every ticket of it is not there."""
        query = f"projectKey={quote(project, safe='')}&permissions=BROWSE_PROJECTS"
        status, answer = await self._ask("GET", f"/mypermissions?{query}")
        browse = _part(_part(answer, "permissions"), "BROWSE_PROJECTS")
        return status == 200 and _part(browse, "havePermission") is True

    async def mover(self, ticket: TicketRead, otherwise: datetime) -> Mover:
        """Who moved it last and when. Best effort: nothing about it may hold up the outcome."""
        try:
            query = "?expand=changelog&fields=assignee"
            status, answer = await self._ask("GET", f"/issue/{quote(ticket.id, safe='')}{query}")
        except TrackerAway:
            return Mover("", otherwise)
        entries = _parts(_part(answer, "changelog"), "histories") if status == 200 else []
        moves = [one for one in entries if _moves(one)]
        if not moves:
            return Mover(_person(_part(_part(answer, "fields"), "assignee")), otherwise)
        last = max(moves, key=lambda one: _when(one, otherwise))
        return Mover(_person(_part(last, "author")), _when(last, otherwise))

    async def _outcome_field(self) -> str:
        if self._outcome is None:
            status, answer = await self._ask("GET", "/field")
            if status != 200 or not isinstance(answer, list):
                raise TrackerAway(f"GET /field: {status}")
            named = [one for one in answer if str(_part(one, "name")).strip().lower() == "outcome"]
            self._outcome = str(_part(named[0], "id")) if named else ""
        return self._outcome

    async def _bulk(self, references: Sequence[str], field: str) -> dict[str, TicketRead | None]:
        """Missing and moved ones are left out without a word: they are asked for one by one."""
        body = {"issueIdsOrKeys": list(references), "fields": [*WANTED, *([field] if field else [])]}
        status, answer = await self._ask("POST", "/issue/bulkfetch", body)
        if status != 200:
            raise TrackerAway(f"POST /issue/bulkfetch: {status}")
        tickets = [_ticket(one, field) for one in _parts(answer, "issues")]
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
    fields = _part(found, "fields")
    status, resolution, outcome = _part(fields, "status"), _part(fields, "resolution"), _part(fields, field)
    stated = _part(outcome, "value") if isinstance(outcome, dict) else outcome
    key = _part(found, "key")
    return TicketRead(
        id=str(_part(found, "id")),
        key=str(key or ""),
        done=_part(_part(status, "statusCategory"), "key") == "done",
        status=str(_part(status, "name") or ""),
        resolution=_part(resolution, "name"),
        outcome=stated if isinstance(stated, str) else None,
        fix_versions=tuple(str(_part(one, "name")) for one in _parts(fields, "fixVersions")),
        updated=str(_part(fields, "updated") or ""),
    )


def _moves(entry: Any) -> bool:
    return any(str(_part(item, "field")).lower() in MOVES for item in _parts(entry, "items"))


def _when(entry: Any, otherwise: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(str(_part(entry, "created")))
    except ValueError:
        return otherwise
    return at if at.tzinfo else otherwise


def _person(found: Any) -> str:
    return str(_part(found, "displayName") or _part(found, "name") or "")


def _part(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) and name else None


def _parts(found: Any, name: str) -> Iterable[Any]:
    inside = _part(found, name)
    return inside if isinstance(inside, list) else []
