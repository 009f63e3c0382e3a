"""What a snapshot holds, arranged part by part, so that what has not changed need not be arranged again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ...records import SEVERITIES, GateExposure, GateIncident, GateRelease
from ..releases.lineage import NEVER, FixedIn, Graph, Lineage, contains_fix, faulty_in, fix_release
from .incidents import over

INCIDENTS_MAX = 200  # of one release; beyond, the worst are looked at and the rest is said to be there
Address = tuple[str, str, str]  # agent, release, environment


class Ran:
    """Where sessions ran."""

    def __init__(self, exposure: Sequence[GateExposure]) -> None:
        self.source = exposure
        self.exposure: dict[Address, GateExposure] = {
            (one.agent, one.release, one.environment): one for one in exposure
        }
        self.releases = {(one.agent, one.release) for one in exposure}


class Graphs:
    """The releases of each agent, the oldest first; their graph once somebody asks."""

    def __init__(self, releases: Sequence[GateRelease]) -> None:
        self.source = releases
        self.by_agent: dict[str, list[GateRelease]] = {}
        for one in sorted(releases, key=lambda one: one.first_seen):
            self.by_agent.setdefault(one.agent, []).append(one)
        self._graphs: dict[str, Graph] = {}

    def of(self, agent: str) -> Graph:
        found = self._graphs.get(agent) or Graph(self.by_agent.get(agent, ()), agent)
        if agent in self.by_agent:  # made-up agents leave nothing behind
            self._graphs[agent] = found
        return found


class Troubles:
    """The incidents of one agent: by the releases they were sighted in, and where each is fixed."""

    def __init__(self, graph: Graph, incidents: Iterable[GateIncident]) -> None:
        self.sighted: dict[str, list[GateIncident]] = {}
        self.fixes: list[tuple[GateIncident, FixedIn]] = []
        for one in incidents:
            for release in one.releases:
                self.sighted.setdefault(release, []).append(one)
            if one.outcome == "fixed":
                names = [name for name in (one.id, one.ticket) if name]
                since = one.outcome_at if one.outcome_at and one.outcome_at.tzinfo else NEVER
                fixed = fix_release(graph, graph.agent, one.fixed_in, since, names, sighted=one.releases)
                self.fixes.append((one, fixed))
        self.fixed = {one.id: fixed for one, fixed in self.fixes}


class Sightings:
    """The incidents of each agent, and of nobody in particular."""

    def __init__(self, graphs: Graphs, incidents: Sequence[GateIncident]) -> None:
        self.source = incidents
        self._graphs = graphs
        self._incidents = _by_agent(incidents)
        self._troubles: dict[tuple[str, bool], Troubles] = {}

    def concerning(self, graph: Graph, release: str, lineage: Lineage) -> tuple[tuple[GateIncident, ...], bool]:
        """Incidents sighted in the release or in what it contains, or fixed in it; and whether there are more."""
        found: dict[str, GateIncident] = {}
        for troubles in (self._of(graph), self._of(graph, anybody=True)):
            for name in (release, *lineage.names, *lineage.unsure):
                for one in troubles.sighted.get(name, ()):
                    found.setdefault(one.id, _placed(graph, release, one, troubles.fixed.get(one.id)))
            for one, fixed in troubles.fixes:
                if one.id not in found and contains_fix(graph, graph.agent, release, fixed):
                    found[one.id] = _placed(graph, release, one, fixed)
        kept = sorted(found.values(), key=lambda one: (over(one), SEVERITIES.index(one.severity), one.id))
        return tuple(kept[:INCIDENTS_MAX]), len(kept) > INCIDENTS_MAX

    def _of(self, graph: Graph, *, anybody: bool = False) -> Troubles:
        """Of the agent, or of nobody in particular as this agent's releases see it."""
        key = (graph.agent, anybody)
        found = self._troubles.get(key)
        if found is None:
            found = Troubles(graph, self._incidents.get("" if anybody else graph.agent, ()))
            if graph.agent in self._graphs.by_agent:
                self._troubles[key] = found
        return found


def _by_agent(incidents: Iterable[GateIncident]) -> dict[str, list[GateIncident]]:
    """One that names nobody may be anybody's."""
    found: dict[str, list[GateIncident]] = {}
    for one in incidents:
        for agent in one.agents or ("",):
            found.setdefault(agent, []).append(one)
    return found


def _placed(graph: Graph, release: str, one: GateIncident, fixed: FixedIn | None) -> GateIncident:
    """As the release asked about sees it."""
    faulty = "" if release in one.releases else faulty_in(graph, graph.agent, release, one.releases) or ""
    if fixed is None:
        return replace(one, faulty_in=faulty) if faulty else one
    return replace(
        one,
        faulty_in=faulty,
        fix=fixed.release or "",
        fixed_here=contains_fix(graph, graph.agent, release, fixed),
        inferred=one.inferred or fixed.inferred,
    )
