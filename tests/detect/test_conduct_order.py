"""All detectors of conduct at once: late, repeated and in order, the same is found."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import pytest
from contract.running import SAMPLES

from streams import policy
from streams import records as r
from streams.records.timeline import encode
from streams.replay import run

KINDS = (r.SessionStarted, *3 * (r.ToolCalled,), r.LlmCalled, r.DecisionMade, r.PermissionChecked, r.EvalScored)
KINDS += (r.CheckpointRecorded, r.SessionEnded)
CONDUCT = {
    "approval.missing",
    "rollback.performed",
    "rollback.without_checkpoint",
    "effect.no_checkpoint",
    "blast.radius",
    "tool.unknown",
    "tool.skipped",
    "decision.mismatch",
    "outcome.contradiction",
    "session.silent_failure",
    "owner.missing",
}
RULES = '[detectors."effect.no_checkpoint"]\nwithin_s = 20.0\n'


def found(events: list[Any]) -> set[tuple[str, str]]:
    for event in events:
        event.position = None
    said = run(map(encode, events), policy.parse(RULES, "order"), b.at(3600))
    return {(one.fingerprint, one.severity) for one in said if isinstance(one, r.Finding) and one.detector in CONDUCT}


@pytest.mark.parametrize("seed", range(6))
def test_late_and_repeated_events_find_the_same(seed: int) -> None:
    chance, events = Random(seed), []
    for n in range(250):
        who = {"session": chance.choice(("s1", "s2", "s3")), "release": "7"}
        events.append(SAMPLES[chance.choice(KINDS)](chance, 2.0 * n + chance.random(), who))
    late = sorted(events, key=lambda event: event.time.timestamp() + 29 * chance.random())
    late = [event for event in late for _ in range(1 + (chance.random() < 0.05))]
    assert found(late) == found(events)
    assert len({one.split(":")[1] for one, _ in found(events)}) >= 8
