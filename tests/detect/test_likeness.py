"""Which skeletons are the same trouble though a word differs."""

from itertools import permutations

import pytest

from streams.detect.likeness import merged, template, templates


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("customer alice not found", "customer bob not found", "customer … not found"),
        ("customer … not found", "customer bob not found", "customer … not found"),
        ("customer * not found", "customer bob not found", "customer … not found"),
        ("no such table users", "no such table orders", "no such table …"),
        ("could not reach a b c d e f g h", "could not reach x b c d e f g y", "could not reach … b c d e f g …"),
    ],
)
def test_a_word_that_differs_is_given_up(one: str, other: str, expected: str) -> None:
    assert template(one, other) == template(other, one) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http 404 from upstream", "http 500 from upstream"),
        ("exit code 1 after *", "exit code 137 after *"),
        ("retries= exhausted for good", "timeout= exhausted for good"),
        ("connection refused by server", "connection reset by server"),
        ("file not found", "file not readable"),
        ("slackapierror channel_not_found", "slackapierror user_is_bot"),
        ("call failed keyerror *", "call failed typeerror *"),
        ("customer alice not found", "order alice not found"),
        ("customer alice not found", "customer alice smith not found"),
        ("no such table …", "no such column …"),
        ("no such table users", "no such column orders"),
    ],
)
def test_what_says_what_went_wrong_is_not(one: str, other: str) -> None:
    assert template(one, other) is None
    assert template(other, one) is None


def test_the_set_decides_and_not_the_order() -> None:
    names = ["customer alice not found", "customer bob not found", "customer eve not found", "http 404 not found"]
    found = {tuple(sorted(templates(order).items())) for order in permutations(names)}
    assert len(found) == 1
    assert set(templates(names).values()) == {"customer … not found", "http 404 not found"}


def test_a_known_template_grows_once_and_then_stays() -> None:
    assert merged((), "customer alice not found") == ("customer alice not found", None)
    known = {"customer alice not found": 1, "connection refused": 2}
    assert merged(known, "customer bob not found") == ("customer … not found", "customer alice not found")
    assert merged({"customer … not found": 1}, "customer eve not found") == ("customer … not found", None)
    assert merged(known, "connection refused") == ("connection refused", None)


def test_what_is_known_in_another_order_answers_the_same() -> None:
    known = ["a b c d e", "a x y d e", "a b y d e"]
    assert len({merged(order, "a b z d e") for order in permutations(known)}) == 1
