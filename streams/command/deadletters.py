"""`tocsin deadletters`: what could not be used, why, and the way back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, BinaryIO

import msgspec
import rich_click as click
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..deadletters import Found, NoSuchLetter, NotResendable, how_to_resend, listed, resend, shown
from .start import settings_or_exit

console = Console()


def _kafka() -> str:
    settings = settings_or_exit()
    if not settings.kafka:
        raise click.ClickException("TOCSIN_KAFKA is not set: the address of Kafka; `tocsin up` prints its own")
    return settings.kafka


def _asked(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except (NoSuchLetter, NotResendable) as error:
        raise click.ClickException(str(error)) from None
    except (KafkaError, TimeoutError, ValueError) as error:
        raise click.ClickException(f"Kafka does not answer: {type(error).__name__}: {error}") from None


@click.group()
def deadletters() -> None:
    """Messages that could not be used: list, show, resend."""


@deadletters.command(name="list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@click.option("--reason", help="Only these, e.g. invalid or decider:tool.repeated_error.")
@click.option("--agent", help="Only this agent's.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def list_(limit: int, reason: str | None, agent: str | None, *, as_json: bool) -> None:
    """The newest dead letters, newest first.

    Example: tocsin deadletters list --agent billing-bot --json
    """
    found: list[Found] = _asked(listed(_kafka(), limit=limit, reason=reason, agent=agent))
    if as_json:
        for each in found:
            sys.stdout.buffer.write(_json(each))
        return
    if not found:
        console.print("No dead letters: every message could be used.")
        return
    table = Table("letter", "agent", "reason", "first error", "at")
    for position, letter in found:
        first = letter.errors[0] if letter.errors else ""
        at = letter.at.isoformat(timespec="seconds") if letter.at else ""
        table.add_row(*(escape(_plain(cell)) for cell in (position, letter.agent or "", letter.reason, first, at)))
    console.print(table)
    console.print("`tocsin deadletters show LETTER` lists every error of one.", highlight=False)


@deadletters.command()
@click.argument("letter")
@click.option("--json", "as_json", is_flag=True)
@click.option("--value", "value_only", is_flag=True, help="Only the message as it came, e.g. to repair it in a file.")
def show(letter: str, *, as_json: bool, value_only: bool) -> None:
    """One dead letter with every error, where it came from and how to resend it.

    Example: tocsin deadletters show 0/42
    """
    found: Found = _asked(shown(_kafka(), letter))
    dead = found.letter
    if value_only:
        sys.stdout.buffer.write(dead.value or b"")
    elif as_json:
        sys.stdout.buffer.write(_json(found))
    else:
        click.echo(f"{dead.reason}: message {dead.position} of {dead.agent or 'an unknown agent'}")
        for error in dead.errors:
            click.echo(f"  {_plain(error)}")
        click.echo(f"\n{_plain((dead.value or b'').decode('utf-8', 'replace')[:4000])}\n")
        click.echo(how_to_resend(found))


@deadletters.command(name="resend")
@click.argument("letter")
@click.option("--value", type=click.File("rb"), help="The repaired message; - is standard input. Default: as it came.")
def resend_(letter: str, value: BinaryIO | None) -> None:
    """Send a dead letter to where it came from, as it was or repaired.

    Example: tocsin deadletters resend 0/42 --value repaired.json
    """
    sent = _asked(resend(_kafka(), letter, value.read().strip() if value else None))
    click.echo(f"sent as {sent}")


def _json(found: Found) -> bytes:
    return msgspec.json.encode({"letter": found.position, **msgspec.to_builtins(found.letter)}) + b"\n"


def _plain(text: str) -> str:
    """Untrusted text on a terminal: no control characters, no markup."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
