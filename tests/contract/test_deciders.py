"""What every decider must keep, whatever it decides. A new one is tested by being listed where it is used."""

from random import Random
from typing import Any, get_origin

import builders as b
import msgspec
import pytest
from contract.running import SAMPLES, Runner, history, moment, run

from streams import policy
from streams.detect.catalogue import (
    DETECTORS,
    delivery_deciders,
    scope_deciders,
    session_deciders,
    session_detectors,
)
from streams.learn.cases.making import Cases
from streams.learn.controls.approvals import Approvals
from streams.learn.controls.switches import Controls
from streams.learn.controls.switches import Values as Breaking
from streams.learn.gates.overriding import Freezing, Overriding
from streams.learn.power.calibration import Calibration
from streams.learn.power.crediting import Crediting
from streams.learn.power.proposing import Proposing
from streams.records import Bypassed, Deployed, Fact, Finding
from streams.respond import book
from streams.respond.routing import BookValues, Owner

BYTES_MAX = 2_000_000
POLICY = """
[detectors."eval.critical"]
critical = ["safety"]
[detectors."telemetry.gap"]
usual_min = 1
[detectors."effect.no_checkpoint"]
within_s = 5.0
[detectors."behaviour.drift"]
sessions_min = 10
[detectors."metric.novelty"]
values_min = 1
[detectors."cost.success_runaway"]
sessions_min = 1
floor = 0.01
[detectors."version.distribution"]
releases_max = 1
for_s = 60
[[agents]]
match = ["*"]
objective = 0.99
budget_day = 5.0
budget_month = 50.0
"""
THRESHOLDS = {"tool.repeated_error": policy.load().detectors["tool.repeated_error"].thresholds}
OWNERS = tuple(Owner(name=name, agents=(f"agent-of-{name}",)) for name in ("s1", "mine", "yours"))
VALUES = BookValues(owners=OWNERS, controls={"tool.repeated_error": "throttle"})


def registry() -> list[Any]:
    rules = policy.parse(POLICY, "policy.toml")
    given = (rules.detectors, rules.given)
    found = (
        *session_detectors(*given),
        *session_deciders(*given),
        *scope_deciders(*given),
        *delivery_deciders(*given),
        *book.deciders(VALUES),
    )
    found += (Overriding(), Freezing(), Crediting(), Calibration(rules.calibration.starts), Proposing(THRESHOLDS))
    found += (Controls(Breaking(approve=("cost.*",))), Cases(rules.digest), Approvals(VALUES))
    return list({type(one): one for one in found}.values())  # those that share a memory are also tested alone


EVERY = pytest.mark.parametrize("decider", registry(), ids=lambda one: one.name)


def packed(memory: Any) -> bytes:
    return msgspec.msgpack.encode(memory)


def test_every_detector_is_under_contract():
    assert {one.name for one in DETECTORS} <= {one.name for one in registry()}


def test_names_are_unique():
    names = [one.name for one in registry()]
    assert len(names) == len(set(names))


@EVERY
def test_it_says_what_it_is(decider):
    assert decider.name
    assert decider.version >= 1
    assert decider.reads
    assert decider.order in ("free", "bucketed", "near")
    assert issubclass(get_origin(decider.memory) or decider.memory, msgspec.Struct)
    assert set(decider.reads) <= set(SAMPLES), "the contract needs a sample of every type that is read"


@EVERY
def test_neither_the_memory_nor_the_record_is_changed(decider):
    runner = Runner(decider)
    for record in history(decider, 120):
        key = decider.key(record)
        memory = runner.memories.get(key) if key is not None else None
        before = (packed(memory), packed(record))
        runner.take(record)
        assert (packed(memory), packed(record)) == before


@EVERY
def test_the_same_twice_is_the_same(decider):
    records = history(decider, 120)
    one, other = run(decider, records), run(decider, records)
    assert (one.memories, one.said, one.due) == (other.memories, other.said, other.due)


@EVERY
def test_it_stays_the_same_when_its_memory_goes_through_bytes_each_time(decider):
    records = history(decider, 120)
    runner = Runner(decider)
    for record in records:
        runner.take(record)
        runner.memories = {
            key: memory and msgspec.msgpack.decode(packed(memory), type=decider.memory)
            for key, memory in runner.memories.items()
        }
    straight = Runner(decider)
    for record in records:
        straight.take(record)
    assert runner.memories == straight.memories
    assert runner.said == straight.said


@EVERY
def test_the_very_same_memory_means_nothing_to_write(decider):
    runner = Runner(decider)
    for record in history(decider, 200):
        key = decider.key(record)
        if key is None:
            continue
        before = runner.memories.get(key)
        runner.take(record)
        after = runner.memories[key]
        assert after is before or after != before, "an equal memory must be the very one that came in"


@EVERY
def test_strangers_are_ignored(decider):
    records = history(decider, 60)
    chance = Random(5)
    strangers = [kind for kind in SAMPLES if kind not in decider.reads]
    mixed = []
    for record in records:
        sample = SAMPLES[chance.choice(strangers)](chance, 0.0, {"session": "s1", "release": "7"})
        mixed += [sample, record, b.dead_letter()]
    assert all(kind not in decider.reads for kind in map(type, mixed[::3]))
    straight, disturbed = Runner(decider), Runner(decider)
    for record in records:
        straight.take(record)
    for record in mixed:
        disturbed.take(record)
    assert (disturbed.memories, disturbed.said) == (straight.memories, straight.said)


@EVERY
def test_a_tick_that_comes_early_says_nothing_and_asks_again(decider):
    runner = Runner(decider)
    for record in history(decider, 40):
        runner.take(record)
    for key, due in runner.due.items():
        step = decider.step(runner.memories[key], b.tick(-3600))
        assert (step.say, step.wake) == ((), due)


@EVERY
def test_keys_do_not_leak_into_each_other(decider):
    mine = history(decider, 80, seed=1, session="mine")
    yours = history(decider, 80, seed=2, session="yours")
    alone, together = Runner(decider), Runner(decider)
    for record in mine:
        alone.take(record)
    for pair in zip(mine, yours, strict=True):
        for record in pair:
            together.take(record)
    shared = {decider.key(one) for one in mine} & {decider.key(one) for one in yours}
    assert all(together.memories[key] == alone.memories[key] for key in alone.memories if key not in shared)
    if decider.name not in ("silence", "power"):  # one memory for all silences, one for all evaluators, by design
        assert shared <= {None}
        assert [one for one in together.said if one[0] in alone.memories] == alone.said


@EVERY
def test_memory_is_bounded(decider):
    records = history(decider, 2500, step_s=1.0)
    half = run(decider, records[:1250])
    full = run(decider, records)
    for key, memory in full.memories.items():
        size = len(packed(memory))
        assert size <= BYTES_MAX
        assert size <= 3 * len(packed(half.memories.get(key))) + 4096, "it grows with what it reads"


@EVERY
@pytest.mark.parametrize("seed", range(5))
def test_the_order_within_the_lateness_does_not_matter(decider, seed):
    if decider.order == "near":
        pytest.skip("its order is near: what arrives first may matter a little")
    records, afterwards = history(decider, 60, step_s=0.4), history(decider, 40, seed=9)
    later = [record for record in afterwards if moment(record) > b.at(60)]
    shuffled = Random(seed).sample(records, len(records))
    assert summed(run(decider, records + later)) == summed(run(decider, shuffled + later))


def summed(runner: Runner) -> Any:
    """What was said, as far as readers can tell: findings coalesce, facts add up."""
    found, sums = set(), {}
    for key, saying in runner.said:
        if isinstance(saying, Finding):
            found.add((key, saying.fingerprint, saying.severity))
        elif isinstance(saying, Fact):
            for name, value in saying.sums.items():
                place = (saying.kind, saying.subject, saying.bucket, name)
                sums[place] = sums.get(place, 0) + value
        else:
            found.add((key, packed(saying)))
    return found, sums


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda one: one.name)
def test_the_same_trouble_has_one_fingerprint_over_sessions_releases_and_days(detector):
    decider = next(one for one in registry() if one.name == detector.name)

    def prints(**who: Any) -> set[str]:
        said = (one for _, one in run(decider, history(decider, 300, **who)).said)
        return {one.fingerprint for one in said if isinstance(one, Finding)}

    assert prints(), (
        "the samples never make it say anything: give SAMPLES in tests/contract/running.py what it looks for"
    )
    if not {Fact, Deployed, Bypassed} & set(decider.reads):
        assert prints() == prints(session="another", release="8")
    else:
        assert prints() == prints(release="8")
