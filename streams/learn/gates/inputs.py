"""From a snapshot to what one question's decision may look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from msgspec.structs import replace

from ...records import (
    Control,
    Freeze,
    GateComparison,
    GateFix,
    GateIncident,
    GateInputs,
    GateQuestion,
    GateRelease,
    GateSnapshot,
    Power,
    family_of,
)
from ..releases.lineage import Graph
from .arranged import Address, Graphs, Ran, Sightings
from .pairing import Pair, baseline_of

NEWER_MAX = 20
LINEAGE_MAX = 20  # ancestors that are stored with a decision, besides those that matter to it
WATCHED_MAX = 3  # newest releases of an agent in an environment, whose changes are published when nobody asks


class Index:
    """A snapshot, arranged so that a question costs what its answer needs. `before`: what has not changed is kept."""

    def __init__(self, snapshot: GateSnapshot, before: Index | None = None) -> None:
        self.snapshot = snapshot
        self.ran: Ran = before.ran if before and before.ran.source is snapshot.exposure else Ran(snapshot.exposure)
        graphs = before.graphs if before and before.graphs.source is snapshot.releases else None
        self.graphs: Graphs = graphs or Graphs(snapshot.releases)
        kept = before.sightings if before and graphs and before.sightings.source is snapshot.incidents else None
        self.sightings: Sightings = kept or Sightings(self.graphs, snapshot.incidents)
        self._compared: dict[tuple[str, ...], GateComparison] = {
            (one.agent, one.release, one.environment, one.baseline): one for one in snapshot.comparisons
        }
        self._serving = {(one.agent, one.environment): one.releases for one in snapshot.serving}
        self._cases = {(one.agent, one.release): one for one in snapshot.cases}
        self._fixed: dict[str, list[GateFix]] = {}
        for fix in snapshot.fixed:
            self._fixed.setdefault(fix.agent, []).append(fix)
        self._powers: dict[str, dict[str, Power]] = {}  # by family: a new version has no more than those before it
        for name, power in snapshot.powers.items():
            self._powers.setdefault(family_of(name), {})[name] = power
        self._addresses: list[Address] | None = None

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs:
        """`question` may name the release by an alias or a commit."""
        agent, environment = question.agent, question.environment
        graph = self.graphs.of(agent)
        release, ambiguous = self._canonical(graph, question.release)
        serving = self._serves(agent, environment)
        baseline = self._baseline(graph, question, release, serving)
        pair = self._compared.get((agent, release, environment, baseline or ""))
        lineage = graph.lineage(release)
        incidents, cut = self.sightings.concerning(graph, release, lineage)
        fixed = self._fixes(agent, (release, *lineage.names), incidents)
        known = graph.by_name.get(release)
        asked = GateQuestion(agent, release, environment, baseline)
        bare = GateInputs(
            question=asked,
            sessions=0,
            bad=0,
            baseline_sessions=0,
            known=self._known(graph, release),
            newer=self._newer(agent, release),
            incidents=incidents,
            watermark=watermark,
            read_at=read_at,
            ambiguous=ambiguous,
            cyclic=lineage.cyclic,
            lineage=_near(lineage.names, {fix.release for fix in fixed}),
            author=known.author if known else "",
            fixes=known.fixes if known else (),
            powers=self._of(_judges(incidents)),
            fixed=fixed,
            serving=serving[0] if serving else "",
            uncompared=pair is None and self._uncounted(asked),
            incidents_cut=cut or "" in self.snapshot.cut or agent in self.snapshot.cut,
        )
        return self._controlled(self._counted(bare, pair))

    def _of(self, judges: list[str]) -> dict[str, Power]:
        families = dict.fromkeys(map(family_of, judges)) if self._powers else {}
        return {name: power for one in families for name, power in self._powers.get(one, {}).items()}

    def addresses(self) -> list[Address]:
        """What is known, each agent's newest release first: where sessions ran, and releases that wait for theirs."""
        if self._addresses is None:
            known = [
                *self.ran.exposure,
                *((one.agent, one.release, "prod") for one in self.snapshot.releases if not self._has_run(one)),
            ]
            ages = {
                (one.agent, one.release): n
                for some in self.graphs.by_agent.values()
                for n, one in enumerate(reversed(some))
            }
            self._addresses = sorted(known, key=lambda one: (one[0], ages.get(one[:2], 0), one[1:]))
        return self._addresses

    def watched(self) -> list[Address]:
        """The newest of each agent in each environment: what may be on its way."""
        seen: dict[tuple[str, str], int] = {}
        found = []
        for agent, release, environment in self.addresses():
            place = seen[agent, environment] = seen.get((agent, environment), 0) + 1
            if place <= WATCHED_MAX:
                found.append((agent, release, environment))
        return found

    def usual(self, question: GateQuestion) -> bool:
        """Whether all that it names is known: of such questions there are only so many."""
        agent, known = question.agent, self.graphs.of(question.agent)
        names = [question.release, *([question.baseline] if question.baseline else [])]
        there = all(known.resolve(name).release or (agent, name) in self.ran.releases for name in names)
        where = (agent, question.environment) in self._serving or question.environment == "prod"
        return there and (where or (agent, names[0], question.environment) in self.ran.exposure)

    def pair(self, question: GateQuestion) -> Pair | None:
        """What has to be counted before this question can be answered by sessions."""
        graph = self.graphs.of(question.agent)
        release, _ = self._canonical(graph, question.release)
        serving = self._serves(question.agent, question.environment)
        baseline = self._baseline(graph, question, release, serving)
        asked = GateQuestion(question.agent, release, question.environment, baseline)
        return Pair(asked.agent, release, asked.environment, baseline or "") if self._uncounted(asked) else None

    def _known(self, graph: Graph, release: str) -> bool:
        """One that is only implied is not: what runs was never registered."""
        known = graph.by_name.get(release)
        if known is not None and known.implied and not known.registered:
            return False
        return known is not None or (graph.agent, release) in self.ran.releases

    def _has_run(self, one: GateRelease) -> bool:
        return (one.agent, one.release) in self.ran.releases

    def _canonical(self, graph: Graph, name: str) -> tuple[str, tuple[str, ...]]:
        """The release, and everything else it could mean."""
        found = graph.resolve(name)
        return found.release or name, () if (
            graph.agent,
            name,
        ) in self.ran.releases and not found.ambiguous else found.ambiguous

    def _serves(self, agent: str, environment: str) -> Sequence[str]:
        """Where nobody promoted and nothing ran lately: what most sessions ran in."""
        found = self._serving.get((agent, environment))
        if found is None:
            ran = [
                one
                for name in self.graphs.by_agent.get(agent, ())
                if (one := self.ran.exposure.get((agent, name.release, environment)))
            ]
            found = tuple(one.release for one in sorted(ran, key=lambda one: (-one.sessions, one.release)))
        return found

    def _baseline(self, graph: Graph, question: GateQuestion, release: str, serving: Sequence[str]) -> str | None:
        if question.baseline is None:
            return baseline_of(serving, release)
        return self._canonical(graph, question.baseline)[0]

    def _uncounted(self, asked: GateQuestion) -> bool:
        """Both ran here, and nobody has compared them yet."""
        if not self.snapshot.compares or asked.baseline in (None, asked.release):
            return False
        ran = (
            (asked.agent, name or "", asked.environment) in self.ran.exposure
            for name in (asked.release, asked.baseline)
        )
        return all(ran) and (asked.agent, asked.release, asked.environment, asked.baseline or "") not in self._compared

    def _fixes(self, agent: str, names: Sequence[str], incidents: Sequence[GateIncident]) -> tuple[GateFix, ...]:
        ids, there = {one.id for one in incidents}, set(names)
        return tuple(fix for fix in self._fixed.get(agent, ()) if fix.incident in ids and fix.release in there)

    def _counted(self, bare: GateInputs, pair: GateComparison | None) -> GateInputs:
        asked = bare.question
        seen = self.ran.exposure.get((asked.agent, asked.release, asked.environment))
        cases = self._cases.get((asked.agent, asked.release))
        counted = replace(
            bare,
            sessions=seen.sessions if seen else 0,
            bad=seen.bad if seen else 0,
            cases_passed=cases.passed if cases else 0,
            cases_failed=cases.failed if cases else 0,
        )
        if pair is None:
            return counted
        return replace(
            counted,
            baseline_sessions=pair.baseline_sessions,
            baseline_bad=pair.baseline_bad,
            cells=pair.cells,
            shares=pair.shares,
            measures=pair.measures,
            ended=pair.ended,
            evaluated=pair.evaluated,
            per_minute=round(pair.per_minute, 3),
        )

    def _controlled(self, inputs: GateInputs) -> GateInputs:
        asked, snapshot = inputs.question, self.snapshot
        where = (asked.agent, asked.release, asked.environment)
        return replace(
            inputs,
            overrides=tuple(o for o in snapshot.overrides if (o.agent, o.release, o.environment) == where),
            freezes=tuple(one for one in snapshot.freezes if _froze(one, asked)),
            controls=tuple(one for one in snapshot.controls if _held(one, asked)),
            tickets_away=snapshot.tickets_away,
        )

    def _newer(self, agent: str, release: str) -> tuple[str, ...]:
        names = [one.release for one in self.graphs.by_agent.get(agent, [])]
        return tuple(names[names.index(release) + 1 :][:NEWER_MAX]) if release in names else ()


def _near(names: Sequence[str], mattering: set[str]) -> tuple[str, ...]:
    return tuple(name for n, name in enumerate(names) if n < LINEAGE_MAX or name in mattering)


def _judges(incidents: Iterable[GateIncident]) -> list[str]:
    return sorted({judge for one in incidents for judge in one.judges})


def _froze(one: Freeze, asked: GateQuestion) -> bool:
    agent = any(fnmatchcase(asked.agent, glob) for glob in one.agents)
    return agent and any(fnmatchcase(asked.environment, glob) for glob in one.environments)


def _held(one: Control, asked: GateQuestion) -> bool:
    scope = one.scope
    if scope.kind == "release":
        return (scope.agent, scope.id) == (asked.agent, asked.release)
    return scope.kind == "global" or (scope.kind == "agent" and scope.agent == asked.agent)
