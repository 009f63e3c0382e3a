"""`tocsin gate check`: what a pipeline asks before it promotes a release."""

from __future__ import annotations

import re
import sys

import rich_click as click

from ..records import GateQuestion
from .start import settings_or_exit

SECONDS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType):
    """`90s`, `30m`, `2h`, or seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if not match:
            self.fail(f"{value!r} is not a duration; write 90s, 30m or 2h", param, ctx)
        return float(match.group(1)) * SECONDS[match.group(2) or "s"]


@click.group()
def gate() -> None:
    """May this release be promoted?"""


@gate.command()
@click.option("--agent", required=True)
@click.option("--release", required=True, help="The agent's version, as its events carry it.")
@click.option("--environment", default="prod", show_default=True)
@click.option("--gate", "name", default="promotion", show_default=True)
@click.option("--url", help="Where Tocsin's pages are; default from TOCSIN_WEB_URL or TOCSIN_WEB_HOST and _PORT.")
@click.option("--wait", type=Duration(), help="Ask again while the answer is hold, at most this long.")
@click.option("--strict", is_flag=True, help="A warning is not good enough.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision document; the same as --format json.")
@click.option("--format", "shape", type=click.Choice(["json", "github", "junit"]), help="Print it for a tool.")
def check(agent: str, release: str, environment: str, name: str, **options: object) -> None:
    """Ask the gate and answer by exit code.

    0 allow (and warn unless --strict), 10 warn with --strict, 20 hold, 30 block, 2 usage,
    4 the gate could not be reached or did not answer with a decision.

    Example: tocsin gate check --agent support-bot --release 2026.11.2 --wait 30m
    """
    from ..gatecheck import check as ask  # noqa: PLC0415
    from .gate_formats import tell  # noqa: PLC0415

    settings = settings_or_exit()
    question = GateQuestion(agent, release, environment)
    url = str(options["url"] or settings.pages)
    wait_s = float(str(options["wait"])) if options["wait"] is not None else None
    checked = ask(url, name, question, wait_s=wait_s, strict=bool(options["strict"]))
    shape = options["shape"] or ("json" if options["as_json"] else None)
    if shape:
        tell(str(shape), checked, f"{name} of {agent}@{release} in {environment}")
    if shape != "github":  # which reads orders out of both streams
        click.echo(checked.message, err=True)
    sys.exit(checked.code)
