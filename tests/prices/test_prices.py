"""What a call costs: which entry is meant, which rates held on its day, and that nothing is lost in between."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import builders as b
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.intake.batches import Batcher
from streams.intake.cloudevents import Reader
from streams.intake.redact import Redactor
from streams.pricebook import BEGINNING, Above, Book, Model, Price
from streams.prices import Prices, names
from streams.records import LlmCalled, Tokens
from streams.records.timeline import encode, unpack
from streams.replaying.reading import Reading

ROOT = Path(__file__).resolve().parents[2]


def price(since: date = BEGINNING, **rates: Any) -> Price:
    given_rates = {"input": "2", "output": "10", **rates}
    above = given_rates.pop("above", ())
    return Price(since=since, above=above, **{name: Decimal(rate) for name, rate in given_rates.items()})


def prices(**models: Any) -> Prices:
    book = {name.replace("__", "/").replace("_", "-"): Model(tuple(entry)) for name, entry in models.items()}
    return Prices(Book(book))


def cost(
    book: Prices, tokens: Tokens, provider: str = "openai", model: str = "m", at: datetime | float = 0
) -> Decimal | None:
    called = b.llm_called(at, provider=provider, model=model, tokens=tokens, cost=None)
    book.event(called)
    found = called.data.cost
    assert found is None or (found.currency, found.source) == ("USD", "local")
    return found.amount if found else None


RATES = {"cache_read": "0.2", "cache_write": "2.5", "reasoning": "12"}


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [
        (Tokens(1_000_000, 0), "2"),
        (Tokens(0, 1_000_000), "10"),
        (Tokens(1, 1), "0.000012"),
        (Tokens(1_000_000, 0, cache_read=900_000), "0.38"),  # 100,000 fresh and 900,000 read from the cache
        (Tokens(1_000_000, 0, cache_read=500_000, cache_write=500_000), "1.35"),
        (Tokens(0, 1_000_000, reasoning=250_000), "10.5"),
        (Tokens(100, 0, cache_read=1_000_000), "0.2"),  # more cached than there was: nothing below zero
        (Tokens(0, 100, reasoning=1_000_000), "12"),
        (Tokens(0, 0), "0"),
    ],
)
def test_cached_tokens_and_reasoning_have_rates_of_their_own(tokens: Tokens, usd: str) -> None:
    assert cost(prices(m=[price(**RATES)]), tokens) == Decimal(usd)


def test_without_a_rate_of_its_own_cached_input_costs_as_input_and_reasoning_as_output() -> None:
    tokens = Tokens(1_000_000, 1_000_000, cache_read=400_000, cache_write=100_000, reasoning=300_000)
    assert cost(prices(m=[price()]), tokens) == Decimal(12)


def test_a_long_call_has_the_rates_of_long_calls_for_all_of_its_tokens() -> None:
    above = (Above(tokens=200_000, input=Decimal(4), output=Decimal(15)), Above(tokens=400_000, input=Decimal(8)))
    book = prices(m=[price(cache_read="0.2", above=above)])
    assert cost(book, Tokens(200_000, 100_000)) == Decimal("0.4") + 1
    assert cost(book, Tokens(200_001, 100_000)) == Decimal("0.800004") + Decimal("1.5")
    assert cost(book, Tokens(200_001, 0, cache_read=200_001)) == Decimal("0.0400002")  # that rate stays as it is
    assert cost(book, Tokens(500_000, 100_000)) == 4 + 1  # the highest threshold counts, not a mixture


def test_a_session_of_march_is_priced_with_marchs_prices() -> None:
    march, june = date(2026, 3, 1), date(2026, 6, 1)
    book = prices(m=[price(march, input="2"), price(june, input="1")])
    million = Tokens(1_000_000, 0)
    at = {
        datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC): None,
        datetime(2026, 3, 1, tzinfo=UTC): 2,
        datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC): 2,
        datetime(2026, 6, 1, tzinfo=UTC): 1,
        datetime(2030, 1, 1, tzinfo=UTC): 1,
    }
    assert {moment: cost(book, million, at=moment) for moment in at} == at


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        ("azure", "gpt-4o", "azure/gpt-4o"),
        ("azure.ai.openai", "gpt-4o", "azure/gpt-4o"),  # as OpenTelemetry names it
        ("openai", "gpt-4o", "gpt-4o"),
        ("somebody", "gpt-4o", "gpt-4o"),
        ("openrouter", "openrouter/x/gpt-4o", "openrouter/x/gpt-4o"),
        ("openrouter", "x/gpt-4o", "openrouter/x/gpt-4o"),
        ("openai", "gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),  # listed itself
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("azure", "gpt-4o-2024-08-06", "azure/gpt-4o"),
        ("anthropic", "gpt-4o-20240806", "gpt-4o"),
        ("vertex_ai", "gpt-4o@20240806", "gpt-4o"),
        ("openai", "gpt-4o-2024-0806", None),
        ("openai", "gpt-4o-20241399", None),
        ("openai", "gpt-4o-mini", None),
        ("openai", "gpt-5-2025-08-07", None),  # the base name is not listed
        ("openai", "GPT-4o", None),
        ("openai", "4o", None),
    ],
)
def test_a_model_is_found_under_its_name_and_else_has_no_price(provider: str, model: str, found: str | None) -> None:
    listed = ["azure/gpt-4o", "gpt-4o", "gpt-4o-2024-11-20", "openrouter/x/gpt-4o"]
    book = Prices(Book({name: Model((price(input=str(n + 1)),)) for n, name in enumerate(listed)}))
    wanted = None if found is None else Decimal(listed.index(found) + 1)
    for _ in range(2):  # the second time from memory
        assert cost(book, Tokens(1_000_000, 0), provider, model) == wanted


def test_names_are_tried_from_the_most_exact_on() -> None:
    assert list(names("aws.bedrock", "m-20240806")) == [
        "aws.bedrock/m-20240806", "bedrock/m-20240806", "m-20240806", "aws.bedrock/m", "bedrock/m", "m"
    ]  # fmt: skip


def test_what_nobody_can_pay_stays_unpriced() -> None:
    assert cost(prices(m=[price(input="1000000")]), Tokens(10**9, 1)) is None  # beyond a billion USD
    assert cost(prices(m=[price(input="1000000", output="0")]), Tokens(10**9, 1)) == 10**9


def test_names_that_producers_make_up_are_forgotten_again() -> None:
    book = prices(m=[price()])
    for n in range(25_000):
        assert cost(book, Tokens(1, 1), model=f"made-up-{n}") is None
    assert len(book._known) <= 10_000
    assert cost(book, Tokens(1_000_000, 0)) == 2


COUNT = st.integers(0, 10**9)
RATE = st.integers(0, 10**12)  # nano USD per million tokens, up to 1,000 USD


@settings(max_examples=300, deadline=None)
@given(st.lists(COUNT, min_size=5, max_size=5), st.lists(RATE, min_size=5, max_size=5))
def test_a_cost_is_exact(tokens: list[int], nanos: list[int]) -> None:
    given_in, out, read, write, thought = tokens
    rates = dict(zip(("input", "output", "cache_read", "cache_write", "reasoning"), nanos, strict=True))
    book = prices(m=[price(**{name: Decimal(nano).scaleb(-9) for name, nano in rates.items()})])
    found = cost(book, Tokens(*tokens))
    counts = (max(given_in - read - write, 0), max(out - thought, 0), read, write, thought)
    exact = sum(Fraction(count * nano, 10**15) for count, nano in zip(counts, nanos, strict=True))
    assert found is None if exact > 10**9 else Fraction(found or 0) == exact
    called = b.llm_called(0, provider="p", model="m", tokens=Tokens(*tokens), cost=None)
    book.event(called)
    assert Reading().read(encode(called).replace(b'"position"', b'"x"'), 1).data.cost == called.data.cost


# -- where it is applied ----------------------------------------------------------------------------------------------


def unplaced(called: LlmCalled) -> bytes:
    called.position = None
    return encode(called)


def stored(line: bytes, book: Prices | None, at: datetime = b.EPOCH) -> LlmCalled:
    """As intake stores it."""

    class Message:
        offset, key, value, timestamp = 0, None, line, int(at.timestamp() * 1000)

    batcher = Batcher(Reader(), Redactor(), 1, book)
    batcher.take("agent.events/1/0", [Message()])
    [batch] = batcher.done().batches
    [event] = unpack(batch.value, batch.headers)
    assert isinstance(event, LlmCalled)
    return event


def test_intake_and_replay_price_a_call_alike_and_leave_a_named_cost_alone() -> None:
    book = prices(openai__m=[price()])
    unpriced = unplaced(b.llm_called(0, model="m", tokens=Tokens(1000, 100), cost=None))
    named = unplaced(b.llm_called(0, model="m", tokens=Tokens(1000, 100), cost=b.money("7")))
    silent = unplaced(b.llm_called(0, model="m", tokens=None, cost=None))
    ahead = unplaced(b.llm_called(600, model="m", tokens=Tokens(1000, 100), cost=None))  # looked at on its own
    for line, amount in ((unpriced, Decimal("0.003")), (named, Decimal(7)), (silent, None), (ahead, Decimal("0.003"))):
        both = [stored(line, book).data, Reading(prices=book).read(line, 1).data]
        assert [one.cost.amount if one.cost else None for one in both] == [amount, amount]
    assert stored(unpriced, None).data.cost is None
    assert stored(unpriced, book).data.cost == stored(encode(stored(unpriced, book)), book).data.cost


def test_pricing_a_call_costs_little() -> None:
    """The figure is in benchmarks/README.md; this keeps an accident of 20 times as much out."""
    script = (
        "import time, builders as b\n"
        "from decimal import Decimal\n"
        "from streams.pricebook import BEGINNING, Book, Model, Price\n"
        "from streams.prices import Prices\n"
        "book = Prices(Book({'m': Model((Price(since=BEGINNING, input=Decimal(1), output=Decimal(2)),))}))\n"
        "called = b.llm_called(0, model='m', cost=None)\n"
        "begun = time.process_time()\n"
        "for _ in range(20_000): book.cost(called.data, called.time)\n"
        "print((time.process_time() - begun) / 20_000 * 1e6)"
    )
    path = f"{ROOT}:{ROOT / 'tests'}"
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": path})
    assert float(answer.stdout) < 30


def test_a_later_book_prices_only_what_is_read_later() -> None:
    line = unplaced(b.llm_called(timedelta(days=1).total_seconds(), model="m", tokens=Tokens(1_000_000, 0), cost=None))
    first = stored(line, prices(m=[price()]))
    again = stored(encode(first), prices(m=[price(input="5")]))
    assert again.data.cost == first.data.cost
