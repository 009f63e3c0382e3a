"""How errors are told: JSON to programs, a page to people, never an empty body and never a stack trace."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import psycopg
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation
from litestar.openapi.spec.reference import Reference
from psycopg_pool import PoolTimeout

from .documents import Problem
from .gatehouse import CannotAnswer, UnknownGate
from .reading import BadCursor
from .rendering import page

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
PROGRAMS = ("/v1/", "/schema", "/ofrep/", "/flagd/", "/flagger/")
AGAIN_S = "2"


class Refused(Exception):
    """The caller made a mistake; `status` says which kind."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def told(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Whatever was raised, as an answer."""
    status, detail, errors = _meaning(error)
    headers = {"Retry-After": AGAIN_S} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    if isinstance(error, HTTPException) and status == 405:
        headers |= dict(error.headers or {})
    title = HTTPStatus(status).phrase
    if request.url.path.startswith(PROGRAMS) or request.url.path == "/v1":
        return Response(Problem(title, status, detail, errors), status_code=status, media_type=PROBLEM, headers=headers)
    text = page("trouble.html", status=status, title=title, detail=detail)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers)


def _meaning(error: Exception) -> tuple[int, str, tuple[str, ...]]:
    match error:
        case Refused():
            return error.status, error.detail, ()
        case UnknownGate():
            return 404, "The policy has no gate of this name.", ()
        case CannotAnswer():
            return 503, str(error), ()
        case BadCursor():
            return 422, "`after` is not what `next` said.", ()
        case ValidationException():
            return 422, "An argument is missing or wrong.", _errors(error)
        case SerializationException() | RecursionError():  # a body of brackets within brackets
            return 422, "The body cannot be read.", ()
        case HTTPException() if error.status_code < 500:
            # What litestar calls 400 is a body that is not JSON.
            return (422, "The body cannot be read.", ()) if error.status_code == 400 else (error.status_code, "", ())
        case psycopg.DataError():
            return 422, "A value holds characters that cannot be stored.", ()
        case psycopg.Error() | PoolTimeout() | TimeoutError() | OSError():
            log.warning("the database is away: %s", type(error).__name__)
            return 503, "The database cannot be reached.", ()
    log.error("a request failed", exc_info=error)
    return 500, "Something went wrong here. The log says what.", ()


def _errors(error: ValidationException) -> tuple[str, ...]:
    extra = error.extra if isinstance(error.extra, list) else []
    named = tuple(f"{one.get('key', '')}: {one.get('message', '')}" for one in extra if isinstance(one, dict))
    return named or (error.detail.partition(" for ")[0],)


@dataclass
class Documented(Operation):
    """A wrong argument is answered with 422, whatever the framework's own description says."""

    def __post_init__(self) -> None:
        responses = self.responses or {}
        if "400" in responses:
            del responses["400"]
            schema = Reference(ref="#/components/schemas/Problem")
            content = {PROBLEM: OpenAPIMediaType(schema=schema)}
            responses.setdefault("422", OpenAPIResponse(description="A wrong argument", content=content))
