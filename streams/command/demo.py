"""`tocsin demo`: everything embedded, a fleet that misbehaves on purpose, a person who resolves tickets."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from ..sandbox import fleet as fleets
from .stage import Stage, StageError, port_is_free
from .start import policy_or_exit, settings_or_exit, token_of, until_interrupted

POLICY = """# The demo waits less, with shorter lateness and buckets, believes in fewer sessions, and its judge, a model, has
# earned the right to block.
name = "demo"

[time]
lateness_s = 1.0
idle_s = 3.0
tick_s = 0.5
bucket_s = 2
minute_s = 5

[gates.promotion]
clean_min = 20

[[calibration.grants]]
evaluators = ["LLM:groundedness@*"]
power = "block"
by = "the demo"
reason = "so that there is a release to block within a minute"
"""
DECISIONS: dict[str, tuple[str, str | None]] = {
    fleets.SUPPORT: ("fixed", fleets.FIXED),
    fleets.RESEARCH: ("accepted_risk", None),
    fleets.BILLING: ("external_cause", None),
    fleets.INVENTORY: ("external_cause", None),
    fleets.LEGACY: ("fixed", "2"),
}
RELEASES = (fleets.STABLE, fleets.REGRESSED, fleets.FIXED)
EXIT_S_MAX = 240.0


@click.command()
@click.option("--exit", "exits", is_flag=True, help="End by itself once every trouble was found, told and resolved.")
@click.option("--json", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write what happened to FILE.")
def demo(*, exits: bool, report: Path | None) -> None:
    """Show the whole job on real parts: Kafka, PostgreSQL, and a Jira and a Slack to click through.

    The first start downloads Kafka (45 MB). Exit codes: 0 all as promised, 1 something is missing, 2 usage.

    Example: tocsin demo --exit --json demo.json
    """
    settings = settings_or_exit()
    datadir = settings.datadir / "demo"
    try:
        port_is_free(settings)  # or another demo runs, on the data that goes next
    except StageError as error:
        raise click.ClickException(str(error)) from None
    shutil.rmtree(datadir, ignore_errors=True)  # the demo tells the same story each time
    datadir.mkdir(parents=True)
    policy = datadir / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    settings = msgspec.structs.replace(settings, datadir=datadir, policy=policy)
    policy_or_exit(settings)
    console = Console(stderr=exits)
    overrides = {"TOCSIN_POLICY": str(policy), "TOCSIN_POLL_TICKETS_S": "1", "TOCSIN_SELF_REPORT_S": "0"}
    try:
        with Stage(settings, token=token_of(datadir), sandbox=True, say=console.print, overrides=overrides) as stage:
            story = Story(stage)
            done = story.play(console, exits=exits)
            if report:
                report.write_text(json.dumps(story.report(), indent=2) + "\n", encoding="utf-8")
    except StageError as error:
        raise click.ClickException(str(error)) from None
    if exits and not done:
        console.print(f"[red]Not everything happened within {EXIT_S_MAX:.0f} s:[/red] " + "; ".join(story.missing()))
        sys.exit(1)


class Story:
    """What happens on the stage, asked of the product's own API, as anybody could."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.started = time.monotonic()
        self.troubles = {
            agent: {
                "name": name,
                "detector": detector,
                "agent": agent,
                "incident": None,
                "ticket": None,
                "page": None,
                "outcome": None,
            }
            for name, detector, agent in fleets.troubles()
        }
        self.gates: dict[str, list[dict[str, Any]]] = {release: [] for release in RELEASES}

    def play(self, console: Console, *, exits: bool) -> bool:
        """Until Ctrl-C, or with `exits` until all is done or the time is over. Answers whether all is done."""
        interrupted = until_interrupted()
        self.fleet, self.triager = self.stage.submit(self._enter())
        if not console.is_terminal:
            console.print(self.addresses(), soft_wrap=True)
        screen = Live(self.table(), console=console, refresh_per_second=4, transient=False)
        with screen:
            while not interrupted():
                self.stage.mend()
                self.look()
                screen.update(self.table())
                if exits and (not self.missing() or time.monotonic() - self.started > EXIT_S_MAX):
                    break
                time.sleep(0.4)
        self.stage.submit(self._leave())
        return not self.missing()

    async def _enter(self) -> tuple[Any, Any]:
        from ..sandbox.triager import Triager  # noqa: PLC0415

        fleet = fleets.Fleet(self.stage.kafka)
        triager = Triager(self.stage.sandbox_urls["Jira"], DECISIONS)
        self._tasks = [asyncio.create_task(fleet.run()), asyncio.create_task(triager.run())]
        return fleet, triager

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def look(self) -> None:
        """Ask the API what is known by now; what it cannot answer yet is asked again."""
        for seen in (self._get("/v1/incidents?limit=100") or {}).get("incidents", []):
            for trouble in self.troubles.values():
                if f":{trouble['detector']}:" in seen["id"] and seen["title"].startswith(f"{trouble['agent']}:"):
                    self._know(trouble, seen["id"])
        for release, states in self.gates.items():
            question = urllib.parse.urlencode({"agent": fleets.SUPPORT, "release": release, "environment": "prod"})
            decision = self._get(f"/v1/gates/promotion/decision?{question}")
            if decision and (not states or states[-1]["state"] != decision["state"]):
                at = round(time.monotonic() - self.started, 1)
                states.append({"at_s": at, "state": decision["state"], "summary": decision["summary"]})

    def _know(self, trouble: dict[str, Any], incident: str) -> None:
        detail = self._get(f"/v1/incidents/{urllib.parse.quote(incident, safe='')}")
        if detail:
            trouble |= {key: detail["incident"].get(key) for key in ("ticket", "page", "outcome")}
            trouble["incident"] = incident
            if trouble["outcome"]:
                self._repair(trouble["agent"])

    def _repair(self, agent: str) -> None:
        """The person who resolved the ticket also did something about it."""
        self.fleet.calm.add(agent)
        if agent == fleets.SUPPORT:
            self.stage.submit(_set(self.fleet.fixed))
            self._prove(agent)

    def _prove(self, agent: str) -> None:
        """Somebody writes what is expected of the regression case, and CI runs it: a fix is believed once it passes."""
        cases = (self._get("/v1/cases") or {}).get("cases", [])
        for case in (one for one in cases if one["agent"] == agent and one["state"] == "draft"):
            wanted = {"expectation": "The answer rests on what the tools returned.", "actor": "Dana"}
            if self._post(f"/v1/cases/{urllib.parse.quote(case['id'], safe='')}", wanted):
                self.stage.submit(self.fleet.proven(case["id"]))

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(self.stage.pages + path, timeout=5) as answer:  # noqa: S310 - our own pages
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def _post(self, path: str, body: dict[str, str]) -> bool:
        headers = {"Authorization": f"Bearer {self.stage.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.stage.pages + path, json.dumps(body).encode(), headers)  # noqa: S310 - our own pages
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - our own pages
                return True
        except OSError:
            return False

    def missing(self) -> list[str]:
        found = [
            f"{trouble['name']}: no {what}"
            for trouble in self.troubles.values()
            for what in ("incident", "ticket", "page", "outcome")
            if not trouble[what]
        ]
        wanted = {fleets.STABLE: "allow", fleets.REGRESSED: "block", fleets.FIXED: "allow"}
        found += [
            f"gate for {release} never answered {state}"
            for release, state in wanted.items()
            if state not in [each["state"] for each in self.gates[release]]
        ]
        return found

    def report(self) -> dict[str, Any]:
        health = self._get("/v1/health") or {}
        listed = (self._get("/v1/incidents?limit=100") or {}).get("incidents", [])
        counts = {
            "events_sent": self.fleet.sent,
            "incidents": len(listed),
            "tickets": len({each["ticket"] for each in listed if each.get("ticket")}),
            "dead_letters": health.get("dead_letters"),
        }
        return {
            "troubles": list(self.troubles.values()),
            "gates": {f"{fleets.SUPPORT}@{release}": states for release, states in self.gates.items()},
            "counts": counts,
            "seconds": round(time.monotonic() - self.started, 1),
            "complete": not self.missing(),
        }

    def table(self) -> Group:
        table = Table(
            "trouble", "detector", "page", "ticket", "outcome", title="What the fleet does wrong, and what became of it"
        )
        for trouble in self.troubles.values():
            cells = ("sent" if trouble["page"] else "…", trouble["ticket"] or "…", trouble["outcome"] or "…")
            table.add_row(trouble["name"], trouble["detector"], *cells)
        gates = Table("release", "the gate said", title=f"May it be promoted? {fleets.SUPPORT}, prod")
        for release, states in self.gates.items():
            said = " → ".join(f"{each['state']} ({each['at_s']:.0f} s)" for each in states)
            gates.add_row(release, said or "…")
        return Group(table, gates, f"{self.addresses()}\n{self.fleet.sent} events sent. Ctrl-C ends it.")

    def addresses(self) -> str:
        found = {"Pages": self.stage.pages, **self.stage.sandbox_urls, "Kafka": self.stage.kafka}
        places = "   ".join(f"{name} {where}" for name, where in found.items())
        return f"{places}\nTo sign in, or to decide by command: TOCSIN_TOKEN_FILE={self.stage.settings.datadir}/token"


async def _set(event: asyncio.Event) -> None:
    event.set()
