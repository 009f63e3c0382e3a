"""`tocsin gate check`: what a pipeline asks before it promotes a release."""

from __future__ import annotations

import sys

import rich_click as click

from ..records import GateQuestion
from . import desk
from .durations import Duration
from .gate_answers import explain, list_, replay, report
from .gate_people import freeze, freezes, override, overrides
from .start import settings_or_exit

__all__ = ["Duration", "gate"]


@click.group()
def gate() -> None:
    """May this release be promoted?"""


@gate.command()
@click.option("--agent", "agents", multiple=True, required=True, help="Repeatable, with its release: bot=2026.11.2.")
@click.option("--release", "releases", multiple=True, help="The agent's version, as its events carry it.")
@click.option("--environment", default="prod", show_default=True)
@click.option("--baseline", help="What it is compared with; default: what most sessions run.")
@click.option("--gate", "name", default="promotion", show_default=True)
@click.option("--url", help="Where Tocsin's pages are; default from TOCSIN_WEB_URL or TOCSIN_WEB_HOST and _PORT.")
@click.option("--wait", type=Duration(), help="Ask again while the answer is hold, at most this long.")
@click.option("--strict", is_flag=True, help="A warning is not good enough.")
@click.option("--json", "as_json", is_flag=True, help="Print the decision document; the same as --format json.")
@click.option("--format", "shape", type=click.Choice(["json", "github", "junit"]), help="Print it for a tool.")
def check(agents: tuple[str, ...], releases: tuple[str, ...], environment: str, name: str, **options: object) -> None:
    """Ask the gate and answer by exit code. Of several agents the worst answer counts.

    0 allow (and warn unless --strict), 10 warn with --strict, 20 hold, 30 block, 2 usage,
    4 the gate could not be reached or did not answer with a decision.

    While it waits, stderr says how far the evidence has come and how long it may take.

    Example: tocsin gate check --agent support-bot --release 2026.11.2 --wait 30m

    Example: tocsin gate check --agent planner=41 --agent writer=17 --strict
    """
    from ..gatecheck import check as ask  # noqa: PLC0415
    from .gate_formats import tell  # noqa: PLC0415

    shape = options["shape"] or ("json" if options["as_json"] else None)
    baseline = str(options["baseline"]) if options["baseline"] else None
    questions = [GateQuestion(agent, release, environment, baseline) for agent, release in _pairs(agents, releases)]
    if baseline and len(questions) > 1:
        raise click.UsageError("one --baseline cannot be that of several agents")
    url = str(options["url"] or settings_or_exit().pages)
    wait_s = float(str(options["wait"])) if options["wait"] is not None else None
    told = _heard if shape != "github" else _unheard
    checked = ask(url, name, questions, wait_s=wait_s, strict=bool(options["strict"]), told=told)
    if shape:
        asked = ", ".join(f"{one.agent}@{one.release}" for one in questions)
        tell(str(shape), checked, f"{name} of {asked} in {environment}")
    if shape != "github":  # which reads orders out of both streams
        click.echo(desk.plain(checked.message), err=True)
    sys.exit(checked.code)


def _heard(text: str) -> None:
    click.echo(f"waiting: {desk.plain(text)}", err=True)


def _unheard(_text: str) -> None:
    pass


def _pairs(agents: tuple[str, ...], releases: tuple[str, ...]) -> list[tuple[str, str]]:
    """Either both options equally often, or each agent with its release behind an equals sign."""
    if releases:
        if len(agents) != len(releases):
            raise click.UsageError("--agent and --release come in pairs: give both equally often")
        return list(zip(agents, releases, strict=True))
    pairs = [(agent, release) for agent, _, release in (one.partition("=") for one in agents)]
    if not all(agent for agent, _ in pairs):
        raise click.UsageError("an --agent has no name")
    if wrong := next((agent for agent, release in pairs if not release), None):
        raise click.UsageError(f"no release of {wrong}: give --release, or --agent {wrong}=2026.11.2")
    return pairs


gate.add_command(override)
gate.add_command(overrides)
gate.add_command(freeze)
gate.add_command(freezes)
gate.add_command(explain)
gate.add_command(list_)
gate.add_command(replay)
gate.add_command(report)
