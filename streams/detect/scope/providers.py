"""A model provider that fails for many: one incident on the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..methods.surprise import surprise
from .bucketed import Bucket, Bucketed, Words
from .window import Window, slid

AGENTS_MAX = 20
NAMED_MAX = 5
DAY_S = 86_400
TIMES = 2.0  # the usual, at least: of very many calls Poisson takes every swing for trouble
FIRST_CALLS = 100  # an error rate is not known better than from so many


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    calls_min: Annotated[int, Meta(ge=1)] = 20
    errors_min: Annotated[int, Meta(ge=1)] = 5
    share_min: Annotated[float, Meta(gt=0, le=1)] = 0.2  # of the calls in the window: whoever makes them
    agents_min: Annotated[int, Meta(ge=1)] = 3  # below that share, so many agents must be affected …
    surprise_min: Annotated[float, Meta(ge=0)] = 6.0  # … and the errors be that surprising at the usual error rate
    holds_share: Annotated[float, Meta(ge=0, le=1)] = 0.05  # while it is as high, it is not over


class Calls(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()
    usual: float = 0.0  # errors per call, learned from what has left the window
    seen: int = 0  # calls it was learned from, at most those of a day
    told: bool = False


class ProviderIncident(Bucketed[Thresholds, Calls]):
    """The share of failed model calls in the window, or their Poisson surprise at the usual error rate.

    Subject: the provider. Which models and agents are affected is in the text.
    """

    name, version, state = "provider.incident", 1, Calls
    kinds = ("provider",)
    severity: Severity = "high"
    runbook = (
        "Look at the provider's status page and at your quota.\n"
        "Compare the models below: is one of them affected, or all?\n"
        "Switch to a fallback model or provider, or slow the callers down."
    )
    limits = Thresholds
    minimum = "20 calls and 5 errors in 5 minutes; without history the usual error rate counts as none"
    false_alarms = "one window in a million at a steady error rate (Poisson), and none below twice that rate"

    def words(self, fact: Fact) -> Words | None:
        return ("provider", fact.subject[0])

    def taken(self, fact: Fact) -> Mapping[str, int]:
        calls, errors = fact.sums.get("calls", 0), fact.sums.get("errors", 0)
        return {"calls": calls, "errors": errors, f"model {fact.subject[1]}": errors} if errors else {"calls": calls}

    def closed(self, state: Calls, bucket: Bucket, words: Words) -> tuple[Calls, tuple[Finding, ...]]:
        limits = self.thresholds
        before, window = state.window, slid(state.window, bucket, limits.window_s)
        usual, seen = state.usual, state.seen
        left = sum(sums.get("calls", 0) for _, sums, _ in before.parts) + bucket.sums.get("calls", 0)
        left -= window.total("calls")
        if left and not state.told:
            failed = before.total("errors") + bucket.sums.get("errors", 0) - window.total("errors")
            seen = min(seen + left, DAY_S)
            usual += (failed / left - usual) * min(1.0, left / max(seen, FIRST_CALLS))
        told = self._holds(window, usual) if state.told else self._begins(window, usual)
        after = Calls(window, usual, seen, told)
        return after, (self._finding(after, bucket, words),) if told and bucket.sums else ()

    def restless(self, state: Calls) -> bool:
        return state.told

    def _begins(self, window: Window, usual: float) -> bool:
        limits, calls, errors = self.thresholds, window.total("calls"), window.total("errors")
        if calls < limits.calls_min or errors < limits.errors_min:
            return False
        rare = errors >= TIMES * usual * calls and surprise(errors, usual * calls) >= limits.surprise_min
        if errors / calls >= limits.share_min:
            return rare or usual < limits.share_min / 2
        return rare and len(window.marks) >= limits.agents_min

    def _holds(self, window: Window, usual: float) -> bool:
        calls, errors = window.total("calls"), window.total("errors")
        return errors > 0 and errors / max(1, calls) >= max(self.thresholds.holds_share, usual)

    def _finding(self, state: Calls, bucket: Bucket, words: Words) -> Finding:
        provider, window = words[1], state.window
        calls, errors, agents = window.total("calls"), window.total("errors"), sorted(window.marks)
        models = {name.removeprefix("model "): n for name, n in window.totals("model ").items()}
        worst = sorted(models, key=lambda name: (-models[name], name))[:NAMED_MAX]
        share = errors / max(1, calls)
        return self.found(
            {"dependency": provider},
            f"{provider}: {share:.0%} of the model calls fail, for {len(agents)} agents",
            at=self.when(bucket, words),
            count=errors,
            observed=f"{errors} of {calls} calls in {self.thresholds.window_s / 60:g} minutes failed; "
            f"models {', '.join(worst)}; agents {', '.join(agents[:NAMED_MAX])}",
            expected=f"about {state.usual:.1%}",
            evidence=bucket.samples,
            dependency=provider,
            agents=tuple(agents[:AGENTS_MAX]),
        )
