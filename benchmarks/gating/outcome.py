"""How long it takes until a gate answers differently after somebody resolved a ticket in Jira.

    python -m benchmarks.gating.outcome [--tickets 8] [--json FILE]

Everything is real but Jira, which is the sandbox: Kafka and PostgreSQL embedded, all five roles as processes, gates asked
over HTTP every 20 ms. An agent's tool keeps failing, its incident blocks the release, a person resolves the ticket as of
external cause; the clock runs from Jira's answer to that person until the gate says something else than block. First with
Jira's webhook (and a poll each minute), then without it and a poll each second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from streams import settings as environment
from streams.command.stage import Stage

POLL_S = 1.0
TICKETS = 8  # of each way: more decisions of one person within a minute are a bulk
PERSON = "Basic ZGFuYUBleGFtcGxlLmNvbTpzYW5kYm94"  # dana@example.com of the sandbox
SECRET = "what Jira signs with"
WAIT_S, LOOK_S = 90.0, 0.02
ERRORS, DETECTOR = 3, "tool.repeated_error"
POLICY = """
[time]
lateness_s = 1.0
idle_s = 3.0
tick_s = 0.5
bucket_s = 2
minute_s = 5

[grouping]
members_min = 50
"""


class Company:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def fails(self, agents: list[str]) -> None:
        """A tool of each fails three times in one session."""
        asyncio.run(self._sent([line for agent in agents for line in _session(agent)]))

    def tickets(self, agents: list[str]) -> dict[str, str]:
        """Each agent's ticket, once its gate blocks."""

        def found() -> dict[str, str] | None:
            listed = self._api("/v1/incidents?limit=100")["incidents"]
            about = [one for one in listed if DETECTOR in one["id"] and one["agent"] in agents]
            there = {one["agent"]: one["ticket"] for one in about if one.get("ticket")}
            blocked = len(there) == len(agents) and all(self.state(agent) == "block" for agent in agents)
            return there if blocked else None

        answer: dict[str, str] = until(found, "tickets of all agents whose gates block", 0.5)
        return answer

    def resolves(self, ticket: str) -> None:
        path = f"/rest/api/3/issue/{ticket}/transitions"
        done = next(one for one in self._jira(path)["transitions"] if one["to"]["statusCategory"]["key"] == "done")
        fields = {"resolution": {"name": "Done"}, "customfield_10100": {"value": "external_cause"}}
        self._jira(path, {"transition": {"id": done["id"]}, "fields": fields})

    def state(self, agent: str) -> str:
        asked = urllib.parse.urlencode({"agent": agent, "release": "1", "environment": "prod"})
        return str(self._api(f"/v1/gates/promotion/decision?{asked}")["state"])

    def _api(self, path: str) -> Any:
        return _asked(f"{self._stage.pages}{path}", None, f"Bearer {self._stage.token}")

    def _jira(self, path: str, body: Any = None) -> Any:
        return _asked(f"{self._stage.sandbox_urls['Jira']}{path}", body, PERSON)

    async def _sent(self, lines: list[tuple[str, bytes]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._stage.kafka, enable_idempotence=True)
        await producer.start()
        try:
            for key, value in lines:
                await producer.send("agent.events", value, key=key.encode())
        finally:
            await producer.stop()


def _session(agent: str) -> list[tuple[str, bytes]]:
    ctx = {"session_id": f"{agent}/s1", "run_id": "r1", "agent": {"id": agent, "version": "1"}, "env": "prod"}
    tool = {
        "tool": {"name": f"/{agent}"},
        "status": "error",
        "error": {"type": "Unreachable", "message": f"{agent} is away"},
    }
    said: list[tuple[str, dict[str, Any]]] = [
        ("agent.session.started.v1", {}),
        *[("agent.tool.called.v1", {**tool, "call_id": f"c{n}", "duration_ms": 40}) for n in range(ERRORS)],
        ("agent.session.ended.v1", {"status": "failed"}),
    ]
    now, name = datetime.now(UTC), f"{agent}/s1"
    lines = []
    for number, (kind, data) in enumerate(said):
        at = (now + timedelta(microseconds=number)).isoformat()
        event = {"specversion": "1.0", "id": f"{agent}-{number}", "source": f"/{agent}", "type": kind, "time": at}
        lines.append((name, json.dumps({**event, "data": {"ctx": ctx, **data}}).encode()))
    return lines


def until(found: Callable[[], Any], what: str, look_s: float) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_S:.0f} s for {what}")
        time.sleep(look_s)
    return answer


def _asked(url: str, body: Any, authorization: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        raw = answer.read()
    return json.loads(raw) if raw else None


def taken(company: Company, tickets: dict[str, str]) -> list[float]:
    """Seconds of each, from the answer to who resolved it. At any point of the poll's interval."""
    found, chance = [], random.Random(7)
    for agent, ticket in tickets.items():
        time.sleep(1.1 + chance.random())  # what was hinted before is read
        if company.state(agent) != "block":
            raise RuntimeError(f"the gate of {agent} changed before anybody decided")
        company.resolves(ticket)
        began = time.perf_counter()
        until(lambda agent=agent: company.state(agent) != "block", f"another answer for {agent}", LOOK_S)
        found.append(time.perf_counter() - began)
    return sorted(found)


def webhook(stage: Stage, *, on: bool) -> None:
    target = {"url": f"{stage.pages}/v1/jira/webhook", "secret": SECRET} if on else None
    body = json.dumps(target).encode()
    asked = urllib.request.Request(f"{stage.sandbox_urls['Jira']}/_sandbox/webhook", body, method="PUT")
    urllib.request.urlopen(asked, timeout=10).close()


def polls(stage: Stage) -> None:
    """Learn again, with a poll each second."""
    stage.overrides["TOCSIN_POLL_TICKETS_S"] = str(POLL_S)
    learn = stage.processes["learn"]
    learn.terminate()
    learn.wait(30)
    until(lambda: stage.mend() or stage.processes["learn"] is not learn, "learn", 0.2)


def both(folder: Path, count: int) -> dict[str, list[float]]:
    policy = folder / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = replace(environment.load({"TOCSIN_DATADIR": str(folder), "TOCSIN_WEB_PORT": port}), policy=policy)
    overrides = {
        "TOCSIN_POLICY": str(policy),
        "TOCSIN_POLL_TICKETS_S": "60",
        "TOCSIN_JIRA_WEBHOOK_SECRET": SECRET,
        "TOCSIN_SELF_REPORT_S": "0",
    }
    told, asked = ([f"{way}-{n}" for n in range(count)] for way in ("told", "asked"))
    with Stage(settings, token="measured", sandbox=True, say=lambda _: None, overrides=overrides) as stage:
        company = Company(stage)
        company.fails([*told, *asked])
        tickets = company.tickets([*told, *asked])
        webhook(stage, on=True)
        hinted = taken(company, {agent: tickets[agent] for agent in told})
        webhook(stage, on=False)
        polls(stage)
        polled = taken(company, {agent: tickets[agent] for agent in asked})
    return {"webhook": hinted, "poll": polled}


def measure(count: int = TICKETS) -> dict[str, Any]:
    """`outcome_to_gate_poll_max_s`, `outcome_to_gate_webhook_max_s` and what belongs to them."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        found = both(Path(folder), count)
    told: dict[str, Any] = {"outcome_poll_interval_s": POLL_S, "outcome_tickets": count}
    for way, seconds in found.items():
        told[f"outcome_to_gate_{way}_p50_s"] = round(seconds[len(seconds) // 2], 3)
        told[f"outcome_to_gate_{way}_max_s"] = round(seconds[-1], 3)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=TICKETS, help="of each way; ten within a minute are a bulk")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.tickets)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
