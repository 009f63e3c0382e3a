"""`tocsin replay`: what would be found, opened, told and decided, now or with another policy, side by side."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from .. import policy as policies
from ..policy import Policy
from ..prices import Prices
from .start import policy_or_exit, prices_or_exit, settings_or_exit

POLICY = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN_BYTES = 1 << 20  # how much is read between two movements of the bar


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="One object a line; its `record` names its kind.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="Let event time go on until then.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Compare with this value changed; may be repeated."
)
@click.option("--policy", "candidate", type=POLICY, help="Compare with this policy.toml instead of yours.")
def replay(
    file: BinaryIO, until: datetime | None, settings: tuple[str, ...], candidate: Path | None, **how: bool
) -> None:
    """Run the same deciders over FILE (NDJSON; - is standard input) with no server.

    Prints what would be found, opened, told and decided. With --set or --policy: what now (the policy in TOCSIN_POLICY,
    or the shipped one), what with the change, and what differs; with --json each record says its `side`, and the last
    one is a `comparison`.

    A NAME is a detector's threshold, severity or dry_run, or another value of the policy:
    tool.repeated_error.errors_min, grouping.window_s, tool.repeated_error.agents."billing-*".severity.

    Exit codes: 0 done, 1 your own policy has errors, 2 usage, or the changed policy has errors.

    Example: tocsin replay events.ndjson --set tool.repeated_error.errors_min=4
    """
    from ..replaying.reading import LATEST  # noqa: PLC0415 - the deciders of every room

    if until and until >= LATEST:
        raise click.BadParameter("must be before the year 9000", param_hint="--until")
    own = settings_or_exit()
    now = policy_or_exit(own)
    other = _changed(candidate, candidate or own.policy, settings)
    prices = prices_or_exit(own)
    as_json = how["as_json"]
    lines = _watched(file, shown=not (as_json and sys.stdout.isatty()))
    try:
        told = (
            _compared(lines, (now, other), prices, until, as_json)
            if other
            else _replayed(lines, now, prices, until, as_json)
        )
        for line in told:
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replayed(
    lines: Iterable[bytes], policy: Policy, prices: Prices | None, until: datetime | None, as_json: bool
) -> Iterator[bytes]:
    from ..replay import run  # noqa: PLC0415
    from ..replaying.summary import for_people  # noqa: PLC0415
    from ..replaying.writing import written  # noqa: PLC0415

    records = run(lines, policy, until, prices)
    return (written(record) for record in records) if as_json else (text.encode() for text in for_people(records))


def _compared(
    lines: Iterable[bytes], both: tuple[Policy, Policy], prices: Prices | None, until: datetime | None, as_json: bool
) -> Iterator[bytes]:
    from ..records import contents, differences  # noqa: PLC0415
    from ..replay import compare  # noqa: PLC0415
    from ..replaying.columns import side_by_side  # noqa: PLC0415
    from ..replaying.comparison import Both  # noqa: PLC0415
    from ..replaying.writing import of_side, written  # noqa: PLC0415

    now, candidate = both
    sides = Both()
    for side, record in compare(lines, now, candidate, until, prices):
        sides.note(side, record)
        if as_json:
            yield of_side(side, record)
    comparison = sides.compared(differences(contents(now), contents(candidate)))
    if as_json:
        yield written(comparison)
    else:
        yield from (text.encode() for text in side_by_side(comparison))


def _changed(candidate: Path | None, base: Path | None, settings: tuple[str, ...]) -> Policy | None:
    """The policy to compare with, if there is one."""
    from ..replaying.candidate import UnknownSetting, changes  # noqa: PLC0415

    try:
        found = policies.load(candidate) if candidate else None
        return policies.changed(base, changes(settings, policies.schema())) if settings else found
    except UnknownSetting as error:
        _refused(f"--set: {error}")
    except policies.PolicyError as error:
        _refused(f"The changed policy has errors, nothing was replayed.\n{error}")


def _refused(why: str) -> NoReturn:
    click.echo(why, err=True)  # whole lines: one for each error
    sys.exit(2)


def _watched(file: BinaryIO, *, shown: bool) -> Iterator[bytes]:
    """The lines; on a terminal with a bar of how far they were read."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield from file
        return
    columns: Any = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replaying", total=_size(file))
        read = 0
        for line in file:
            read += len(line)
            if read >= SHOWN_BYTES:
                bar.advance(task, read)
                read = 0
            yield line


def _size(file: BinaryIO) -> int | None:
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None
