"""What a session has cost so far, against sessions of its kind that have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..methods import sketch
from ..methods.sketch import Sketch
from ..session.amounts import NANO
from ..shelf import added, hashed, holds
from .bucketed import Bucket, Bucketed, Words

KINDS_MAX = 16  # of tasks: those that are little known and longest unseen are forgotten
TOLD_MAX = 64  # sessions
FAMILY = "cost#"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    floor: Annotated[float, Meta(gt=0, le=1e9)] = 1.0  # currency units
    peers_min: Annotated[int, Meta(ge=2, le=1000)] = 50


class Peers(Struct, frozen=True, array_like=True, gc=False):
    costs: Sketch = Sketch()
    seen_s: int = 0


class Known(Struct, frozen=True, array_like=True, gc=False):
    kinds: dict[str, Peers] = {}
    told: bytes = b""  # hashes of sessions


class Dear(NamedTuple):
    nano: int
    session: str
    kind: str
    limit: float


class CostPeers(Bucketed[Thresholds, Known]):
    """A session costs more than the highest of a floor, 3 x p99 of its peers, and log-median + 4 sigma of them.

    Subject: the agent. Peers are ended sessions of the same agent, environment and kind of task, of whatever release.
    """

    name, version, state = "cost.peers", 1, Known
    kinds = ("session", "spent")
    by_sums = ("nano",)
    severity: Severity = "high"
    runbook = (
        "Look at the session named below: what does it do again and again, or with ever longer inputs?\n"
        "Stop it, unless what it does is worth that much.\n"
        "Set a budget for sessions of this agent, `budget_session` in its [[agents]] rule."
    )
    limits = Thresholds
    minimum = "50 ended sessions of the kind of task; before that only the limits of cost.session"
    false_alarms = "0.4 in 10,000 sessions, lognormal costs of sigma 0.8 to 1.6 (seeded simulation, tests/detect/test_cost_peers.py)"

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if fact.kind == "spent" or fact.sums.get("nano") else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        if fact.kind == "spent":
            return {}
        kind = fact.subject[3]
        return {f"{name.removeprefix(FAMILY)} {kind}": n for name, n in fact.sums.items() if name.startswith(FAMILY)}

    def closed(self, state: Known, bucket: Bucket, words: Words) -> tuple[Known, tuple[Finding, ...]]:
        dear = self._dear(state, bucket, words[1])
        told = state.told
        for one in dear:
            told = added(told, hashed(one.session), TOLD_MAX)
        after = Known(_filled(state.kinds, bucket, self.limits_for(words[1]).peers_min), told)
        return (state if after == state else after), (self._finding(state, dear, bucket, words),) if dear else ()

    def _dear(self, state: Known, bucket: Bucket, agent: str) -> list[Dear]:
        """Sessions that cost too much and were not told yet, the dearest first."""
        limits, found = self.limits_for(agent), {}
        spent = sorted(_spent(mark) for mark in bucket.marks)
        for nano, session, kind in spent:
            peers = state.kinds.get(kind)
            if nano < limits.floor * NANO or peers is None or peers.costs.total < limits.peers_min:
                continue
            limit = sketch.outlying(peers.costs, limits.floor)
            if nano >= limit * NANO and not holds(state.told, hashed(session)):
                found[session] = Dear(nano, session, kind, limit)
        return sorted(found.values(), reverse=True)

    def _finding(self, state: Known, dear: list[Dear], bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        worst = dear[0]
        peers = state.kinds[worst.kind].costs
        more = f", and {len(dear) - 1} other sessions" if len(dear) > 1 else ""
        sessions = {one.session for one in dear}
        return self.found(
            {"agent": agent},
            f"{agent}: a session costs far more than others of its kind",
            identity=(agent, environment),
            at=self.when(bucket, words),
            count=len(dear),
            observed=f"{worst.nano / NANO:.2f} so far in session {worst.session}{more}",
            expected=f"at most {worst.limit:.2f}: {peers.total} others{f' ({worst.kind})' if worst.kind else ''} "
            f"cost {sketch.quantile(peers, 0.5):.2f} in the middle",
            evidence=tuple(sample for sample in bucket.samples if sample.session in sessions),
        )


def _spent(mark: str) -> tuple[int, str, str]:
    nano, session, kind = [*mark.split("\x1f", 2), "", ""][:3]
    return int(nano), session, kind


def _filled(known: dict[str, Peers], bucket: Bucket, peers_min: int) -> dict[str, Peers]:
    """The peers, with the sessions that ended in this bucket."""
    counts: dict[str, dict[int, int]] = {}
    for name, n in bucket.sums.items():
        place, _, kind = name.partition(" ")
        if place.lstrip("-").isdigit():
            counts.setdefault(kind, {})[int(place)] = n
    if not counts:
        return known
    after = dict(known)
    for kind, costs in counts.items():
        peers = known.get(kind) or Peers()
        after[kind] = replace(peers, costs=sketch.add(peers.costs, costs), seen_s=bucket.at_s)
    kept = sorted(after, key=lambda kind: (after[kind].costs.total >= peers_min, after[kind].seen_s, kind))[-KINDS_MAX:]
    return {kind: after[kind] for kind in sorted(kept)}
