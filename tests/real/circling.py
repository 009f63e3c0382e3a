"""A small company on the stage: agents with a judge, a CI that registers releases, a person who works the tickets."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.command.stage import Stage

POLICY = """
name = "circles"

[time]
lateness_s = 1.0
idle_s = 3.0
tick_s = 0.5
bucket_s = 2
minute_s = 5

[grouping]
members_min = 50 # these troubles have nothing to do with each other

[[calibration.grants]]
evaluators = ["LLM:honesty@*", "LLM:accuracy@*"]
power = "block"
by = "ann"
reason = "it agreed with people on 60 of 60"

[detectors."eval.critical"]
critical = ["honesty", "accuracy"]
"""
PERSON = "Basic ZGFuYUBleGFtcGxlLmNvbTpzYW5kYm94"  # dana@example.com of the sandbox
WAIT_S = 60.0


class Company:
    def __init__(self, stage: Stage) -> None:
        self.stage, self._ids = stage, count()

    # -- what happens -------------------------------------------------------------------------------------------------

    def works(self, agent: str, release: str, sessions: int, *, bad: int = 0, judge: str = "honesty") -> None:
        """Sessions that were judged, the first `bad` of them badly."""
        passed = [n >= bad for n in range(sessions)]
        lines = [line for one in passed for line in self._session(agent, release, judge, passed=one)]
        self.stage.submit(self._sent("agent.events", lines))

    def delivers(self, kind: str, **data: Any) -> None:
        self.stage.submit(self._sent("delivery.events", [(data["agent"], self._event(kind, "/ci", data))]))

    def resolves(self, ticket: str, outcome: str, comment: str = "") -> None:
        """As a person does in Jira."""
        if comment:
            self.jira(f"/rest/api/3/issue/{ticket}/comment", {"body": _document(comment)})
        found = self.jira(f"/rest/api/3/issue/{ticket}/transitions")["transitions"]
        done = next(one for one in found if one["to"]["statusCategory"]["key"] == "done")
        fields = {"resolution": {"name": "Done"}} | ({"customfield_10100": {"value": outcome}} if outcome else {})
        self.jira(f"/rest/api/3/issue/{ticket}/transitions", {"transition": {"id": done["id"]}, "fields": fields})

    # -- what is seen -------------------------------------------------------------------------------------------------

    def incident(self, agent: str, *known: str) -> dict[str, Any]:
        """The agent's incident with its ticket; not one of those `known`."""

        def found() -> dict[str, Any] | None:
            listed = self.api("/v1/incidents?limit=100")["incidents"]
            there = (one for one in listed if one["agent"] == agent and one["id"] not in known and one.get("ticket"))
            return next(there, None)

        return until(found, f"an incident of {agent} with a ticket")

    def page_state(self, incident: str) -> str | None:
        listed = self.api("/v1/incidents?limit=100")["incidents"]
        return next((one.get("page_state") for one in listed if one["id"] == incident), None)

    def gate(self, agent: str, release: str) -> dict[str, Any]:
        asked = urllib.parse.urlencode({"agent": agent, "release": release, "environment": "prod"})
        decision: dict[str, Any] = self.api(f"/v1/gates/promotion/decision?{asked}")
        return decision

    def answers(self, agent: str, release: str, *states: str) -> dict[str, Any]:
        """The gate's decision, as soon as it is one of those."""
        last: dict[str, Any] = {}

        def found() -> dict[str, Any] | None:
            last.clear()
            last.update(self.gate(agent, release))
            return last if last["state"] in states else None

        return until(found, f"{states} for {agent} {release}", lambda: json.dumps(last, indent=1))

    def api(self, path: str, body: Any = None) -> Any:
        return _asked(f"{self.stage.pages}{path}", body, f"Bearer {self.stage.token}")

    def jira(self, path: str, body: Any = None) -> Any:
        return _asked(f"{self.stage.sandbox_urls['Jira']}{path}", body, PERSON)

    # -- events -------------------------------------------------------------------------------------------------------

    def _session(self, agent: str, release: str, judge: str, *, passed: bool) -> list[tuple[str, bytes]]:
        name = f"{agent}/s{next(self._ids)}"
        who = {"id": agent, "version": release}
        ctx = {"session_id": name, "run_id": "r1", "agent": who, "env": "prod", "user": f"u{name}"}
        evaluator = {"name": judge, "kind": "LLM", "version": "4"}
        judged = {"evaluator": evaluator, "status": "ok", "score": 0.9 if passed else 0.1, "passed": passed}
        said: list[tuple[str, dict[str, Any]]] = [
            ("agent.session.started.v1", {"model": "everyday"}),
            ("agent.eval.scored.v1", judged),
            ("agent.session.ended.v1", {"status": "succeeded"}),
        ]
        return [(name, self._event(kind, f"/{agent}", {"ctx": ctx, **data})) for kind, data in said]

    def _event(self, kind: str, source: str, data: dict[str, Any]) -> bytes:
        number = next(self._ids)
        at = datetime.now(UTC) + timedelta(microseconds=number)
        event = {"specversion": "1.0", "id": f"e{number}", "source": source, "type": kind, "time": at.isoformat()}
        return json.dumps({**event, "data": data}).encode()

    async def _sent(self, topic: str, lines: list[tuple[str, bytes]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.stage.kafka, enable_idempotence=True)
        await producer.start()
        try:
            for key, value in lines:
                await producer.send(topic, value, key=key.encode())
        finally:
            await producer.stop()


def until(found: Callable[[], Any], what: str, seen: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (answer := found()):
        assert time.monotonic() < deadline, f"waited for {what}\n{seen()}"
        time.sleep(0.2)
    return answer


def _document(text: str) -> dict[str, Any]:
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": text}]}
    return {"type": "doc", "version": 1, "content": [paragraph]}


def _asked(url: str, body: Any, authorization: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            raw = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read()[:1000]!r}") from None
    return json.loads(raw) if raw else None
