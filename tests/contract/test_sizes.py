"""What `tocsin detectors` says about the state of a detector is what it measures."""

from __future__ import annotations

import tomllib

import pytest
from contract.sizes import FILE, sizes, wrong

MEASURED = {"a": {"typical": 1000, "large": 2000}}


def test_the_committed_sizes_are_what_is_measured():
    found = wrong(sizes(), tomllib.loads(FILE.read_text(encoding="utf-8")))
    assert not found, "`make sizes` writes the file anew: " + "; ".join(found)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"a": {"typical": 1000, "large": 2400}}, []),
        ({"a": {"typical": 700, "large": 2000}}, ["a: typical is 1000 bytes, it says 700"]),
        ({}, ["a: is not in it"]),
        ({**MEASURED, "b": {"typical": 1, "large": 1}}, ["b: there is no such detector"]),
    ],
)
def test_a_file_that_says_otherwise_is_named(kept, said):
    assert wrong(MEASURED, kept) == said
