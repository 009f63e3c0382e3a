"""What cannot be undone, done without a checkpoint."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
from detect.listening import below, heard

from streams import records as r
from streams.detect.session.effect_checkpoints import TIMES_MAX, EffectWithoutCheckpoint, Thresholds

SENT = r.Effect("mail.sent", reversible=False)


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(EffectWithoutCheckpoint(Thresholds(**limits)), list(events), until=86_400)


def test_an_effect_that_cannot_be_undone_needs_a_checkpoint_before_it() -> None:
    [found] = said(b.tool_called(1, tool="mail", effect=SENT), b.checkpoint_recorded(2))
    assert (found.severity, found.subject) == ("low", {"agent": "billing", "tool": "mail", "effect": "mail.sent"})
    assert said(b.checkpoint_recorded(1), b.tool_called(2, effect=SENT)) == []


def test_a_checkpoint_arrives_late_or_is_named_by_the_call_or_belongs_to_the_root() -> None:
    events = [b.checkpoint_recorded(1), b.tool_called(2, effect=SENT), b.tool_called(3)]
    assert all(said(*order) == [] for order in permutations(events))
    assert said(b.tool_called(2, effect=SENT, checkpoint_id="c1")) == []
    assert said(b.checkpoint_recorded(1), b.tool_called(2, effect=SENT, ctx=below())) == []


def test_effects_that_can_be_undone_or_did_not_happen_need_none_unless_their_kind_is_listed() -> None:
    note = b.tool_called(1, effect=r.Effect("note.added"))
    undone = b.tool_called(2, effect=r.Effect("note.added", reversible=True))
    assert said(note, undone, b.tool_failed(3, effect=SENT), b.tool_called(4)) == []
    assert len(said(note, kinds=["note.*"])) == 1


def test_a_checkpoint_may_be_too_old() -> None:
    events = [b.checkpoint_recorded(0), b.tool_called(100, effect=SENT), b.tool_called(50, effect=SENT)]
    assert [one.evidence[0].id for one in said(*events, within_s=60)] == [events[1].id]
    assert said(b.checkpoint_recorded(0, result=r.Status.error), events[1])


def test_a_session_of_many_checkpoints_is_remembered_in_few_times() -> None:
    decider, memory = EffectWithoutCheckpoint(), None
    for n in range(500):
        memory = decider.step(memory, b.checkpoint_recorded(n)).remember
    assert memory is not None
    assert len(memory.made) == TIMES_MAX
    late = [*(b.checkpoint_recorded(n) for n in range(40)), b.tool_called(20, effect=SENT)]
    assert said(*late, within_s=5) == []
