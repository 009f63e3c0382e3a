"""Detectors of loops over one memory say what each of them would say alone."""

from random import Random
from typing import Any

import builders as b
import pytest
from detect.loops import POLLING, call, said

from streams.detect.session.identical_calls import IdenticalCalls
from streams.detect.session.repeats import Loops
from streams.detect.session.sequences import Sequences
from streams.detect.session.stale_loops import StaleLoops
from streams.records import Effect, Status

KINDS = (IdenticalCalls, StaleLoops, Sequences)


def an_event(chance: Random, moment: float) -> Any:
    kind = chance.random()
    if kind < 0.02:
        return b.checkpoint_recorded(moment)
    if kind < 0.04:
        return b.tool_called(moment, by="user")
    if kind < 0.06:
        return call(moment, "write:x", str(chance.randrange(2)), effect=Effect("file"))
    if kind < 0.1:
        return b.tool_failed(moment, args_hash="b2:a", message=f"refused {chance.choice(('once', 'twice'))}")
    if kind < 0.13:
        return b.tool_called(moment, args_hash="b2:a", status=chance.choice((Status.ok, Status.denied)))
    return call(
        moment, f"{chance.choice(('search', 'job_status', 'read'))}:{chance.randrange(2)}", chance.choice("rrrs")
    )


def a_session(chance: Random) -> list[Any]:
    events: list[Any] = []
    while len(events) < 1500:
        events.append(an_event(chance, len(events)))
        if chance.random() < 0.01:
            period = chance.choice((2, 3, 4))
            names = [f"{'job_status' if chance.random() < 0.2 else 'edit'}:{period}{at}" for at in range(period)]
            events += [call(len(events) + at, names[at % period], chance.choice("rs")) for at in range(12 * period)]
    return events


def order(one: Any) -> Any:
    return (one.detector, one.at, one.fingerprint)


@pytest.mark.parametrize("given", [None, POLLING], ids=["", "polling"])
@pytest.mark.parametrize("seed", range(4))
def test_together_they_say_what_each_says_alone(seed, given):
    events = a_session(Random(seed))
    alone = [one for kind in KINDS for one in said(kind(given=given), events)]
    together = said(Loops(tuple(kind(given=given) for kind in KINDS)), events)
    assert {one.detector for one in together} == {kind.name for kind in KINDS}
    assert sorted(together, key=order) == sorted(alone, key=order)
