"""The book's file: the same book is the same bytes, and whatever is wrong in it is named with its line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streams import pricefile
from streams.pricebook import Above, Book, Model, Price, PriceError, merged, parse, text_of
from streams.prices import Prices
from streams.settings import Settings, load


def price(since: str, value: str = "2", **more: Any) -> Price:
    return Price(since=date.fromisoformat(since), input=Decimal(value), output=Decimal(10), **more)


BOOK = Book(
    {
        "b": Model((price("2026-03-01", above=(Above(tokens=200_000, input=Decimal("0.000000001")),)),), "openai"),
        "a/ü": Model((price("2026-03-01"), price("2026-06-01", "1.5", reasoning=Decimal(12)))),
    }
)


def test_the_file_says_the_same_book_again_sorted_and_always_alike() -> None:
    text = text_of(BOOK)
    assert parse(text, "prices.json") == BOOK
    assert text_of(parse(text, "prices.json")) == text == text_of(Book(dict(reversed(BOOK.models.items()))))
    assert text.index(b"a/") < text.index(b'"b"')
    assert b'"input": "1.5"' in text


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ('"input": "2"', '"input": "-2"', "prices.json:3: a/ü: prices[0]: `input` is negative"),
        ('"input": "1.5"', '"input": "NaN"', "prices.json:3: a/ü: prices[1]: `input` is not a number"),
        ('"reasoning": "12"', '"reasoning": "1000001"', "`reasoning` is more than 1 USD per token"),
        ('"0.000000001"', '"0.0000000001"', "prices.json:18: b: prices[0].above[0]: `input` has more than 9 decimal"),
        ("2026-06-01", "2026-02-01", "prices.json:3: a/ü: `prices` must be in ascending order"),
        ("2026-06-01", "2026-03-01", "each date once"),
        ("2026-06-01", "June", "a/ü: prices[1].from: Invalid RFC3339"),
        ('"reasoning"', '"reasonning"', "a/ü: prices[1]: Object contains unknown field `reasonning`"),
        ('"version": 1', '"version": 2', "not a price book of Tocsin: version: "),
        ('"USD"', '"EUR"', "not a price book of Tocsin: currency: "),
        ('"version": 1,', "", "missing required field `version`"),
        ('"models": {', '"models": {,', "not a price book of Tocsin: JSON is malformed"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_place(before: str, after: str, error: str) -> None:
    text = text_of(BOOK).decode()
    assert before in text
    with pytest.raises(PriceError) as wrong:
        parse(text.replace(before, after, 1).encode(), "prices.json")
    assert error in str(wrong.value)


def test_all_mistakes_come_at_once() -> None:
    text = text_of(BOOK).replace(b'"output": "10"', b'"output": "-1"')
    with pytest.raises(PriceError) as wrong:
        parse(text, "p")
    assert [line.split(": ")[1] for line in str(wrong.value).splitlines()] == ["a/ü", "b"]


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"models":{"":{}}}'])
def test_any_other_bytes_are_no_price_book(text: bytes) -> None:
    with pytest.raises(PriceError, match="p: not a price book of Tocsin"):
        parse(text, "p")


def test_an_import_adds_a_date_replaces_its_own_and_keeps_the_rest() -> None:
    news = {"a/ü": Model((price("2026-09-01", "9"),), "x"), "c": Model((price("2026-09-01"),))}
    after = merged(BOOK, news)
    assert [str(each.since) for each in after.models["a/ü"].prices] == ["2026-03-01", "2026-06-01", "2026-09-01"]
    assert after.models["b"] == BOOK.models["b"]
    assert set(after.models) == {"a/ü", "b", "c"}
    again = merged(after, {"a/ü": Model((price("2026-03-01", "5"),))})
    assert [str(each.input) for each in again.models["a/ü"].prices] == ["5", "1.5", "9"]
    assert merged(after, news) == after
    assert merged(merged(BOOK, {"b": Model((price("2026-01-01"),))}), news) == merged(
        after, {"b": Model((price("2026-01-01"),))}
    )


def test_a_file_is_replaced_as_a_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "prices.json"
    pricefile.write(path, BOOK)
    pricefile.write(path, Book({}))
    assert pricefile.read(path) == Book({})
    assert [each.name for each in path.parent.iterdir()] == ["prices.json"]


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PriceError, match="cannot be written"):
        pricefile.write(tmp_path / "file" / "prices.json", BOOK)
    (tmp_path / "folder").mkdir()
    with pytest.raises(PriceError, match="cannot be written"):
        pricefile.write(tmp_path / "folder", BOOK)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_settings_name_the_book_or_the_data_directory_holds_it(tmp_path: Path) -> None:
    assert pricefile.load(Settings(datadir=tmp_path)) is None
    named = load({"TOCSIN_PRICES": str(tmp_path / "p.json"), "TOCSIN_DATADIR": str(tmp_path)})
    with pytest.raises(PriceError, match=r"p\.json: cannot be read: No such file"):
        pricefile.load(named)
    pricefile.write(tmp_path / "prices.json", BOOK)
    found = pricefile.load(Settings(datadir=tmp_path))
    assert isinstance(found, Prices)
    assert len(found) == 2
    assert load({"TOCSIN_PRICES": ""}).prices is None
