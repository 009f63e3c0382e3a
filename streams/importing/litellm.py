"""The price file that LiteLLM publishes (model_prices_and_context_window.json) as prices of our own book."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from ..pricebook import Above, Model, Price, PriceError, line_of, said

RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
}
TIERS = "tiered_pricing"
IGNORED = "sample_spec"  # the file's own explanation of its fields
ZERO = "a price of zero: nobody knows whether it is free"
NO_INPUT, NO_OUTPUT = "no price for input tokens", "no price for output tokens"
_RATE = re.compile(rf"({'|'.join(RATES)})(?:_above_(\d{{1,6}})(k?)_tokens)?")
_MILLION = Decimal(10) ** 6
_NAME_MAX = 600
_PLACE = Decimal("1e-9")


class Refused(Struct, frozen=True):
    """An entry with a value that cannot be."""

    model: str
    line: int
    why: str


class Listed(Struct):
    """What a file holds for us, and what not."""

    models: dict[str, Model] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)  # why -> models
    unused: Counter[str] = field(default_factory=Counter)  # price fields that no event has a number for


class _Wrong(Exception):
    """Why one entry is refused."""


class _Other(Exception):
    """Why one entry is of no use to us, without being wrong."""


def read(text: bytes, name: str, since: date) -> Listed:
    """Every model with a price per token. Raises PriceError for what is no such file."""
    try:
        entries = msgspec.json.decode(text, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PriceError(f"{name}: not LiteLLM's price file: {said(error, text)}") from None
    listed = Listed()
    for model, raw in entries.items():
        if model == IGNORED:
            continue
        try:
            listed.models[model] = _model(model, raw, since, listed.unused)
        except _Wrong as wrong:
            listed.refused.append(Refused(model, line_of(text, model), str(wrong)))
        except _Other as other:
            listed.skipped.setdefault(str(other), []).append(model)
    if not listed.models:
        why = f", for example {listed.refused[0].model}: {listed.refused[0].why}" if listed.refused else ""
        raise PriceError(f"{name}: not LiteLLM's price file: no model in it has a price per token{why}")
    return listed


def _model(name: str, raw: Raw, since: date, unused: Counter[str]) -> Model:
    if not 0 < len(name) <= _NAME_MAX:
        raise _Wrong(f"a model's name has 1 to {_NAME_MAX} characters")
    fields = _decoded(raw, dict[str, Raw], "the entry", "an object")
    tiers: dict[int, dict[str, Decimal]] = {0: {}}
    others = []
    for key, value in fields.items():
        found = _RATE.fullmatch(key)
        if bytes(value) == b"null":
            continue
        if found:
            tokens = int(found[2]) * (1000 if found[3] else 1) if found[2] else 0
            tiers.setdefault(tokens, {})[RATES[found[1]]] = _rate(key, value)
        elif key != TIERS and ("cost" in key or "pricing" in key):
            others.append(key)
    _add_tiers(fields.get(TIERS), tiers)
    base = tiers.pop(0)
    _judge(base, tiers, _text(fields.get("mode")))
    unused.update(others)
    above = tuple(Above(tokens=tokens, **rates) for tokens, rates in sorted(tiers.items()))
    price = Price(since=since, above=above, **{"output": Decimal(0), **base})
    return Model((price,), _text(fields.get("litellm_provider")))


def _judge(base: dict[str, Decimal], tiers: dict[int, dict[str, Decimal]], mode: str) -> None:
    """Raises _Other where there is no price that a call could be given."""
    if not base and not tiers:
        raise _Other(f"not priced by tokens ({mode or 'no mode'})")
    if "input" not in base:
        raise _Other(NO_INPUT)
    if "output" not in base and mode != "embedding":
        raise _Other(NO_OUTPUT)
    if not any(rates.get(name) for rates in (base, *tiers.values()) for name in ("input", "output")):
        raise _Other(ZERO)


def _add_tiers(raw: Raw | None, tiers: dict[int, dict[str, Decimal]]) -> None:
    """One tier holds for all tokens of a call, whatever else the entry says; its cached input costs as its input."""
    if raw is None or bytes(raw) == b"null":
        return
    for tier in _decoded(raw, list[dict[str, Raw]], TIERS, "a list of objects"):
        low = _decoded(tier.get("range", Raw(b"[0]")), list[float | None], f"{TIERS}/range", "two numbers")
        start = low[0] if low else None
        if start is None or not 0 <= start <= 10**9:
            raise _Wrong(f"{TIERS}/range begins with no number of tokens")
        rates = {RATES[key]: _rate(f"{TIERS}/{key}", tier[key]) for key in RATES if _given(tier, key)}
        cached = {name: rates["input"] for name in ("cache_read", "cache_write") if "input" in rates}
        tiers.setdefault(int(start), {}).update({**cached, **rates})


def _given(tier: dict[str, Raw], key: str) -> bool:
    return key in tier and bytes(tier[key]) != b"null"


def _rate(key: str, raw: Raw) -> Decimal:
    """USD per token as USD per million. Floats of the file's own arithmetic are rounded to 10⁻⁹."""
    value: Decimal = _decoded(raw, Decimal, key, "a number")
    if not value.is_finite():
        raise _Wrong(f"{key} is not a number")
    if not 0 <= value <= 1:
        raise _Wrong(f"{key} is {'negative' if value < 0 else 'more than 1 USD per token'}")
    return Decimal(f"{(value * _MILLION).quantize(_PLACE).normalize():f}")


def _decoded(raw: Raw, kind: Any, key: str, what: str) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _Wrong(f"{key} is not {what}") from None


def _text(raw: Raw | None) -> str:
    try:
        return msgspec.json.decode(raw, type=str)[:64] if raw is not None else ""
    except msgspec.MsgspecError:
        return ""
