"""LiteLLM's published file: what is a price per token becomes one, all the rest is counted and named."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.importing.litellm import NO_INPUT, NO_OUTPUT, ZERO, Listed, read
from streams.pricebook import Above, Book, Price, PriceError, merged, parse, text_of

DAY = date(2026, 3, 1)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "prices.json"
GOOD = {"input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05, "litellm_provider": "openai", "mode": "chat"}


def listed(**entries: Any) -> Listed:
    return read(json.dumps({"good": GOOD, **entries}, indent=4).encode(), "file.json", DAY)


def entry(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in {**GOOD, **fields}.items() if value != "absent"}


def price(**fields: Any) -> Price:
    return listed(m=entry(**fields)).models["m"].prices[0]


def test_rates_per_token_become_usd_per_million() -> None:
    found = price(
        input_cost_per_token=2.5e-06,
        output_cost_per_token=1e-05,
        cache_read_input_token_cost=2.5e-07,
        cache_creation_input_token_cost=3.75e-06,
        output_cost_per_reasoning_token=1.2e-05,
    )
    assert found == Price(
        since=DAY,
        input=Decimal("2.5"),
        output=Decimal(10),
        cache_read=Decimal("0.25"),
        cache_write=Decimal("3.75"),
        reasoning=Decimal(12),
    )
    assert listed().models["good"].provider == "openai"


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("7.999999999999999e-07", "0.8"),  # the file's own arithmetic
        ("5.46875e-07", "0.546875"),
        ("1e-15", "0.000000001"),
        ("1e-16", "0"),
        ("1", "1000000"),
        ('"2e-6"', "2"),
    ],
)
def test_a_rate_is_read_exactly_and_rounded_to_nine_places(written: str, rate: str) -> None:
    text = json.dumps({"good": GOOD, "m": entry(input_cost_per_token=1234.5)}).replace("1234.5", written)
    assert read(text.encode(), "f", DAY).models["m"].prices[0].input == Decimal(rate)


def test_long_calls_have_the_rates_of_their_threshold() -> None:
    found = price(
        input_cost_per_token_above_200k_tokens=4e-06,
        output_cost_per_token_above_200k_tokens=1.5e-05,
        cache_read_input_token_cost_above_128000_tokens=3e-07,
        input_cost_per_token_above_400k_tokens=None,
    )
    assert found.above == (
        Above(tokens=128_000, cache_read=Decimal("0.3")),
        Above(tokens=200_000, input=Decimal(4), output=Decimal(15)),
    )


def test_a_table_of_tiers_is_the_same_in_other_words() -> None:
    tiers = [
        {"range": [32_000, 128_000], "input_cost_per_token": 5e-06, "output_cost_per_token": 2e-05},
        {"range": [0, 32_000], "input_cost_per_token": 2e-06, "cache_read_input_token_cost": 1e-06},
    ]
    found = price(tiered_pricing=tiers, input_cost_per_token="absent")
    assert found == price(tiered_pricing=tiers, input_cost_per_token=7e-06)  # the table counts
    first = {"tiered_pricing": tiers, **GOOD, "input_cost_per_token": 7e-06}
    assert found == listed(m=first).models["m"].prices[0]
    assert (found.input, found.output, found.cache_read, found.cache_write) == (2, 10, 1, 2)
    [above] = found.above
    assert above == Above(
        tokens=32_000, input=Decimal(5), output=Decimal(20), cache_read=Decimal(5), cache_write=Decimal(5)
    )


def test_the_files_own_explanation_is_no_model() -> None:
    assert set(listed(sample_spec={"input_cost_per_token": -5}).models) == {"good"}


def test_what_has_no_price_per_token_is_left_out_with_the_reason() -> None:
    found = listed(
        painter={"mode": "image_generation", "output_cost_per_image": 0.04},
        draughtsman={"mode": "image_generation", "output_cost_per_pixel": 0.0},
        bare={},
        free=entry(input_cost_per_token=0.0, output_cost_per_token=0),
        silent=entry(output_cost_per_token="absent"),
        deaf=entry(input_cost_per_token=None),
        embedding=entry(output_cost_per_token="absent", mode="embedding"),
        half=entry(output_cost_per_token=0.0),
    )
    assert found.skipped == {
        "not priced by tokens (image_generation)": ["painter", "draughtsman"],
        "not priced by tokens (no mode)": ["bare"],
        ZERO: ["free"],
        NO_OUTPUT: ["silent"],
        NO_INPUT: ["deaf"],
    }
    assert set(found.models) == {"good", "embedding", "half"}
    assert found.models["embedding"].prices[0].output == 0
    assert found.refused == []


def test_prices_that_no_event_has_a_number_for_are_counted() -> None:
    one = entry(input_cost_per_token_batches=1e-06, search_context_cost_per_query={"x": 1}, supports_vision=True)
    found = listed(a=one, b=entry(input_cost_per_token_batches=1, cache_creation_input_token_cost_above_1hr=6e-06))
    assert found.unused == Counter(
        input_cost_per_token_batches=2, search_context_cost_per_query=1, cache_creation_input_token_cost_above_1hr=1
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"input_cost_per_token": -1e-9}, "input_cost_per_token is negative"),
        ({"output_cost_per_token": 1.000001}, "output_cost_per_token is more than 1 USD per token"),
        ({"input_cost_per_token": "NaN"}, "input_cost_per_token is not a number"),
        ({"input_cost_per_token": "-Infinity"}, "input_cost_per_token is not a number"),
        ({"input_cost_per_token": "1e999999999"}, "input_cost_per_token is more than 1 USD per token"),
        ({"input_cost_per_token": True}, "input_cost_per_token is not a number"),
        ({"input_cost_per_token": "cheap"}, "input_cost_per_token is not a number"),
        ({"cache_read_input_token_cost": [1]}, "cache_read_input_token_cost is not a number"),
        ({"output_cost_per_token_above_200k_tokens": -1}, "output_cost_per_token_above_200k_tokens is negative"),
        ({"tiered_pricing": {"a": 1}}, "tiered_pricing is not a list of objects"),
        ({"tiered_pricing": [{"range": [None, 5]}]}, "tiered_pricing/range begins with no number of tokens"),
        (
            {"tiered_pricing": [{"range": [0, 5], "input_cost_per_token": 7}]},
            "tiered_pricing/input_cost_per_token is more than 1 USD per token",
        ),
    ],
)
def test_an_absurd_value_refuses_its_model_with_the_line_and_no_other(fields: dict[str, Any], why: str) -> None:
    found = listed(m=entry(**fields))
    [refused] = found.refused
    assert (refused.model, refused.line, refused.why) == ("m", 8, why)
    assert set(found.models) == {"good"}


def test_an_entry_that_is_no_object_or_has_no_possible_name_is_refused() -> None:
    found = listed(m=[1], **{"": GOOD, "x" * 601: GOOD})
    assert [(each.model[:5], each.why) for each in found.refused] == [
        ("m", "the entry is not an object"),
        ("", "a model's name has 1 to 600 characters"),
        ("xxxxx", "a model's name has 1 to 600 characters"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{\n "a": {"input_cost_per_token": NaN}}', r"f: not LiteLLM's price file: .*\(line 2\)"),
        (b'{"a": 1', "f: not LiteLLM's price file"),
        (b"\xff\xfe{}", "f: not LiteLLM's price file"),
        (b"[" * 10_000, "f: not LiteLLM's price file"),
        (b"[]", "f: not LiteLLM's price file"),
        (b"{}", "no model in it has a price per token"),
        (b'{"a": {"input_cost_per_token": -1}}', "for example a: input_cost_per_token is negative"),
        (text_of(Book(read(EXAMPLE.read_bytes(), "f", DAY).models)), "no model in it has a price per token"),
    ],
)
def test_any_other_file_is_refused_as_a_whole(text: bytes, error: str) -> None:
    with pytest.raises(PriceError, match=error):
        read(text, "f", DAY)


def test_the_example_in_the_repository_becomes_a_book() -> None:
    found = read(EXAMPLE.read_bytes(), "prices.json", DAY)
    assert set(found.models) == {"example/everyday", "example/long"}
    book = merged(Book({}), found.models)
    assert parse(text_of(book), "p") == book


KEYS = st.sampled_from(
    [*GOOD, "output_cost_per_reasoning_token", "input_cost_per_token_above_1k_tokens", "tiered_pricing"]
)
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "range"]), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.dictionaries(KEYS, JUNK, max_size=5) | JUNK, max_size=4))
def test_whatever_an_entry_holds_it_becomes_a_price_or_is_named(entries: dict[str, Any]) -> None:
    entries.pop("good", None)
    found = listed(**entries)
    named = [
        *found.models,
        *(each.model for each in found.refused),
        *(m for some in found.skipped.values() for m in some),
    ]
    assert sorted(named) == sorted(["good", *entries])
    book = merged(Book({}), found.models)
    assert parse(text_of(book), "p") == book
