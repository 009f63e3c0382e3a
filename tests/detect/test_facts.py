"""Facts are sums: grouping and order do not change them."""

from __future__ import annotations

import builders as b
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.facts import aggregate, bucket_of, pack, unpack


def test_a_bucket_is_ten_seconds_of_event_time() -> None:
    assert bucket_of(b.at(9.999)) == b.at(0)
    assert bucket_of(b.at(10)) == b.at(10)
    assert bucket_of(b.at(29.5), 60) == b.at(0)


def test_facts_of_one_subject_and_bucket_become_one() -> None:
    one = aggregate([b.fact(1, sums={"passed": 1}), b.fact(2, sums={"passed": 2, "failed": 1}), b.fact(11)])
    assert [(fact.bucket, fact.sums) for fact in one] == [
        (b.at(0), {"passed": 3, "failed": 1}),
        (b.at(10), {"passed": 1}),
    ]


def test_kinds_and_subjects_stay_apart() -> None:
    mixed = [b.fact(1), b.fact(1, kind="exposure"), b.fact(1, subject=("other", "tone", "7", "prod"))]
    assert len(aggregate(mixed)) == 3


def test_a_mark_counts_once() -> None:
    (one,) = aggregate([b.fact(1, marks=("ann",)), b.fact(2, marks=("ann", "bob"))])
    assert one.marks == ("ann", "bob")


@given(st.lists(st.sampled_from(["passed", "failed"]), max_size=20), st.randoms())
def test_order_does_not_matter(outcomes: list[str], chance: object) -> None:
    facts = [b.fact(n % 20, sums={name: 1}, samples=(b.excerpt(n, n),)) for n, name in enumerate(outcomes)]
    shuffled = list(facts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    by_subject = {(fact.subject, fact.bucket): (fact.sums, fact.samples) for fact in aggregate(shuffled)}
    assert by_subject == {(fact.subject, fact.bucket): (fact.sums, fact.samples) for fact in aggregate(facts)}


def test_several_records_share_one_value() -> None:
    records = [b.facts(1), b.clock_forwarded(5), b.facts(2)]
    assert unpack(b"\n".join(pack(record) for record in records)) == records
