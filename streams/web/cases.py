"""The API for regression cases: what once went wrong, what is expected since, and how releases did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from ..database import Connection
from ..learn.cases import casebook
from ..learn.recording import tell
from ..records import CaseScoredData, CaseState, CaseWritten, RegressionCase
from .answers import Documented, Refused
from .described import READING, WRITING
from .documents import PRINTABLE, Accepted, Line, Said
from .shop import Shop

Judge = Callable[[Iterable[CaseScoredData]], str]
Maybe = Annotated[str | None, QueryParameter(min_length=1, max_length=256, pattern=PRINTABLE)]


class CaseScore(Struct, frozen=True):
    """How one release did: verified, failed, unreliable (the baseline fails as well), missing (too few runs)."""

    release: str
    runs: int
    passes: int
    state: str


class CaseView(Struct, frozen=True):
    case: RegressionCase
    scores: tuple[CaseScore, ...] = ()


class Cases(Struct, frozen=True):
    cases: tuple[RegressionCase, ...]
    next: str | None  # give it as `after` to get the following ones


class CaseGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """What is expected of the agent, or of its evaluator; `retired`: it is run no longer."""

    actor: Line
    expectation: Annotated[str, Meta(max_length=4000)] | None = None
    input: Annotated[str, Meta(max_length=4000)] | None = None
    retired: bool = False
    source: Said = "web"


class Bench:
    """How runs are judged. Handed in: this room does not decide."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def view(self, conn: Connection, case: RegressionCase) -> CaseView:
        found = await casebook.scores(conn, case)
        scores = (
            CaseScore(release, sum(one.runs for one in runs), sum(one.passes for one in runs), self._judge(runs))
            for release, runs in found.items()
        )
        return CaseView(case, tuple(scores))


@get("/v1/cases", tags=["cases"], operation_class=Documented, **READING)
async def list_cases(  # noqa: PLR0917 - a query's parameters
    shop: NamedDependency[Shop],
    agent: Maybe = None,
    release: Maybe = None,
    kind: Annotated[CaseState | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 100,
    after: Annotated[str, QueryParameter(max_length=256)] = "",
) -> Cases:
    """Regression cases in a steady order. `release`: those that it is said to have fixed."""
    async with shop.connection() as conn:
        found = await casebook.cases(conn, casebook.Wanted(agent, kind, release), after, limit + 1)
    return Cases(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


@get("/v1/cases/{case:str}", tags=["cases"], operation_class=Documented, **READING)
async def get_case(shop: NamedDependency[Shop], bench: NamedDependency[Bench], case: FromPath[str]) -> CaseView:
    """One case, and how each release did."""
    async with shop.connection() as conn:
        return await bench.view(conn, await _known(conn, case))


@post("/v1/cases/{case:str}", tags=["cases"], **WRITING)
async def write_case(shop: NamedDependency[Shop], case: FromPath[str], data: JSONBody[CaseGiven]) -> Accepted:
    """Say what is expected: from then on it counts. Secrets leave what is written."""
    return await written(shop, case, data)


async def written(shop: Shop, case: str, data: CaseGiven) -> Accepted:
    if data.expectation is None and data.input is None and not data.retired:
        raise Refused(422, "Say what is expected, what it is given, or that it is retired.")
    if data.retired and data.expectation:
        raise Refused(422, "A case that is retired expects nothing.")
    actor, now = shop.recorder.typed(data.actor), datetime.now(UTC)
    async with shop.connection() as conn:
        await _known(conn, case)
        await tell(conn, CaseWritten(case, actor, now, data.expectation, data.input, data.retired))
    return Accepted(True, case)


async def _known(conn: Connection, name: str) -> RegressionCase:
    found = await casebook.case(conn, name)
    if found is None:
        raise Refused(404, "There is no case of this id.")
    return found


HANDLERS = [list_cases, get_case, write_case]
