"""Whatever a producer sends, what detect writes for it stays small enough for a broker, and counts once."""

from __future__ import annotations

import builders as b
import msgspec

from streams.detect.fold import SESSION_IDLE_S, Fold
from streams.detect.scope.exposure import MINUTES_MAX, ExposureMinutes
from streams.detect.session.evaluations import EvaluationFacts
from streams.detect.session.exposure import ExposureFacts
from streams.records import Fact

HOUR_S = 3600.0


def test_an_attribution_of_any_length_makes_small_facts() -> None:
    fold = Fold([EvaluationFacts()], {}.get)
    given = b.r.Attribution(system="\1" * 1024, operator=b.r.Operator("platform", "\1" * 1024))
    fold.event(b.session_started(0, attribution=given, position=b.position(0)), 0)
    fact, *_ = fold.event(b.eval_scored(1, passed=False, label="\1" * 1024, position=b.position(1)), 0)
    assert len(msgspec.json.encode(fact)) < 4096
    assert fact.about.attribution.operator.team == "platform"


def test_minutes_far_ahead_of_the_clock_are_summed_up() -> None:
    decider, memory = ExposureMinutes(), None
    for n in range(MINUTES_MAX + 50):
        memory = decider.step(
            memory, b.fact(60 * n, kind="exposure", subject=("a", "1", "prod"), sums={"sessions": 1})
        ).remember
    assert memory is not None
    assert len(memory.open) == MINUTES_MAX
    assert sum(one.sessions for one in memory.open.values()) == MINUTES_MAX + 50


def test_a_session_that_only_beats_is_counted_once_across_a_restart() -> None:
    kept: dict[str, bytes] = {}
    hours = int(SESSION_IDLE_S / HOUR_S) + 6

    def remember(fold: Fold) -> None:
        for items in fold.remembered().values():
            for key, value in items:
                kept.pop(key, None) if value is None else kept.__setitem__(key, value)

    fold = Fold([ExposureFacts()], kept.get)
    said = fold.event(b.session_started(0, position=b.position(0)), 0)
    for hour in range(1, hours):
        said += fold.event(b.heartbeat(hour * HOUR_S, position=b.position(hour)), 0)
        remember(fold)
    fold = Fold([ExposureFacts()], kept.get)
    fold.rebuild(kept.items())
    fold.tick(0, b.at((hours - 1) * HOUR_S).timestamp())
    remember(fold)
    said += fold.event(b.session_ended(hours * HOUR_S, position=b.position(hours)), 0)
    assert sum(fact.sums.get("sessions", 0) for fact in said if isinstance(fact, Fact)) == 1
