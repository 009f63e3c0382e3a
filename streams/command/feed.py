"""`tocsin import`: runs that other tools recorded, as events."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import rich_click as click
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..importing.merge import Report, Unreadable, read
from ..importing.send import keyed, send
from ..records.timeline import encode
from .start import settings_or_exit

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(name="import")
def import_() -> None:
    """Turn runs that other tools recorded into events."""


@import_.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--send", "sends", is_flag=True, help="Send to Kafka (TOCSIN_KAFKA) instead of standard output.")
@click.option("--environment", default="prod", show_default=True, help="The environment the sessions ran in.")
def tau2(files: tuple[Path, ...], environment: str, *, sends: bool) -> None:
    """tau2-bench run files (.json, .json.gz), merged by time: NDJSON on standard output.

    What cannot be mapped is counted and reported on standard error. Exit codes: 0 done, 1 unreadable, 2 usage.

    Example: tocsin import tau2 runs/*.json.gz | tocsin replay -
    """
    console = Console(stderr=True)
    try:
        with _bar(console) as bar:
            task = bar.add_task("reading", total=len(files))
            events, report = read(files, lambda *_: bar.advance(task), environment)
        if sends:
            _send(events, report, console)
        else:
            _write(events)
    except Unreadable as error:
        raise click.ClickException(str(error)) from None
    for line in report.lines():
        console.print(line, highlight=False, markup=False)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True
    )


def _send(events: object, report: Report, console: Console) -> None:
    settings = settings_or_exit()
    if not settings.kafka:
        raise click.ClickException("--send needs TOCSIN_KAFKA, the address of Kafka; `tocsin up` prints its own")
    with _bar(console) as bar:
        task = bar.add_task("sending", total=report.events)
        messages = (keyed(event) for event in events)  # type: ignore[attr-defined]
        try:
            sent = asyncio.run(send(settings.kafka, messages, lambda n: bar.update(task, completed=n)))
        except (KafkaError, TimeoutError) as error:
            raise click.ClickException(f"Kafka at {settings.kafka}: {type(error).__name__}: {error}") from None
    console.print(f"{sent} events sent to {settings.kafka}", highlight=False)


def _write(events: object) -> None:
    out = sys.stdout.buffer
    try:
        for event in events:  # type: ignore[attr-defined]
            out.write(encode(event) + b"\n")
        out.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
