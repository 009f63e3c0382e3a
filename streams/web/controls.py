"""The API of controls: what agents are told, for those without Kafka; what people want of agents."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from .answers import Documented
from .control_documents import ControlChanges, ControlGiven, ControlsDocument, ControlTaken
from .control_room import WAIT_S_MAX, ControlRoom
from .described import READING, WRITING

JSON = "application/json"


@get("/v1/controls", tags=["controls"], operation_class=Documented, **READING)
async def list_controls(
    request: Request[Any, Any, Any],
    room: NamedDependency[ControlRoom],
    since: FromQuery[int | None] = None,
    wait: Annotated[float, QueryParameter(ge=0, le=WAIT_S_MAX)] = 0.0,
) -> Response[ControlsDocument]:
    """Everything that agents are told. With `since` (the `seq` of the last answer) and `wait` it answers when something
    changes, or after that many seconds; with `If-None-Match` 304 says that nothing has. `Tocsin-Beat` is in both.
    """
    known = await room.known(since, wait)
    headers = {"ETag": known.etag, "Tocsin-Beat": str(known.beat), "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == known.etag:
        return Response(b"", status_code=304, headers=headers)  # type: ignore[arg-type]
    return Response(room.document(known), media_type=JSON, headers=headers)  # type: ignore[arg-type]


@post("/v1/controls", tags=["controls"], **WRITING)
async def ask_control(room: NamedDependency[ControlRoom], data: JSONBody[ControlGiven]) -> ControlTaken:
    """Hold agents back, or let them go (`close`). Agents hear of it within a second; `affected` says how much it stops."""
    return await room.ask(data)


@get("/v1/controls/changes", tags=["controls"], operation_class=Documented, **READING)
async def list_control_changes(
    room: NamedDependency[ControlRoom],
    of: Annotated[str | None, QueryParameter(name="scope", max_length=600)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> ControlChanges:
    """Who held what back, and let it go, the newest first; also what a detector wanted and was not done."""
    return ControlChanges(await room.changes(of, limit))


HANDLERS = [list_controls, ask_control, list_control_changes]
