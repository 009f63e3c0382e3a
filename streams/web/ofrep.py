"""Controls for every language: OpenFeature's remote evaluation protocol, and a flag file that flagd polls."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import Struct, UnsetType
from psycopg_pool import PoolTimeout

from ..records import Control
from .shop import Shop

log = logging.getLogger(__name__)

FRESH_S = 0.2
READ_WITHIN_S = 3.0
CONTROLS_MAX = 20_000
CONTROLS = "SELECT body::text FROM controls WHERE state <> 'closed' ORDER BY scope LIMIT %s"
JSON = "application/json"
OPEN: Any = {"include_in_schema": False}


class NeverRead(Exception):
    """The database has been away since the start: what agents may do is not known here."""


class Flags:
    """What is known of controls, and what is made of them: handed in, since this file does not decide.

    A database that is away changes nothing: what was known last goes on, leases end by themselves.
    """

    def __init__(
        self,
        shop: Shop,
        request: type[Any],
        evaluate: Callable[[str, Iterable[Control], Any, datetime], Any],
        evaluate_all: Callable[[Iterable[Control], Any, datetime], Sequence[Any]],
        document: Callable[[Iterable[Control], datetime], dict[str, Any]],
    ) -> None:
        self._shop = shop
        self._asked = msgspec.json.Decoder(request)
        self.evaluate, self.evaluate_all, self.document = evaluate, evaluate_all, document
        self._known: tuple[Control, ...] | None = None
        self._read_s = 0.0
        self._reading = asyncio.Lock()

    def asked(self, body: bytes) -> Any:
        """The context of a request; raises DecodeError."""
        return self._asked.decode(body or b"{}").asked

    async def controls(self) -> tuple[Control, ...]:
        async with self._reading:
            if time.monotonic() - self._read_s >= FRESH_S:
                await self._read()
                self._read_s = time.monotonic()
        if self._known is None:
            raise NeverRead
        return self._known

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(READ_WITHIN_S), self._shop.connection() as conn:
                rows = await (await conn.execute(CONTROLS, [CONTROLS_MAX])).fetchall()
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
            log.warning("controls cannot be read: %s", type(error).__name__)
            return
        self._known = tuple(one for (raw,) in rows if (one := _control(raw)) is not None)


def _control(raw: str) -> Control | None:
    try:
        return msgspec.json.decode(raw, type=Control)
    except msgspec.DecodeError as error:
        log.warning("a control cannot be read: %s", type(error).__name__)
        return None


class Wrong(Struct, frozen=True, rename="camel"):
    error_code: str
    error_details: str
    key: str | UnsetType = msgspec.UNSET


AWAY = "What agents may do is not known: the database has not been reached since the start."
STATUS = {"FLAG_NOT_FOUND": 404}


@post("/ofrep/v1/evaluate/flags/{key:str}", status_code=200, **OPEN)
async def one_flag(request: Request[Any, Any, Any], key: FromPath[str]) -> Response[bytes]:
    """OFREP: one flag in one context."""
    flags: Flags = request.app.state.flags
    try:
        asked = flags.asked(await request.body())
        found = flags.evaluate(key, await flags.controls(), asked, datetime.now(UTC))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _answered(Wrong("PARSE_ERROR", "The body is no evaluation request.", key), 400)
    except NeverRead:
        return _answered(Wrong("GENERAL", AWAY, key), 503)
    code = getattr(found, "error_code", None)
    return _answered(found, 200 if code is None else STATUS.get(code, 400))


@post("/ofrep/v1/evaluate/flags", status_code=200, **OPEN)
async def every_flag(request: Request[Any, Any, Any]) -> Response[bytes]:
    """OFREP: all flags in one context; 304 while nothing changed."""
    flags: Flags = request.app.state.flags
    try:
        asked = flags.asked(await request.body())
        found = flags.evaluate_all(await flags.controls(), asked, datetime.now(UTC))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _answered(Wrong("PARSE_ERROR", "The body is no evaluation request."), 400)
    except NeverRead:
        return _answered(Wrong("GENERAL", AWAY), 503)
    return _tagged(request, {"flags": found})


@get("/flagd/flags.json", **OPEN)
async def flag_file(request: Request[Any, Any, Any]) -> Response[bytes]:
    """For flagd, which asks again with the tag of what it has."""
    flags: Flags = request.app.state.flags
    try:
        return _tagged(request, flags.document(await flags.controls(), datetime.now(UTC)))
    except NeverRead:
        return _answered(Wrong("GENERAL", AWAY), 503)


def _tagged(request: Request[Any, Any, Any], document: object) -> Response[bytes]:
    body = msgspec.json.encode(document, order="deterministic")
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    wanted = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    # `no-cache` is "ask each time", not "never keep": without it nobody would have a tag to ask with.
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if wanted & {tag, "*"}:
        return Response(b"", status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def _answered(found: object, status: int) -> Response[bytes]:
    headers = {"Retry-After": "1"} if status == 503 else {}
    return Response(msgspec.json.encode(found), status_code=status, media_type=JSON, headers=headers)


HANDLERS = [one_flag, every_flag, flag_file]
