"""A tick costs what is due, not what exists."""

from hypothesis import given
from hypothesis import strategies as st

from streams.detect.wakes import Wakes


def test_nobody_is_woken_early_and_everybody_within_the_second() -> None:
    wakes = Wakes()
    wakes.add(10.2, "a")
    assert wakes.due(10.2) == []
    assert wakes.first_s == 11
    assert wakes.due(11.0) == ["a"]
    assert wakes.first_s is None


def test_asking_again_does_not_grow() -> None:
    wakes = Wakes()
    for _ in range(1000):
        wakes.add(60.0, "a")
    assert len(wakes) == 1
    assert wakes.due(60.0) == ["a"]


def test_the_order_does_not_depend_on_who_asked_first() -> None:
    wakes = Wakes()
    for key in ("c", "a", "b"):
        wakes.add(5.0, key)
    wakes.add(4.0, "z")
    assert wakes.due(5.0) == ["z", "a", "b", "c"]


@given(st.lists(st.tuples(st.floats(0, 1000), st.text(max_size=3))), st.floats(0, 1000))
def test_whoever_is_due_is_woken_and_the_others_stay(asked: list[tuple[float, str]], at_s: float) -> None:
    wakes = Wakes()
    for due_s, key in asked:
        wakes.add(due_s, key)
    woken = set(wakes.due(at_s))
    assert {key for due_s, key in asked if due_s <= at_s - 1} <= woken
    assert woken <= {key for due_s, key in asked if due_s <= at_s}
    assert woken | set(wakes.due(2000.0)) == {key for _, key in asked}
