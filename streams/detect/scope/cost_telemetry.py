"""Where cost cannot be seen: models without a price, and agents that no longer say what a call took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

SPAN_S = 60
MODELS_MAX = 64  # of an agent; the longest unseen are forgotten
COUNTED_MAX = 100  # calls by which a model is judged: then both counts are halved
AGAIN_S = 86_400  # a model without a price is said once a day
PRICED, UNPRICED = "priced ", "unpriced "
KEPT = 1000  # calls: of what is usual, and after which what is missing is usual
HOLDS_SHARE = 0.5  # of calls that say something again: it is over
Calls = Annotated[int, Meta(ge=1, le=10**6)]
Share = Annotated[float, Meta(gt=0, le=1)]


class PriceThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls_min: Calls = 1  # with tokens and without a cost


class Model(Struct, frozen=True, array_like=True, gc=False):
    priced: int = 0
    unpriced: int = 0
    seen_s: int = 0
    told_s: int = 0


class Models(Struct, frozen=True, array_like=True, gc=False):
    known: dict[str, Model] = {}


class Unpriced(Bucketed[PriceThresholds, Models]):
    """A model whose calls have tokens and mostly no cost: nobody knows its price, so it counts as unpriced, not as free.

    Subject: the model, whoever calls it.
    """

    name, version, state = "cost.unpriced", 1, Models
    kinds = ("model",)
    by_sums = ("priced", "unpriced")
    severity: Severity = "low"
    runbook = (
        "Import a price: `tocsin prices import`, with LiteLLM's file or your own.\n"
        "Or let the agent say what its calls cost.\n"
        "Until then no budget and no cost detector sees what this model spends."
    )
    limits = PriceThresholds
    minimum = "none: one call is enough"
    false_alarms = "rule: no statistics; both models without a price in the given tau2 files, and no other"

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "unpriced" in fact.sums or "priced" in fact.sums else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        sums, model = fact.sums, fact.subject[4]
        taken = {f"{PRICED}{model}": sums["priced"]} if "priced" in sums else {}
        if "unpriced" in sums:
            taken[f"{UNPRICED}{model}"] = sums["unpriced"]
        return taken

    def closed(self, state: Models, bucket: Bucket, words: Words) -> tuple[Models, tuple[Finding, ...]]:
        known, said = dict(state.known), []
        names = {name.partition(" ")[2] for name in bucket.sums if name.startswith((PRICED, UNPRICED))}
        for name in sorted(names):
            model = _counted(known.get(name) or Model(), name, bucket)
            news = not model.told_s or bucket.at_s - model.told_s >= AGAIN_S
            if f"{UNPRICED}{name}" in bucket.sums and news and self._missing(model, words[1]):
                model = Model(model.priced, model.unpriced, model.seen_s, bucket.at_s)
                said.append(self._finding(name, model, bucket, words))
            known[name] = model
        kept = sorted(known, key=lambda name: (known[name].seen_s, name))[-MODELS_MAX:]
        return Models({name: known[name] for name in sorted(kept)}), tuple(said)

    def _missing(self, model: Model, agent: str) -> bool:
        return model.unpriced > model.priced and model.unpriced >= self.limits_for(agent).calls_min

    def _finding(self, name: str, model: Model, bucket: Bucket, words: Words) -> Finding:
        agent = words[1]
        calls = bucket.sums[f"{UNPRICED}{name}"]
        return self.found(
            {"model": name},
            f"{name} has no price" if not model.priced else f"{name}: calls no longer have a cost",
            severity=self.chosen(agent).severity,
            at=self.when(bucket, words),
            count=calls,
            observed=f"{calls} calls of {agent} with tokens and without a cost",
            expected="a cost in the event, or a price in the price book",
        )


def _counted(model: Model, name: str, bucket: Bucket) -> Model:
    priced = model.priced + bucket.sums.get(f"{PRICED}{name}", 0)
    unpriced = model.unpriced + bucket.sums.get(f"{UNPRICED}{name}", 0)
    while priced + unpriced > COUNTED_MAX:
        priced, unpriced = priced // 2, unpriced // 2
    return Model(priced, unpriced, bucket.at_s, model.told_s)


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before_share: Share = 0.9  # of the calls said something, …
    before_calls: Calls = 50  # … of so many at least
    now_share: Share = 0.1  # of the calls still say it, …
    now_calls: Calls = 20  # … of so many


class Said(Struct, frozen=True, array_like=True, gc=False):
    """Calls that did not fail, and how many of them named tokens or a cost."""

    usual: tuple[int, int] = (0, 0)
    now: tuple[int, int] = (0, 0)  # since it was last judged
    low: int = 0  # calls since most of them say nothing any more
    missing: bool = False


class TelemetryMissing(Bucketed[Thresholds, Said]):
    """An agent's calls used to name tokens or a cost, and now name neither: it has gone blind, not cheap.

    Subject: the agent. Failed calls are not counted: a provider that is down says nothing about tokens.
    """

    name, version, state = "cost.telemetry_missing", 1, Said
    kinds = ("model",)
    severity: Severity = "medium"
    runbook = (
        "See what changed when it began: a release, a client library, a proxy that drops the usage of streams.\n"
        "Ask for the usage again (`include_usage` when streaming), or send the cost.\n"
        "Until then its cost detectors and budgets are blind: watch the provider's own bill."
    )
    limits = Thresholds
    minimum = "50 calls that did name something, then 20 that do not"
    false_alarms = "rule on shares: none while more than a tenth of 20 calls name tokens or a cost"

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        sums = fact.sums
        calls = sums.get("calls", 0) - sums.get("errors", 0)
        said = sums.get("priced", 0) + sums.get("unpriced", 0) + sums.get("bare", 0)
        taken = {"calls": calls} if calls > 0 else {}
        return taken | {"said": said} if said else taken

    def closed(self, state: Said, bucket: Bucket, words: Words) -> tuple[Said, tuple[Finding, ...]]:
        limits = self.limits_for(words[1])
        after = _judged(state, bucket.sums.get("calls", 0), bucket.sums.get("said", 0), limits)
        return (state if after == state else after), (self._finding(after, bucket, words),) if after.missing else ()

    def _finding(self, state: Said, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        calls, said = state.usual
        return self.found(
            {"agent": agent},
            f"{agent}: model calls no longer name tokens or a cost",
            identity=(agent, environment),
            at=self.when(bucket, words),
            count=state.low,
            observed=f"of the last {state.low} calls hardly one",
            expected=f"{said / max(1, calls):.0%} of the calls before had one of them",
        )


def _judged(state: Said, calls: int, said: int, limits: Thresholds) -> Said:
    """Calls are judged in lots. One that is as usual becomes part of what is usual; low ones do not, for a while."""
    n, with_it = state.now[0] + calls, state.now[1] + min(said, calls)
    if n < limits.now_calls:
        return Said(state.usual, (n, with_it), state.low, state.missing)
    share, (before, before_with) = with_it / n, state.usual
    known = before >= limits.before_calls and before_with >= limits.before_share * before
    if known and share < HOLDS_SHARE:
        low = state.low + n
        missing = state.missing or share < limits.now_share
        return Said() if low >= KEPT else Said(state.usual, (0, 0), low, missing)
    before, before_with = before + n, before_with + with_it
    while before > KEPT:
        before, before_with = before // 2, before_with // 2
    return Said((before, before_with))
