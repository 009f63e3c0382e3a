"""A small world for each thing that a receiver carries: its sandbox, what it writes there, and what came of it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from msgspec.structs import replace
from respond.outside import (
    CANARY,
    CHANNEL,
    SLACK_CANARY,
    comment,
    duplicate,
    evidence,
    jira_receiver,
    page,
    pages,
    ticket,
    tickets,
)

from streams.addresses import hooks
from streams.records import Done, Obligation
from streams.respond.messages import LinkDoc, NoteDoc, body
from streams.respond.receivers import http_wire, slack_wire
from streams.respond.receivers.pacing import Allowed
from streams.respond.receivers.pagerduty import PagerDuty
from streams.respond.receivers.protocol import Receiver, References
from streams.respond.receivers.slack import Rates, Slack
from streams.respond.receivers.webhook import Webhooks
from streams.sandbox.hook import SandboxHook
from streams.sandbox.jira import SandboxDataCenter, SandboxJira
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret

QUICK_S = 0.4  # the timeout of what is measured
PATIENT_S = 10.0  # and of what only prepares or repairs
SIGNING = "whsec_" + base64.b64encode(CANARY.encode()).decode()
SECRETS = (CANARY, SIGNING.removeprefix("whsec_"), base64.b64encode(f"tocsin@example.com:{CANARY}".encode()).decode())
HOOK = f"/hooks/{CANARY}"  # an address may be a secret itself
OFTEN = Rates(Allowed(1000, 0.001), Allowed(1000, 0.001), Allowed(1000, 0.001))


class World(NamedTuple):
    server: Any
    make: Callable[[float], Receiver]  # by the timeout of a call
    obligation: Obligation
    references: References
    write: tuple[str, str]  # method and path of the call that matters
    look: str  # path of the call that finds it again; empty: it is not looked for
    effects: Callable[[], int]  # how often it is there

    def writes(self) -> int:
        method, path = self.write
        path = path if path.startswith("/") else f"/api/{path}"
        return sum(call.method == method and fnmatchcase(call.path, path) for call in self.server.serving.calls)


class Kind(NamedTuple):
    """What is carried. `more`: a late one may come on top of the one that was made instead."""

    name: str
    open: Callable[[], Any]
    more: bool = False


@asynccontextmanager
async def _jira(of: str, *, cloud: bool = True) -> AsyncIterator[World]:
    server = (SandboxJira if cloud else SandboxDataCenter)(token=CANARY)
    url = await server.start()

    def make(timeout_s: float) -> Receiver:
        return jira_receiver(url, cloud=cloud, timeout_s=timeout_s)

    references: dict[str, Done] = {}
    if of != "ticket":
        receiver = make(PATIENT_S)
        for incident in ("i1", "i2"):
            made = await receiver.carry(ticket(incident), {}, "n0")
            assert isinstance(made, Done), made
            references[f"{incident}:ticket:1"] = made
        await receiver.close()
        server.serving.calls.clear()

    def first() -> Any:
        return server.book.find("OPS-1")

    kinds: dict[str, tuple[Obligation, tuple[str, str], Callable[[], int]]] = {
        "ticket": (ticket(), ("POST", "/rest/api/*/issue"), lambda: len(tickets(server))),
        "evidence": (evidence(), ("POST", "/rest/api/*/issue/*/attachments"), lambda: len(first().files)),
        "comment": (comment(), ("POST", "/rest/api/*/issue/*/comment"), lambda: len(first().comments)),
        "link": (_link(), ("POST", "/rest/api/*/issue/*/remotelink"), lambda: len(first().remote)),
        "duplicate": (
            duplicate("i1", "i2"),
            ("POST", "/rest/api/*/issue/*/transitions"),
            lambda: int(first().status == "10001"),
        ),
    }
    obligation, write, effects = kinds[of]
    look = "/rest/api/*/search/jql" if of == "ticket" else ""
    try:
        yield World(server, make, obligation, references, write, look if cloud else look[:-4], effects)
    finally:
        await server.stop()


def _link() -> Obligation:
    doc = LinkDoc(
        incident="i1",
        deployment="test",
        ticket="i1:ticket:1",
        url="https://tocsin.example/incidents/1",
        title="Incident",
    )
    return Obligation("i1:link:1", "i1", "link", 1, "jira:OPS", body(doc), ("i1:ticket:1",))


def _note(to: str) -> Obligation:
    doc = NoteDoc(incident="i1", deployment="test", page="i1:page:1", headline="Recovered", lines=("It works again.",))
    return Obligation("i1:note:1", "i1", "note", 1, to, body(doc), ("i1:page:1",))


@asynccontextmanager
async def _slack(of: str) -> AsyncIterator[World]:
    server = SandboxSlack(token=SLACK_CANARY)
    url = await server.start()

    def make(timeout_s: float) -> Receiver:
        wire = slack_wire.Wire(f"{url}/api/", Secret(SLACK_CANARY), timeout_s=timeout_s)
        return Slack(wire, again_s=0.01, rates=OFTEN)

    references: dict[str, Done] = {}
    if of != "page":
        receiver = make(PATIENT_S)
        made = await receiver.carry(page(), {}, "n0")
        assert isinstance(made, Done), made
        references["i1:page:1"] = made
        await receiver.close()
        server.serving.calls.clear()
    channel = server.workspace.channels[CHANNEL]
    edit = page(ordinal=2, headline="Acknowledged", after=("i1:page:1",))
    kinds: dict[str, tuple[Obligation, str, str, Callable[[], int]]] = {
        "page": (page(), "chat.postMessage", "conversations.history", lambda: len(pages(server))),
        "edit": (edit, "chat.update", "", lambda: int(pages(server)[0].text.startswith("Acknowledged"))),
        "note": (
            _note(f"slack:{CHANNEL}"),
            "chat.postMessage",
            "conversations.replies",
            lambda: len(channel.replies(pages(server)[0].ts)),
        ),
    }
    obligation, write, look, effects = kinds[of]
    try:
        yield World(server, make, obligation, references, ("POST", write), look, effects)
    finally:
        await server.stop()


@asynccontextmanager
async def _pagerduty(of: str) -> AsyncIterator[World]:
    server = SandboxPagerDuty()
    server.services["platform"] = CANARY
    url = await server.start()
    to = "pagerduty:platform"

    def make(timeout_s: float) -> Receiver:
        wire = http_wire.Wire(timeout_s=timeout_s)
        return PagerDuty(wire, f"{url}/v2/enqueue", {"platform": Secret(CANARY)})

    if of != "trigger":
        receiver = make(PATIENT_S)
        assert isinstance(await receiver.carry(replace(page(), destination=to), {}, "n0"), Done)
        await receiver.close()
        server.serving.calls.clear()
    states = {"acknowledge": "acknowledged", "resolve": "resolved"}
    obligation = page(ordinal=2, state=states[of]) if of in states else page()

    def effects() -> int:
        return sum(of == "trigger" or alert.status == states[of] for alert in server.book.alerts.values())

    try:
        write = ("POST", "/v2/enqueue")
        yield World(server, make, replace(obligation, destination=to), {}, write, "", effects)
    finally:
        await server.stop()


@asynccontextmanager
async def _webhook(of: str) -> AsyncIterator[World]:
    server = SandboxHook(secret=SIGNING)
    url = await server.start()

    def make(timeout_s: float) -> Receiver:
        named = hooks(f"desk={url}{HOOK}", f"desk={SIGNING}", plain=False)
        return Webhooks(http_wire.Wire(timeout_s=timeout_s), named)

    obligation = replace(page(), destination="webhook:desk") if of == "page" else _note("webhook:desk")
    try:
        yield World(server, make, obligation, {}, ("POST", HOOK), "", lambda: len(server.kept))
    finally:
        await server.stop()


KINDS: dict[str, tuple[Kind, ...]] = {
    "jira": (
        Kind("ticket", lambda: _jira("ticket")),
        Kind("ticket of a data center", lambda: _jira("ticket", cloud=False)),
        Kind("evidence", lambda: _jira("evidence"), more=True),
        Kind("comment", lambda: _jira("comment"), more=True),
        Kind("link", lambda: _jira("link")),
        Kind("duplicate", lambda: _jira("duplicate")),
    ),
    "slack": (
        Kind("page", lambda: _slack("page"), more=True),
        Kind("edit", lambda: _slack("edit")),
        Kind("note", lambda: _slack("note"), more=True),
    ),
    "pagerduty": tuple(Kind(of, lambda of=of: _pagerduty(of)) for of in ("trigger", "acknowledge", "resolve")),
    "webhook": tuple(Kind(of, lambda of=of: _webhook(of)) for of in ("page", "note")),
}
