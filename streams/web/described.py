"""What endpoints share: how their errors are described, and that writing asks for the token."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import ResponseSpec

from .answers import Documented, Refused
from .documents import Problem


def _problems(**told: str) -> dict[int, ResponseSpec]:
    texts = {int(status.lstrip("_")): text for status, text in told.items()}
    return {
        status: ResponseSpec(Problem, description=text, generate_examples=False, media_type="application/problem+json")
        for status, text in texts.items()
    }


def token_needed(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: without the token nothing is read of the body either."""
    keys = connection.app.state.door
    if not keys.usable:
        raise Refused(403, "Writing is off: no token is set (TOCSIN_TOKEN).")
    if not keys.bearer(connection.headers.get("authorization")):
        raise Refused(401, "This needs the header `Authorization: Bearer <token>`.")


def agents_too(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: what agents may do with a token of their own."""
    if not connection.app.state.door.agent(connection.headers.get("authorization")):
        token_needed(connection, handler)


WRITING: Any = {
    "guards": [token_needed],
    "status_code": 202,
    "operation_class": Documented,
    "security": [{"token": []}],
    "responses": _problems(
        _401="The token is missing or wrong", _403="No token is set", _404="Unknown", _503="The database is away"
    ),
}
OF_AGENTS: Any = {**WRITING, "guards": [agents_too]}
ASKING: Any = {"responses": _problems(_404="The policy has no such gate", _503="The gate cannot answer; ask again")}
READING: Any = {"responses": _problems(_404="Unknown", _503="The database is away")}
