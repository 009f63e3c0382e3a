"""Rollbacks: that there was one, whether it worked, and whether there was anything to go back to."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
from detect.listening import below, heard

from streams import records as r
from streams.detect.session.rollbacks import RollbackPerformed, RollbackWithoutCheckpoint


def restored(at: float, name: str = "c1", **given: Any) -> Any:
    return b.checkpoint_recorded(at, op="restore", checkpoint_id=name, **given)


def created(at: float, name: str = "c1", **given: Any) -> Any:
    return b.checkpoint_recorded(at, checkpoint_id=name, **given)


def unknown(*events: Any) -> list[r.Finding]:
    return heard(RollbackWithoutCheckpoint(), list(events), until=3600)


def test_a_rollback_is_a_ticket_with_its_checkpoint_its_size_and_who_decided_it() -> None:
    event = restored(
        5, diff=r.Diff(3, 10, 2), initiated_by=r.Actor("human", "ann"), permission_id="p1", reason="wrong branch"
    )
    [said] = heard(RollbackPerformed(), [created(1), event])
    assert said.severity == "medium"
    assert said.observed == (
        "restore of checkpoint c1: done; by human ann, permission p1, wrong branch; 3 files, +10 -2 lines"
    )
    assert said.evidence[0].text == "by human ann, permission p1, wrong branch; 3 files, +10 -2 lines"


def test_a_rollback_that_did_not_work_for_everything_pages() -> None:
    [failed] = heard(RollbackPerformed(), [restored(1, result=r.Status.error)])
    [partly] = heard(RollbackPerformed(), [restored(1, unrecoverable=[f"file:///srv/{n}" for n in range(5)])])
    assert (failed.severity, partly.severity) == ("high", "high")
    assert failed.fingerprint == partly.fingerprint != heard(RollbackPerformed(), [restored(1)])[0].fingerprint
    assert "not restored: file:///srv/0, file:///srv/1, file:///srv/2 and 2 more" in (partly.observed or "")


def test_a_rollback_that_nobody_signed_says_so() -> None:
    [said] = heard(RollbackPerformed(), [restored(1)])
    assert "nobody says who asked for it, no permission named" in (said.observed or "")


def test_making_and_discarding_checkpoints_is_no_rollback() -> None:
    events = [created(1), b.checkpoint_recorded(2, op="discard"), created(3, result=r.Status.error)]
    assert heard(RollbackPerformed(), events) == []


def test_a_rollback_to_nowhere_is_told_after_its_grace() -> None:
    [said] = unknown(created(1), restored(5, "c2"))
    assert (said.severity, said.subject) == ("high", {"agent": "billing"})
    assert "checkpoint c2" in (said.observed or "")
    early = heard(RollbackWithoutCheckpoint(), [restored(5, "c2"), restored(34 + 30, "c3")])
    assert early == []
    assert len(heard(RollbackWithoutCheckpoint(), [restored(5, "c2"), restored(36 + 30, "c3")])) == 1


def test_a_checkpoint_that_is_said_within_the_grace_was_there() -> None:
    assert unknown(restored(5), created(20)) == []
    assert all(unknown(*order) == [] for order in permutations([created(1), restored(5), created(9, "c2")]))


def test_a_checkpoint_that_failed_is_none_and_one_of_the_root_session_is_one() -> None:
    assert len(unknown(created(1, result=r.Status.error), restored(2))) == 1
    assert unknown(created(1), restored(2, ctx=below())) == []
    assert unknown(created(1, ctx=below()), restored(2)) == []
    assert len(unknown(created(1, session="another"), restored(2))) == 1


def test_the_last_sixty_four_checkpoints_are_known() -> None:
    made = [created(n, f"c{n}") for n in range(100)]
    assert unknown(*made, restored(101, "c36")) == []
    assert len(unknown(*made, restored(101, "c35"))) == 1
