"""A scripted person who works the sandbox Jira: waits for a ticket's evidence, then resolves it with an outcome."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import aiohttp

OUTCOME_FIELD = "customfield_10100"


class Triager:
    """Resolves each open ticket that is about somebody known. `decisions` is agent or dependency -> (outcome, fix version)."""

    def __init__(self, jira: str, decisions: dict[str, tuple[str, str | None]], reading_s: float = 6.0) -> None:
        self.jira, self.decisions, self.reading_s = jira, decisions, reading_s
        self.opened: dict[str, float] = {}  # ticket -> when this person began to read it
        self.resolved: dict[str, str] = {}  # agent -> ticket

    async def run(self, every_s: float = 1.0) -> None:
        who = base64.b64encode(b"dana@example.com:sandbox").decode()
        async with aiohttp.ClientSession(self.jira, headers={"Authorization": f"Basic {who}"}) as session:
            while len(self.resolved) < len(self.decisions):
                await self._look(session)
                await asyncio.sleep(every_s)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        query = {"jql": "statusCategory != Done", "fields": "summary,attachment", "maxResults": "50"}
        async with session.get("/rest/api/3/search/jql", params=query) as answer:
            answer.raise_for_status()
            issues = (await answer.json())["issues"]
        for issue in issues:
            summary, evidence = issue["fields"]["summary"], issue["fields"].get("attachment")
            subject = summary.partition(":")[0].split(" ")[-1]  # "[high] support-bot: what is wrong"
            agent = subject if subject in self.decisions else None
            began = self.opened.setdefault(issue["key"], time.monotonic())
            read = evidence and time.monotonic() - began > self.reading_s
            if agent and agent not in self.resolved and read:
                await self._resolve(session, issue["key"], *self.decisions[agent])
                self.resolved[agent] = issue["key"]

    async def _resolve(self, session: aiohttp.ClientSession, key: str, outcome: str, fixed_in: str | None) -> None:
        url = f"/rest/api/3/issue/{key}/transitions"
        async with session.get(url) as answer:
            transitions = (await answer.json())["transitions"]
        done = next(each for each in transitions if each["to"]["statusCategory"]["key"] == "done")
        fields: dict[str, Any] = {OUTCOME_FIELD: {"value": outcome}, "resolution": {"name": "Done"}}
        if fixed_in:
            await session.post("/rest/api/3/version", json={"name": fixed_in, "project": key.partition("-")[0]})
            fields["fixVersions"] = [{"name": fixed_in}]
        async with session.post(url, json={"transition": {"id": done["id"]}, "fields": fields}) as answer:
            answer.raise_for_status()
