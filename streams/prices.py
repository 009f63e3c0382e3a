"""What a model call costs by the price book: which entry is meant, which rates held then, and exact arithmetic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import NamedTuple

import msgspec

from .pricebook import RATE_PLACES, Above, Book, Model, Price
from .records import LlmCalled, LlmCalledData, Money, Tokens
from .records.envelope import MONEY_MAX

_SUM_PLACES = 15  # a token's price is a whole number of 10⁻⁹ USD per million
_SUM_MAX = int(MONEY_MAX) * 10**_SUM_PLACES
_KNOWN_MAX = 10_000
_DATED = re.compile(r"[-@]20\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])$")
# OpenTelemetry's names of providers, where they are not the ones that price files prefix models with.
ALIASES = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure_ai",
    "azure.ai.openai": "azure",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "x_ai": "xai",
}


def names(provider: str, model: str) -> Iterator[str]:
    """Under which names an event's model is looked up, the most exact first."""
    base = _DATED.sub("", model)
    for name in (model, base) if base != model else (model,):
        yield f"{provider}/{name}"
        if provider in ALIASES:
            yield f"{ALIASES[provider]}/{name}"
        yield name


class _Rates(NamedTuple):
    """Whole numbers of 10⁻⁹ USD per million tokens, for calls whose input has more tokens than `above`."""

    above: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int


_Periods = tuple[tuple[datetime, tuple[_Rates, ...]], ...]  # the newest first, of each the highest first


class Prices:
    """The book, ready for use. What it does not know stays unpriced."""

    def __init__(self, book: Book) -> None:
        self._listed = {name: _periods(model) for name, model in book.models.items()}
        self._known: dict[tuple[str, str], _Periods] = {}

    def __len__(self) -> int:
        return len(self._listed)

    def event(self, event: LlmCalled) -> None:
        """Gives a call with tokens and without a cost its cost."""
        cost = self.cost(event.data, event.time)
        if cost is not None:
            event.data = msgspec.structs.replace(event.data, cost=cost)

    def cost(self, data: LlmCalledData, at: datetime) -> Money | None:
        tokens = data.tokens
        if tokens is None:
            return None
        periods = self._known.get((data.provider, data.model))
        if periods is None:
            periods = self._look_up(data.provider, data.model)
        for since, tiers in periods:
            if at >= since:
                return _money(tokens, tiers)
        return None

    def _look_up(self, provider: str, model: str) -> _Periods:
        """Producers make names up: what is remembered of them is bounded."""
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        found = next((self._listed[name] for name in names(provider, model) if name in self._listed), ())
        self._known[provider, model] = found
        return found


def _money(tokens: Tokens, tiers: tuple[_Rates, ...]) -> Money | None:
    """`input` includes cached tokens and `output` reasoning; what does not add up counts as nothing, never below."""
    given = tokens.input
    for rates in tiers:
        if given > rates.above:
            break
    read, write, thought = tokens.cache_read or 0, tokens.cache_write or 0, tokens.reasoning or 0
    total = read * rates.cache_read + write * rates.cache_write + thought * rates.reasoning
    fresh, plain = given - read - write, tokens.output - thought
    if fresh > 0:
        total += fresh * rates.input
    if plain > 0:
        total += plain * rates.output
    if total > _SUM_MAX:
        return None
    return Money(Decimal(total).scaleb(-_SUM_PLACES).normalize(), "USD", "local")


def _periods(model: Model) -> _Periods:
    return tuple((datetime.combine(one.since, time(), UTC), _tiers(one)) for one in reversed(model.prices))


def _tiers(price: Price) -> tuple[_Rates, ...]:
    return (*(_rates(price, tier) for tier in reversed(price.above)), _rates(price, None))


def _rates(price: Price, tier: Above | None) -> _Rates:
    def rate(name: str, default: int = 0) -> int:
        for each in (tier, price):
            if each is not None and (found := getattr(each, name)) is not None:
                return int(found * 10**RATE_PLACES)
        return default

    inward, outward = rate("input"), rate("output")
    cached = (rate("cache_read", inward), rate("cache_write", inward))
    return _Rates(tier.tokens if tier else -1, inward, outward, *cached, rate("reasoning", outward))
