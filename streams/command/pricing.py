"""`tocsin prices`: what model calls cost that say no cost themselves, from LiteLLM's published file, by date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import rich_click as click

from ..importing import litellm
from ..pricebook import BEGINNING, Book, Model, Price, PriceError, merged
from ..pricefile import content, read, write
from ..prices import names
from .start import settings_or_exit

NAMED_MAX = 5
DAY = click.DateTime(["%Y-%m-%d"])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
RATES = ("input", "output", "cache_read", "cache_write", "reasoning")


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def _book(path: Path) -> Book:
    """An absent file is an empty book."""
    return _asked(path) if path.exists() else Book({})


def _asked(path: Path) -> Book:
    try:
        return read(path)
    except PriceError as error:
        _failed(str(error))


def _failed(why: str) -> NoReturn:
    click.echo(why, err=True)  # whole lines: file:line: what
    sys.exit(1)


@click.group()
def prices() -> None:
    """Prices of models: import, list, show. For calls that say their tokens and no cost."""


@prices.command(name="import")
@click.argument("file", type=FILE)
@click.option(
    "--from", "since", type=DAY, help="When these prices begin, UTC. Default: today; of an empty book, always."
)
@click.option("--dry-run", is_flag=True, help="Say what it would do, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One object.")
def import_(file: Path, since: datetime | None, *, dry_run: bool, as_json: bool) -> None:
    """Read LiteLLM's model_prices_and_context_window.json into the price book (TOCSIN_PRICES).

    Earlier prices stay for earlier events; another import with the same date replaces its prices.
    Exit codes: 0 done, 1 nothing could be used or written, 2 usage.

    Example: tocsin prices import model_prices_and_context_window.json --from 2026-03-01
    """
    path = settings_or_exit().price_book
    book = _book(path)  # a broken one is not replaced unasked
    begin = _day(since) or (datetime.now(UTC).date() if book.models else BEGINNING)
    try:
        listed = litellm.read(content(file), str(file), begin)
        if not dry_run:
            write(path, merged(book, listed.models))
    except PriceError as error:
        _failed(f"{error}\nNothing was written.")
    changes = _changes(book, listed.models, begin)
    if as_json:
        left = {name: getattr(listed, name) for name in ("refused", "skipped", "unused")}
        said = {"book": str(path), "from": begin, "models": len(listed.models), **changes, **left}
        sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
        return
    for line in _report(listed, changes, begin):
        click.echo(line)
    for each in listed.refused:
        click.echo(f"refused: {file}:{each.line}: {_plain(each.model)}: {each.why}")
    written = f"Written to {path}. Intake reads it when it starts: start it again to use these prices."
    click.echo("Nothing was written." if dry_run else written)


def _changes(book: Book, news: dict[str, Model], begin: date) -> dict[str, int]:
    """Against what held on that day before."""
    before = {name: known.at(begin) for name, known in book.models.items()}
    same = sum(_same(before.get(name), new.prices[0]) for name, new in news.items())
    fresh = sum(name not in book.models for name in news)
    return {"new": fresh, "changed": len(news) - same - fresh, "same": same}


def _same(one: Price | None, other: Price) -> bool:
    return one is not None and msgspec.structs.replace(one, since=other.since) == other


def _report(listed: litellm.Listed, changes: dict[str, int], begin: date) -> Iterator[str]:
    since = "for all times" if begin <= BEGINNING else f"from {begin}"
    counts = ", ".join(f"{count} {what}" for what, count in changes.items())
    yield f"{len(listed.models)} models with a price per token, {since}: {counts}"
    for why, models in sorted(listed.skipped.items(), key=lambda each: (-len(each[1]), each[0])):
        named = ", ".join(_plain(name) for name in models[:NAMED_MAX])
        more = f", and {len(models) - NAMED_MAX} more" if len(models) > NAMED_MAX else ""
        yield f"left out, {why}: {len(models)} ({named}{more})"
    for key, count in sorted(listed.unused.items()):
        yield f"not used: {_plain(key)} ({count})"


@prices.command(name="list")
@click.argument("pattern", default="*")
@click.option("--at", "at", type=DAY, help="The prices of that day. Default: the newest.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def list_(pattern: str, at: datetime | None, *, as_json: bool) -> None:
    """The models of the price book whose name has PATTERN in it (or matches it, with * or ?).

    USD per million tokens. Exit codes: 0 done, 1 no readable price book, 2 usage.

    Example: tocsin prices list 'gpt-5*' --at 2026-03-01
    """
    book = _asked(settings_or_exit().price_book)
    glob = pattern if any(char in pattern for char in "*?[") else f"*{pattern}*"
    day = _day(at) or date.max
    found = [
        (name, model, price)
        for name, model in sorted(book.models.items())
        if fnmatchcase(name, glob) and (price := model.at(day))
    ]
    if as_json:
        for name, model, price in found:
            sys.stdout.buffer.write(_object(name, model, price) + b"\n")
        return
    if not found:
        click.echo(f"No model of {len(book.models)} matches {pattern}.")
        return
    width = max(len(name) for name, _, _ in found)
    click.echo(f"{'model':<{width}}  {_row('from', RATES)}")
    for name, _, price in found:
        click.echo(f"{_plain(name):<{width}}  {_row(_begin(price), _cells(price))}")


@prices.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="One object for each date.")
def show(model: str, *, as_json: bool) -> None:
    """Every price of MODEL, given as events name it: `model` or `provider/model`.

    USD per million tokens. Exit codes: 0 done, 1 no such model or no readable price book, 2 usage.

    Example: tocsin prices show azure/gpt-4o-2024-11-20
    """
    book = _asked(settings_or_exit().price_book)
    provider, _, rest = model.partition("/") if "/" in model else ("", "", model)
    name = next((name for name in (model, *names(provider, rest)) if name in book.models), None)
    if name is None:
        near = get_close_matches(model, book.models, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        _failed(f"{model} is not in the price book: its calls stay unpriced{hint}")
    entry = book.models[name]
    if as_json:
        for price in entry.prices:
            sys.stdout.buffer.write(_object(name, entry, price) + b"\n")
        return
    meant = "" if name == model else f" (asked for {model})"
    click.echo(f"{_plain(name)}{meant}, sold by {_plain(entry.provider) or 'nobody named'}, USD per million tokens")
    click.echo(_row("from", RATES))
    for price in entry.prices:
        click.echo(_row(_begin(price), _cells(price)))
        for tier in price.above:
            click.echo(f"  calls with more than {tier.tokens} input tokens:")
            click.echo(_row("", _cells(tier)))


def _cells(rates: Any) -> tuple[str, ...]:
    return tuple("" if (rate := getattr(rates, name)) is None else f"{Decimal(rate):f}" for name in RATES)


def _begin(price: Price) -> str:
    return "always" if price.since <= BEGINNING else str(price.since)


def _row(begin: str, cells: tuple[str, ...]) -> str:
    return (f"{begin:<10}" + "".join(f"  {cell:>11}" for cell in cells)).rstrip()


def _object(name: str, model: Model, price: Price) -> bytes:
    return msgspec.json.encode({"model": name, "provider": model.provider, **msgspec.to_builtins(price)})


def _plain(text: str) -> str:
    """A file's own words on a terminal: no control characters."""
    return "".join(char if char.isprintable() else "�" for char in text)
