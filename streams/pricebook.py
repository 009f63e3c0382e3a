"""The price book: USD per million tokens by model, with the dates from which they hold. Its file, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct, field

RATE_MAX = Decimal(10) ** 6  # USD per million tokens: one a token
RATE_PLACES = 9
BEGINNING = date(2000, 1, 1)  # intake takes no earlier event

Rate = Decimal  # USD per million tokens
Name = Annotated[str, Meta(min_length=1, max_length=600)]


class PriceError(Exception):
    """What is wrong with a price file, one mistake a line, each with its place."""


class Above(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Other rates for the whole call when its input has more than `tokens`; what is absent stays as it is."""

    tokens: Annotated[int, Meta(ge=1, le=10**9)]
    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None

    def __post_init__(self) -> None:
        _check(self)


class Price(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """USD per million tokens from a date on. Cached input without a rate costs as input, reasoning as output."""

    since: date = field(name="from")
    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    above: tuple[Above, ...] = ()

    def __post_init__(self) -> None:
        _check(self)
        if any(one.tokens >= other.tokens for one, other in zip(self.above, self.above[1:], strict=False)):
            raise ValueError("`above` must be in ascending order of tokens")


class Model(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry: who sells it, and its prices in the order of their dates."""

    prices: Annotated[tuple[Price, ...], Meta(min_length=1)]
    provider: str = ""

    def __post_init__(self) -> None:
        if any(one.since >= other.since for one, other in zip(self.prices, self.prices[1:], strict=False)):
            raise ValueError("`prices` must be in ascending order of `from`, each date once")

    def at(self, day: date) -> Price | None:
        return next((price for price in reversed(self.prices) if price.since <= day), None)


class Book(Struct, frozen=True, forbid_unknown_fields=True):
    models: dict[Name, Model]
    version: Literal[1] = 1
    currency: Literal["USD"] = "USD"


class _Outline(Struct, forbid_unknown_fields=True):
    version: Literal[1]
    currency: Literal["USD"]
    models: dict[Name, Raw]


def parse(text: bytes, name: str) -> Book:
    """Our own file, strictly. Raises PriceError with every entry that is wrong."""
    try:
        outline = msgspec.json.decode(text, type=_Outline)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PriceError(f"{name}: not a price book of Tocsin: {said(error, text)}") from None
    models, errors = {}, []
    for key, raw in outline.models.items():
        try:
            models[key] = msgspec.json.decode(raw, type=Model)
        except (msgspec.MsgspecError, RecursionError) as error:
            errors.append(f"{name}:{line_of(text, key)}: {key}: {said(error)}")
    if errors:
        raise PriceError("\n".join(errors))
    return Book(models)


def text_of(book: Book) -> bytes:
    """Sorted and indented: the same book is the same file, and a change is a readable difference."""
    ordered = Book(dict(sorted(book.models.items())))
    plain = _plain(msgspec.to_builtins(ordered, builtin_types=(Decimal,)))
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def _plain(node: Any) -> Any:
    """Amounts as people write them, without an exponent."""
    if isinstance(node, Decimal):
        return f"{node:f}"
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list | tuple) else node


def merged(book: Book, news: Mapping[str, Model]) -> Book:
    """The book with these prices added. A price of the same date is replaced; what is not in the news stays."""
    models = dict(book.models)
    for name, new in news.items():
        dates = {price.since: price for model in (models.get(name), new) if model for price in model.prices}
        models[name] = Model(tuple(dates[since] for since in sorted(dates)), new.provider)
    return Book(models)


def _check(rates: Any) -> None:
    for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
        value = getattr(rates, name)
        if value is not None and (wrong := _unbelievable(value)):
            raise ValueError(f"`{name}` {wrong}")


def _unbelievable(value: Decimal) -> str:
    if not value.is_finite():
        return "is not a number"
    if value < 0:
        return "is negative"
    if value > RATE_MAX:
        return "is more than 1 USD per token"
    return "" if value == round(value, RATE_PLACES) else f"has more than {RATE_PLACES} decimal places"


def line_of(text: bytes, key: str) -> int:
    """The line of the first use of this key."""
    found = re.search(re.escape(msgspec.json.encode(key)) + rb"\s*:", text)
    return text.count(b"\n", 0, found.start()) + 1 if found else 1


def said(error: Exception, text: bytes = b"") -> str:
    """A decoder's error with its place as a line or a path."""
    message, _, path = str(error).partition(" - at ")
    byte = re.search(r"\(byte (\d+)\)", message)
    if byte and text:
        line = text.count(b"\n", 0, int(byte[1])) + 1
        return f"{message[: byte.start()].rstrip()} (line {line})"
    return f"{path.strip('`').removeprefix('$.')}: {message}" if path.strip("`") not in ("", "$") else message
