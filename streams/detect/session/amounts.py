"""Amounts of money and tokens: as people read them, and as far as they can be believed."""

from __future__ import annotations

from decimal import Decimal

from ...records import LlmCalled

NANO = 10**9
CALL_NANO_MAX = 1000 * NANO  # no single call costs a thousand; the price is in another unit
CALL_TOKENS_MAX = 20_000_000  # no model reads that much at once


def money(nano: int) -> str:
    return f"{Decimal(nano) / NANO:.2f}"


def tokens_of(call: LlmCalled) -> int:
    """Input and output of a call; an absurd count is no count."""
    tokens = call.data.tokens
    if tokens is None:
        return 0
    total = tokens.input + tokens.output
    return total if total <= CALL_TOKENS_MAX else 0
