"""From a snapshot to what one question's decision may look at."""

from __future__ import annotations

from datetime import datetime

from ..records import GateExposure, GateIncident, GateInputs, GateQuestion, GateRelease, GateSnapshot

NEWER_MAX = 20
Address = tuple[str, str, str]  # agent, release, environment


class Index:
    """A snapshot, arranged so that a question costs what its answer needs."""

    def __init__(self, snapshot: GateSnapshot) -> None:
        self.snapshot = snapshot
        self._exposure: dict[Address, GateExposure] = {
            (one.agent, one.release, one.environment): one for one in snapshot.exposure
        }
        self._releases: dict[str, list[GateRelease]] = {}
        for release in sorted(snapshot.releases, key=lambda one: one.first_seen):
            self._releases.setdefault(release.agent, []).append(release)
        self._ran = {(one.agent, one.release) for one in snapshot.exposure}
        self._sighted: dict[str, list[GateIncident]] = {}
        for incident in sorted(snapshot.incidents, key=lambda one: one.id):
            for release_name in incident.releases:
                self._sighted.setdefault(release_name, []).append(incident)

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs:
        """`question` may name the release by an alias."""
        agent, release = question.agent, self._canonical(question.agent, question.release)
        baseline = self._canonical(agent, question.baseline) if question.baseline else None
        seen = self._exposure.get((agent, release, question.environment))
        before = self._exposure.get((agent, baseline or "", question.environment))
        return GateInputs(
            question=GateQuestion(agent, release, question.environment, baseline),
            sessions=seen.sessions if seen else 0,
            bad=seen.bad if seen else 0,
            baseline_sessions=before.sessions if before else 0,
            known=self._known(agent, release),
            newer=self._newer(agent, release),
            incidents=tuple(one for one in self._sighted.get(release, ()) if not one.agents or agent in one.agents),
            watermark=watermark,
            read_at=read_at,
        )

    def addresses(self) -> list[Address]:
        """What is known, each agent's newest release first: where sessions ran, and releases that wait for theirs."""
        known = [
            *(((one.agent, one.release, one.environment)) for one in self.snapshot.exposure),
            *(
                (one.agent, one.release, "prod")
                for one in self.snapshot.releases
                if (one.agent, one.release) not in self._ran
            ),
        ]
        ages = {(one.agent, one.release): n for some in self._releases.values() for n, one in enumerate(reversed(some))}
        return sorted(known, key=lambda one: (one[0], ages.get(one[:2], 0), one[1:]))

    def _canonical(self, agent: str, name: str) -> str:
        """A release's own name wins over aliases; of two with the same alias the newest wins."""
        releases = self._releases.get(agent, [])
        if any(one.release == name for one in releases) or (agent, name) in self._ran:
            return name
        return next((one.release for one in reversed(releases) if name in one.aliases), name)

    def _known(self, agent: str, release: str) -> bool:
        """One that is only implied is not: what runs was never registered."""
        one = next((one for one in self._releases.get(agent, []) if one.release == release), None)
        if one is not None and one.implied and not one.registered:
            return False
        return one is not None or (agent, release) in self._ran

    def _newer(self, agent: str, release: str) -> tuple[str, ...]:
        names = [one.release for one in self._releases.get(agent, [])]
        return tuple(names[names.index(release) + 1 :][:NEWER_MAX]) if release in names else ()
