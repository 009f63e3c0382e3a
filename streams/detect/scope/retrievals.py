"""Retrieval that finds nothing, or nothing that fits: more often than it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..methods.cusum import BATCH, Bank, normal, step, upper
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

SPAN_S = 60
TOOLS_MAX = 64  # of an agent: the least used are forgotten
MICRO = 10**6
LOTS = 25  # of scored calls, of which the usual score is the mean
LOW_LOTS = 2  # in a row: one lot may be low by chance
HEADROOM = 2.0  # above the limit: how far a score may climb, so that it can come down again
HOLDS_SHARE = 0.75  # of the way up to a finding: until the score is below, it is not over
LOW_MAX = 50  # lots: by then that is how it is
BETWEEN = " "


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[float, Meta(gt=0, le=1e3)] = 9.0  # of the CUSUMs
    empty_min: Annotated[int, Meta(ge=1, le=10**6)] = 20  # empty ones in a row, as long as nothing is known
    fall_min: Annotated[float, Meta(gt=0, lt=1)] = 0.3  # of the mean top score, …
    scored_min: Annotated[int, Meta(ge=2, le=10**6)] = 20  # … over so many calls, twice


class Emptiness(Struct, frozen=True, array_like=True, gc=False):
    calls: int = 0  # the first ones, until the bank has something to compare with
    empty: int = 0
    row: int = 0  # empty ones since one that was not
    bank: Bank | None = None
    since_s: int = 0


class Scores(Struct, frozen=True, array_like=True, gc=False):
    usual: float = 0.0  # mean of lots
    lots: int = 0
    n: int = 0  # of the lot that fills
    micro: int = 0
    low: int = 0  # lots in a row
    last: float = 0.0
    since_s: int = 0


class Retrieval(Struct, frozen=True, array_like=True, gc=False):
    calls: int = 0
    seen_s: int = 0
    emptiness: Emptiness = Emptiness()
    scores: Scores = Scores()


class Retrievals(Struct, frozen=True, array_like=True, gc=False):
    known: dict[str, Retrieval] = {}


class RetrievalEmpty(Bucketed[Thresholds, Retrievals]):
    """The share of empty retrievals (bank of three CUSUMs), and the mean top score, of each tool against its own past.

    Subject: agent, tool, and empty or score. Only a fall of the score is trouble.
    """

    name, version, state = "retrieval.empty", 1, Retrievals
    kinds = ("retrieval",)
    severity: Severity = "medium"
    runbook = (
        "Ask the index what the agent asked: is it there, is it complete, is it fresh?\n"
        "Look for a change of the embedding model, the filter or the rights that the agent searches with.\n"
        "Rebuild or restore the index; until then the agent answers without sources."
    )
    limits = Thresholds
    minimum = "64 calls for the share, 40 scored ones for the score; before that 20 empty ones in a row"
    false_alarms = (
        "0.2 in 10,000 calls at empty shares of 2 to 90 % and scores with a spread of 60 % (seeded simulation)"
    )

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        tool = fact.subject[3]
        names = ("calls", "empty", "scored", "score")
        return {f"{name}{BETWEEN}{tool}": fact.sums[name] for name in names if name in fact.sums}

    def closed(self, state: Retrievals, bucket: Bucket, words: Words) -> tuple[Retrievals, tuple[Finding, ...]]:
        known, limits, said = dict(state.known), self.limits_for(words[1]), []
        for tool in sorted(name.partition(BETWEEN)[2] for name in bucket.sums if name.startswith(f"calls{BETWEEN}")):
            calls, empty, scored, score = (
                bucket.sums.get(f"{name}{BETWEEN}{tool}", 0) for name in ("calls", "empty", "scored", "score")
            )
            before = known.get(tool) or Retrieval()
            emptiness = _emptied(before.emptiness, calls, min(empty, calls), bucket.at_s, limits)
            scores = _scored(before.scores, scored, score, bucket.at_s, limits)
            known[tool] = Retrieval(min(before.calls + calls, 10**9), bucket.at_s, emptiness, scores)
            if emptiness.since_s:
                said.append(self._empty(tool, emptiness, bucket, words))
            if scores.since_s:
                said.append(self._low(tool, scores, bucket, words))
        if len(known) > TOOLS_MAX:
            kept = sorted(known, key=lambda tool: (min(known[tool].calls, BATCH), known[tool].seen_s, tool))
            known = {tool: known[tool] for tool in sorted(kept[-TOOLS_MAX:])}
        return Retrievals(known), tuple(said)

    def _empty(self, tool: str, known: Emptiness, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        calls, empty = (bucket.sums.get(f"{name}{BETWEEN}{tool}", 0) for name in ("calls", "empty"))
        usual = f"about {normal(known.bank):.0%}" if known.bank else "something, now and then"
        return self.found(
            {"agent": agent, "tool": tool},
            f"{agent}: {tool} finds nothing too often",
            identity=(agent, tool, environment, "empty"),
            at=self.when(bucket, words),
            count=empty,
            observed=f"{empty} of the last {calls} calls were empty" + (f", {known.row} in a row" if known.row else ""),
            expected=usual,
            dependency=tool,
        )

    def _low(self, tool: str, known: Scores, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        return self.found(
            {"agent": agent, "tool": tool, "what": "score"},
            f"{agent}: what {tool} finds fits worse than it did",
            identity=(agent, tool, environment, "score"),
            at=self.when(bucket, words),
            observed=f"mean top score {known.last:.3g}",
            expected=f"about {known.usual:.3g}",
            dependency=tool,
        )


def _emptied(known: Emptiness, calls: int, empty: int, at_s: int, limits: Thresholds) -> Emptiness:
    row = known.row + empty if empty == calls else 0
    if known.bank is None:
        seen = replace(known, calls=known.calls + calls, empty=known.empty + empty, row=row)
        seen = replace(seen, since_s=(known.since_s or at_s) if row >= limits.empty_min else 0)
        if seen.calls < BATCH or seen.since_s:
            return seen
        full = seen.calls - seen.empty
        bank = Bank(failed=seen.empty + 1.0, passed=full + 1.0, rate=upper(seen.empty + 1.0, full + 1.0))
        return Emptiness(bank=bank, row=row)
    bank = step(known.bank, calls - empty, empty, limits.limit)
    most, (two, four, twelve) = limits.limit + HEADROOM, bank.scores
    bank = replace(bank, scores=(min(two, most), min(four, most), min(twelve, most)))
    height = max(bank.scores)
    holds = height >= (HOLDS_SHARE if known.since_s else 1.0) * limits.limit
    return Emptiness(bank=bank, row=row, since_s=(known.since_s or at_s) if holds else 0)


def _scored(known: Scores, n: int, micro: int, at_s: int, limits: Thresholds) -> Scores:
    """A lot is judged when it is full; a low one is not learned, unless all are low by now."""
    n, micro = known.n + n, known.micro + micro
    if n < limits.scored_min:
        return replace(known, n=n, micro=micro)
    mean, fall = micro / n / MICRO, limits.fall_min * (HOLDS_SHARE if known.since_s else 1.0)
    if known.lots and known.usual > 0 and mean <= (1 - fall) * known.usual:
        low = known.low + 1
        if low < LOW_MAX:
            since_s = (known.since_s or at_s) if low >= LOW_LOTS else 0
            return Scores(known.usual, known.lots, 0, 0, low, mean, since_s)
        return Scores(mean, 1, last=mean)
    lots = min(LOTS, known.lots + 1)
    return Scores(known.usual + (mean - known.usual) / lots, lots, last=mean)
