"""The API for what people say about gates: overrides and freezes."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from .answers import Documented
from .described import READING, WRITING
from .documents import Accepted
from .gate_desk import GateDesk
from .gate_documents import (
    ActorGiven,
    FreezeGiven,
    Freezes,
    FreezeTaken,
    OverrideGiven,
    Overrides,
    OverrideTaken,
    OverrideView,
)


@get("/v1/overrides", tags=["gates"], operation_class=Documented, **READING)
async def list_overrides(desk: NamedDependency[GateDesk], active: FromQuery[bool] = False) -> Overrides:
    """The newest first, each with what became of it. `active` leaves out what is over."""
    return Overrides(await desk.overrides(active=active))


@get("/v1/overrides/{override:str}", tags=["gates"], operation_class=Documented, **READING)
async def get_override(desk: NamedDependency[GateDesk], override: FromPath[str]) -> OverrideView:
    """One override, and whether it still holds."""
    return await desk.override(override)


@post("/v1/overrides", tags=["gates"], **WRITING)
async def ask_override(desk: NamedDependency[GateDesk], data: JSONBody[OverrideGiven]) -> OverrideTaken:
    """Ask to set named reasons aside for exactly this release, for a while. Does nothing until it is approved."""
    return await desk.ask(data)


@post("/v1/overrides/{override:str}/approve", tags=["gates"], **WRITING)
async def approve_override(
    desk: NamedDependency[GateDesk], override: FromPath[str], data: JSONBody[ActorGiven]
) -> Accepted:
    """For critical incidents and against a freeze by somebody else than who asked."""
    return await desk.approve(override, data.actor)


@post("/v1/overrides/{override:str}/end", tags=["gates"], **WRITING)
async def end_override(
    desk: NamedDependency[GateDesk], override: FromPath[str], data: JSONBody[ActorGiven]
) -> Accepted:
    """From now on the gate answers as if there had been none. Ending it twice is ending it."""
    return await desk.end(override, data.actor)


@get("/v1/freezes", tags=["gates"], operation_class=Documented, **READING)
async def list_freezes(desk: NamedDependency[GateDesk], active: FromQuery[bool] = False) -> Freezes:
    """The latest first. `active` leaves out those that are over, not those ahead."""
    return Freezes(await desk.freezes(active=active))


@post("/v1/freezes", tags=["gates"], **WRITING)
async def freeze(desk: NamedDependency[GateDesk], data: JSONBody[FreezeGiven]) -> FreezeTaken:
    """From one moment until another nothing is promoted. A rollback is never blocked by it."""
    return await desk.freeze(data)


@post("/v1/freezes/{freeze_id:str}/end", tags=["gates"], **WRITING)
async def end_freeze(desk: NamedDependency[GateDesk], freeze_id: FromPath[str], data: JSONBody[ActorGiven]) -> Accepted:
    """It is over from now on."""
    del data
    return await desk.end_freeze(freeze_id)


HANDLERS = [
    list_overrides,
    get_override,
    ask_override,
    approve_override,
    end_override,
    list_freezes,
    freeze,
    end_freeze,
]
