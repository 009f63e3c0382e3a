"""Kills respond, PostgreSQL, Kafka, detect and the network, again and again, and counts what people got in the end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.killing.beside import Beside
from benchmarks.killing.judging import Judged
from benchmarks.killing.lives import prepare
from benchmarks.killing.matrix import Matrix, Tally
from benchmarks.killing.naive import WAYS
from benchmarks.killing.rows import ROWS, row_table, run_rows
from benchmarks.killing.world import Servers

COMPLAINTS_SHOWN = 20
HEAD = ("", "kills", "incidents", "lost tickets", "lost pages", "doubled at any time", "doubled, still open", "pages doubled",
        "repair s p50", "p99")  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills",
        description="The kill matrix: real respond processes, Kafka and PostgreSQL, sandbox Jira and Slack with faults and "
        "index lag. Everything runs on loopback, and every process that is started is ended by its id. "
        "Ends with 1 when anything was lost, is left doubled, or is not as people left it.",
    )
    parser.add_argument("--kills", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan, the faults, the lag, the people (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    parser.add_argument(
        "--detect", type=int, help="kills of detect during a rebalance, among them (default: 1 of 100, at most 5)"
    )
    parser.add_argument(
        "--beside", type=int, help="kills of each naive way (default: a quarter of --kills, 0: leave out)"
    )
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="no kill begins after that long, nor after SIGTERM (default 40)"
    )
    parser.add_argument("--rows", action="store_true", help="instead: what the field does when calls fail, row by row")
    parser.add_argument("--only", metavar="ROWS", help=f"of --rows, these alone, by comma: {', '.join(ROWS)}")
    parser.add_argument("--incidents", type=int, default=200, help="of --rows: in each (default 200)")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that was killed is no news here
    prepare()
    with tempfile.TemporaryDirectory(prefix="tocsin-kills-") as folder:
        servers = Servers(Path(folder))
        servers.start()
        try:
            return asyncio.run(rows(given, servers) if given.rows else matrix(given, servers))
        finally:
            servers.stop()


async def matrix(given: argparse.Namespace, servers: Servers) -> int:
    detect = min(5, given.kills // 100) if given.detect is None else given.detect
    tally = await Matrix(servers, given.kills, given.seed, detect=detect).run(60 * given.minutes)
    save(given.json, written(given, tally))
    beside: dict[str, dict[str, Any]] = {}
    lines = [shown("Tocsin", tally.kills, tally.judged)]
    for way, name in WAYS.items():
        kills = given.kills // 4 if given.beside is None else given.beside
        if kills:
            began = time.monotonic()
            done, judged = await Beside(servers, way, kills, given.seed).run()
            beside[way] = {**numbers(done, judged), "name": name, "seconds": round(time.monotonic() - began, 1)}
            lines.append(shown(name, done, judged))
    print(table(HEAD, lines))
    print("\n" + table(("killed", "times"), [(kind, str(times)) for kind, times in sorted(tally.kinds.items())]))
    report(tally)
    save(given.json, {**written(given, tally), "beside": beside})
    return 0 if tally.judged.clean and tally.drained else 1


def report(tally: Tally) -> None:
    print(f"\nseed and plan as given; {tally.seconds:.0f} s; lives that ended by themselves: {len(tally.ended)}")
    if tally.missed:
        print(f"never reached: {dict(tally.missed)}")
    if not tally.drained:
        print("NOT everything was settled in time")
    for complaint in tally.judged.complaints[:COMPLAINTS_SHOWN]:
        print(f"WRONG: {complaint}")


def numbers(kills: int, judged: Judged) -> dict[str, Any]:
    names = ("incidents", "lost_tickets", "lost_pages", "doubled_ever", "doubled_open", "doubled_pages")
    found = {"kills": kills, **{name: getattr(judged, name) for name in names}}
    return {**found, "repair_seconds_p50": judged.percentile(0.5), "repair_seconds_p99": judged.percentile(0.99)}


def written(given: argparse.Namespace, tally: Tally) -> dict[str, Any]:
    return {
        **numbers(tally.kills, tally.judged),
        "repairs": len(tally.judged.repairs),
        "kinds": dict(sorted(tally.kinds.items())),
        "never_reached": dict(tally.missed),
        "ended_by_themselves": tally.ended,
        "complaints": tally.judged.complaints,
        "stories": tally.stories,
        "settled": tally.drained,
        "seed": given.seed,
        "seconds": tally.seconds,
    }


def shown(name: str, kills: int, judged: Judged) -> tuple[str, ...]:
    return (name, *(f"{value:,}" for value in numbers(kills, judged).values()))


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


async def rows(given: argparse.Namespace, servers: Servers) -> int:
    only = given.only.split(",") if given.only else list(ROWS)
    results = await run_rows(servers, only, given.incidents, given.seed)
    print(table(*row_table(results)))
    save(given.json, {"seed": given.seed, "rows": msgspec.to_builtins(results)})
    return 0


def save(file: Path | None, content: dict[str, Any]) -> None:
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
