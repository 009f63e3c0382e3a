"""Equal arguments have one hash, nobody guesses them without the key, and an error's words name nobody."""

from __future__ import annotations

import pytest

from streams.sdk.hashing import hashed
from streams.sdk.skeleton import error


def test_the_order_of_keys_and_the_way_numbers_are_written_do_not_matter():
    assert hashed({"a": 1, "b": [1.0, "x"]}, b"k") == hashed({"b": (1, "x"), "a": 1.0}, b"k")
    assert hashed({"a": 1}, b"k") != hashed({"a": 2}, b"k")


def test_another_deployments_hashes_are_others():
    assert hashed("x", b"k") != hashed("x", b"other")
    assert hashed("x", b"k").startswith("hmac-sha256:")
    assert hashed("x", b"").startswith("sha256:")


@pytest.mark.parametrize("value", [None, float("nan"), {1: 2}, {"s": {3, 1, 2}}, object, b"x", "\ud800"])
def test_whatever_the_arguments_are_there_is_a_hash(value):
    assert hashed(value, b"k") == hashed(value, b"k")


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("order 4711 of 'Ann Miller' not found", "order <n> of <text> not found"),
        ("cannot open /home/ann/secret.txt: denied", "cannot open <path>: denied"),
        ("GET https://api.example.org/v1?key=abc failed", "GET <address> failed"),
        ("mail to ann.miller@example.org bounced", "mail to <mail> bounced"),
        ("request 6f1c2a34-1111-2222-3333-444455556666 timed out", "request <id> timed out"),
        ("token sk1234567890abcdef is wrong", "token <id> is wrong"),
    ],
)
def test_an_error_is_told_without_what_may_be_somebodys(words, left):
    assert error(ValueError(words)).template == left


def test_only_the_class_is_told_where_that_is_wanted():
    assert error(ValueError("x"), "type").template is None
    assert error(ValueError("x 1"), "full").template == "x 1"


def test_an_exception_that_cannot_say_what_it_is_is_told_by_its_class():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert error(Mute()).type == "Mute"
