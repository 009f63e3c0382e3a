"""A gate whose answer a test sets, and what it tells a sandbox GitHub."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from delivery.gated import AGENT, decision
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.database import connect
from streams.learn.gates import bypassing
from streams.learn.gates.values import gate_values
from streams.learn.github import callbacks
from streams.learn.github.calling import Asked, Calling, Rules, counter
from streams.learn.github.client import GitHub
from streams.learn.github.identity import Tokens
from streams.records import GateInputs, GateQuestion, Hook
from streams.respond.receivers.http_wire import Wire
from streams.settings import Secret
from streams.web.github import keep

REPOSITORY, TARGET = "acme/support-bot", "production"
SHA = "ab" * 20
TOKEN = "canary-of-the-installation"
VALUES = gate_values(policies.load().gates, "default", "sha256:0", "http://localhost:8080", {})["promotion"]


def hook(kind="rule", run=7001, **given):
    at = given.pop("at", datetime.now(UTC))
    known = {"run": str(run), "target": TARGET} if kind == "rule" else {}
    usual = {"repository": REPOSITORY, "gate": "promotion", "agent": AGENT, "release": SHA, "environment": "prod"}
    return Hook(
        **{
            "id": f"github:{kind}:{run}",
            "kind": kind,
            "at": at,
            "sha": SHA,
            "installation": 9,
            **usual,
            **known,
            **given,
        }
    )


class Hub:
    """`state` is what the gate answers."""

    def __init__(self, conn, github, address, *, token=TOKEN, app=None, reached=None, timeout_s=5.0):
        self.conn, self.github = conn, github
        self.state, self.given, self.number = "hold", {}, 0
        self.registry = CollectorRegistry()
        self.wire = Wire(timeout_s=timeout_s)
        self.tokens = Tokens(self.wire, address, Secret(token), app or ("", Secret("")))
        outside = GitHub(self.wire, address, self.tokens)
        rules = Rules(self.ask, callbacks.callback, callbacks.over, bypassing.record)
        extra = {"reached": reached} if reached else {}
        self.calling = Calling(outside, rules, "tocsin.gates", counter(self.registry), ask_after_s=0.01, **extra)

    def ask(self, hook, now):
        self.number += 1
        found = decision(self.state, release=hook.release, decision_id=f"d-{self.number}", as_of=now, **self.given)
        inputs = GateInputs(GateQuestion(AGENT, hook.release), 0, 0, 0, known=True, newer=(), incidents=(),
                            watermark=now, read_at=now)  # fmt: skip
        return Asked(found, VALUES, inputs)

    async def keep(self, one):
        await keep(self.conn, one)

    async def turn(self, state=None, **given):
        """As if the time to ask again had come."""
        self.state, self.given = state or self.state, given
        await self.conn.execute("UPDATE hooks SET next_at = now(), ask_after = LEAST(ask_after, now())")
        return await self.calling.turn(self.conn)

    async def later(self):
        """A minute, as far as looking for bypasses goes."""
        await self.conn.execute("UPDATE hooks SET looked_at = looked_at - interval '2 minutes'")

    async def row(self, what="told", kind="rule"):
        query = f"SELECT {what} FROM hooks WHERE kind = %s"
        return (await (await self.conn.execute(query, [kind])).fetchone())[0]

    def said(self, run):
        return [one.state or "note" for one in run.reviews]


@asynccontextmanager
async def hub(database, github, **given):
    address = await github.start()
    conn = await connect(database)
    found = Hub(conn, github, address, **given)
    try:
        yield found
    finally:
        await found.wire.close()
        await conn.close()
        await github.stop()


LONG_AGO = timedelta(days=40)
