"""Releases in the API: which came from which, what they fix, where they run and how they do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from ..database import Connection
from ..learn.delivering import releases_of
from ..records import GateFix, GateRelease
from .answers import Documented, Refused
from .described import READING
from .documents import PRINTABLE
from .shop import Shop

DEPLOYMENTS_MAX = 50
ANCESTORS_MAX = 50
DEPLOYMENTS = """
SELECT at, environment, op, result, (body->>'share')::float8, body->'decided_by'->>'id', body->>'decision_id', body->>'url'
FROM deployments WHERE (agent, release) = (%s, %s) ORDER BY at DESC LIMIT %s
"""
EXPOSURE = """
SELECT e.environment, e.sessions, e.bad,
    COALESCE(sum(m.count) FILTER (WHERE m.what = 'ended'), 0)::bigint,
    COALESCE(sum(m.count) FILTER (WHERE m.what = 'evaluated'), 0)::bigint
FROM exposed e
LEFT JOIN exposed_more m USING (agent, release, environment, generation)
WHERE (e.agent, e.release) = (%s, %s)
    AND e.generation = (SELECT max(generation) FROM exposed n
        WHERE (n.agent, n.release, n.environment) = (e.agent, e.release, e.environment))
GROUP BY e.environment, e.sessions, e.bad ORDER BY e.environment
"""
FIXED = (
    "SELECT incident, agent, release, state, how, detail FROM fixes WHERE (agent, release) = (%s, %s) ORDER BY incident"
)
Agent = Annotated[str | None, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]


class Releases(Struct, frozen=True):
    releases: tuple[GateRelease, ...]


class DeploymentView(Struct, frozen=True, omit_defaults=True):
    at: datetime
    environment: str
    op: str
    result: str
    share: float | None = None
    decided_by: str | None = None
    decision_id: str | None = None
    url: str | None = None


class ExposureView(Struct, frozen=True):
    environment: str
    sessions: int
    bad: int
    ended: int
    evaluated: int


class ReleaseDocument(Struct, frozen=True):
    release: GateRelease
    ancestors: tuple[str, ...]  # the nearest first; those that nobody registered as well
    children: tuple[str, ...]
    cyclic: bool
    fixed: tuple[GateFix, ...]  # fixes that it contains
    deployments: tuple[DeploymentView, ...]
    exposure: tuple[ExposureView, ...]


class Graph(Protocol):
    """The releases of one agent, arranged. Handed in: this file does not decide."""

    by_name: dict[str, GateRelease]

    def resolve(self, name: str) -> Any: ...

    def lineage(self, release: str) -> Any: ...


class Arrange(Protocol):
    def __call__(self, releases: Sequence[GateRelease], agent: str) -> Graph: ...


class Shelf:
    """How releases are arranged, for handlers."""

    def __init__(self, arrange: Arrange) -> None:
        self.arrange = arrange


@get("/v1/releases", tags=["releases"], operation_class=Documented, **READING)
async def list_releases(
    shop: NamedDependency[Shop], agent: Agent = None, limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50
) -> Releases:
    """The newest first: registered by CI, seen in events, or implied by what sessions ran with."""
    async with shop.connection() as conn:
        return Releases(tuple(await releases_of(conn, agent, limit)))


@get("/v1/releases/{agent:str}/{release:str}", tags=["releases"], operation_class=Documented, **READING)
async def get_release(
    shop: NamedDependency[Shop], graphs: NamedDependency[Shelf], agent: FromPath[str], release: FromPath[str]
) -> ReleaseDocument:
    """One release, by its name, an alias, an image's digest or a commit."""
    async with shop.connection() as conn:
        graph = graphs.arrange(await releases_of(conn, agent), agent)
        one = graph.by_name.get(release)
        found = graph.resolve(release)
        if one is None and found.ambiguous:
            raise Refused(404, f"This name stands for several releases: {', '.join(found.ambiguous)}")
        one = one or graph.by_name.get(found.release or "")
        if one is None:
            raise Refused(404, "Nobody knows this release of this agent.")
        return await _document(conn, graph, one)


async def _document(conn: Connection, graph: Graph, one: GateRelease) -> ReleaseDocument:
    place = (one.agent, one.release)
    lineage = graph.lineage(one.release)
    deployed = await (await conn.execute(DEPLOYMENTS, (*place, DEPLOYMENTS_MAX))).fetchall()
    exposed = await (await conn.execute(EXPOSURE, place)).fetchall()
    fixed = await (await conn.execute(FIXED, place)).fetchall()
    return ReleaseDocument(
        release=one,
        ancestors=lineage.names[:ANCESTORS_MAX],
        children=tuple(sorted(name for name in graph.by_name if _child(graph, name, one.release)))[:ANCESTORS_MAX],
        cyclic=lineage.cyclic,
        fixed=tuple(GateFix(*row) for row in fixed),
        deployments=tuple(DeploymentView(*row) for row in deployed),
        exposure=tuple(ExposureView(*row) for row in exposed),
    )


def _child(graph: Graph, name: str, parent: str) -> bool:
    return any((graph.resolve(one).release or one) == parent for one in graph.by_name[name].parents)


HANDLERS = [list_releases, get_release]
