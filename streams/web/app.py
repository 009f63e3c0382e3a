"""The web role: pages and API over one application, the gates' inputs read beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from .. import topics
from ..database import Connection
from ..learn.cases.making import judged
from ..learn.controls import flagd, flags
from ..learn.controls.wording import changed
from ..learn.deciders import choosing
from ..learn.gates import freezing, overrides, several
from ..learn.gates.explained import explained
from ..learn.gates.inputs import Index
from ..learn.gates.rules import decide
from ..learn.gates.values import gate_values
from ..learn.outcomes import meaning as outcomes
from ..learn.outcomes.persons import Persons
from ..learn.outcomes.recorder import Recorder
from ..learn.power import worth
from ..learn.releases.lineage import Graph
from ..policy import Policy
from ..respond import oncalls
from ..respond.hearing.ears import Ears
from ..respond.receivers.slack_wire import Wire
from ..settings import Settings
from . import api, control_pages, controls, evaluators, flagger, github, hooks, ofrep, pagerduty, pages, releases
from .answers import told
from .cases import Bench
from .control_room import ControlRoom
from .gate_answers import Archive, Deciding
from .gate_desk import GateDesk, Rules
from .gatehouse import Gatehouse
from .guard import Guard, Keys, hosts
from .shop import Pool, Shop
from .taking import Intake
from .waiting import Waiting

STATIC = Path(__file__).with_name("static")
POOL_MAX = 8
BODY_BYTES_MAX = 64 * 1024


def create(settings: Settings, policy: Policy, registry: CollectorRegistry) -> Litestar:
    """The application. It opens its connections when it starts, and starts without a database too."""
    pool = _pool(settings.database)
    house = _house(settings, policy, pool, registry)
    keys = Keys(settings.token, settings.agent_token)
    recorder = Recorder(topics.OUTCOMES.name, outcomes.Rules(Persons(policy.people), policy.calibration.bulk_max))
    shop = Shop(pool, house, keys, _sinks(settings, policy), recorder)
    desk = GateDesk(shop, _rules())
    archive = Archive(shop, Deciding(decide, explained))
    waiting = Waiting(pool)
    room = ControlRoom(pool, settings.database, keys, settings.control_key.reveal().encode())
    wire = Wire(settings.slack_url, settings.slack_token, timeout_s=5.0) if settings.slack_token else None
    ears = Ears(wire, settings.slack_team, recorder, registry)
    ears.hold_s = policy.breaker.person_s
    intake = Intake(settings.kafka, topics.EVENTS.name) if settings.kafka else None
    app = Litestar(
        route_handlers=_routers(),
        dependencies=_always(shop=shop, bench=Bench(judged), desk=desk, archive=archive, room=room, waiting=waiting),
        exception_handlers={Exception: told},
        lifespan=[lambda app: _opened(app, pool, house), lambda _: _reading(room)],
        on_shutdown=[ears.close, waiting.close, *([intake.close] if intake else [])],
        openapi_config=_openapi(),
        state=State(
            {
                "door": keys,
                "house": house,
                "control_words": changed,
                **_asked(settings, policy, shop, ears, registry),
                "reading": None,
                "waited": (room, waiting),
                "taking": intake,
                "approve_s": policy.breaker.approve_s,
                "person_s": policy.breaker.person_s,
                "secure": settings.pages.startswith("https://"),
            }
        ),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
    )
    # Around everything, so that what is not found goes out guarded too.
    app.asgi_handler = Guard(app.asgi_handler, hosts(settings.web_host, settings.web_url, settings.web_names))
    return app


def _house(settings: Settings, policy: Policy, pool: Pool, registry: CollectorRegistry) -> Gatehouse:
    values = gate_values(policy.gates, policy.name, policy.digest, settings.pages, policy.calibration.starts)
    return Gatehouse(
        pool, values, (Index, decide), topic=topics.GATES.name, registry=registry, choosing=choosing(policy)
    )


def _routers() -> list[Any]:
    return [
        Router("/", route_handlers=api.HANDLERS, dependencies={"wanted": _given(api.wanted)}),
        Router("/", route_handlers=pages.HANDLERS, dependencies={"wanted": _given(pages.filters)}),
        Router("/", route_handlers=[*hooks.HANDLERS, *pagerduty.HANDLERS]),
        Router("/", route_handlers=evaluators.HANDLERS, dependencies={"measures": _given(_measures)}),
        Router("/", route_handlers=releases.HANDLERS, dependencies={"graphs": _given(_graphs)}),
        Router("/", route_handlers=[*flagger.HANDLERS, *github.HANDLERS, *ofrep.HANDLERS]),
        Router("/", route_handlers=[*controls.HANDLERS, *control_pages.HANDLERS]),
        create_static_files_router(path="/static", directories=[STATIC], include_in_schema=False),
    ]


def _measures() -> evaluators.Measures:
    return evaluators.Measures(worth.agreement, worth.corrected)


def _asked(settings: Settings, policy: Policy, shop: Shop, ears: Ears, registry: CollectorRegistry) -> dict[str, Any]:
    """What other systems ask and tell us."""
    return {
        "flagger": flagger.Flagger(shop.gatehouse.answer, shop.recorded, settings.flagger_token, registry),
        "flags": ofrep.Flags(shop, flags.Request, flags.evaluate, flags.evaluate_all, flagd.document),
        "github": github.GitHubHooks(settings, shop, ears, policy.repositories, shop.gatehouse.gates),
        "hooks": hooks.Hooks(settings, shop, ears),
        "pagerduty": pagerduty.PagerDutyHooks(settings, shop, ears),
    }


def _graphs() -> releases.Shelf:
    return releases.Shelf(Graph)


def _always(**things: object) -> dict[str, Provide]:
    """What handlers are handed by name."""

    def given(thing: object) -> Provide:
        return Provide(lambda: thing, sync_to_thread=False)

    return {name: given(thing) for name, thing in things.items()}


def _rules() -> Rules:
    """What a person may say about a gate."""
    return Rules(
        override=overrides.asked,
        approvable=overrides.approvable,
        over=overrides.over,
        holds=overrides.holds,
        second=overrides.second,
        against=overrides.against,
        freeze=freezing.asked,
        together=several.together,
    )


def _sinks(settings: Settings, policy: Policy) -> dict[str, bool]:
    """Receivers, and whether the settings have them. Two are only missed where the policy names them."""
    further = {"pagerduty": bool(settings.pagerduty_keys), "webhook": bool(settings.webhooks)}
    named = oncalls.further(policy)
    return {
        "jira": bool(settings.jira_url),
        "slack": bool(settings.slack_token),
        **{name: there for name, there in further.items() if there or name in named},
    }


async def run(
    settings: Settings,
    policy: Policy,
    registry: CollectorRegistry,
    progress: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Serves until `stop` is set. Gates that nobody reads for any more are no service: that is raised."""
    app = create(settings, policy, registry)
    with _bound(settings.web_host, settings.web_port) as listening:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not serving.done():
            progress()
            if stop.is_set() or _over(app):
                _hung_up(app)
                server.should_exit = True
            await asyncio.wait([serving], timeout=0.2)
        await serving
    if _over(app) and not app.state.reading.cancelled():
        await app.state.reading


def _hung_up(app: Litestar) -> None:
    """Whoever waits for a change is answered before the server waits for them."""
    for one in app.state.waited:
        one.stop()


def _over(app: Litestar) -> bool:
    reading: asyncio.Task[None] | None = app.state.reading
    return reading is not None and reading.done()


class _Server(uvicorn.Server):
    """Signals are the role's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _given(filters: Callable[..., object]) -> Provide:
    return Provide(filters, sync_to_thread=False)


def _bound(host: str, port: int) -> socket.socket:
    """A port that is taken raises here, in words, instead of ending the process from within the server."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=1024)


def _pool(database: str) -> Pool:
    return AsyncConnectionPool(
        database,
        connection_class=AsyncConnection[tuple[Any, ...]],
        min_size=1,
        max_size=POOL_MAX,
        timeout=5.0,
        open=False,
        configure=_configured,
        kwargs={
            "autocommit": True,
            "application_name": "tocsin web",
            "connect_timeout": 5,
            "options": "-c statement_timeout=5000 -c idle_in_transaction_session_timeout=10000",
        },
    )


async def _configured(conn: Connection) -> None:
    await conn.execute("SET TIME ZONE 'UTC'")


@contextlib.asynccontextmanager
async def _opened(app: Litestar, pool: Pool, house: Gatehouse) -> AsyncIterator[None]:
    await pool.open(wait=False)
    app.state.reading = reading = asyncio.create_task(house.run(), name="gate inputs")
    try:
        yield
    finally:
        house.stop()
        reading.cancel()
        await asyncio.wait([reading])
        await pool.close()


@contextlib.asynccontextmanager
async def _reading(room: ControlRoom) -> AsyncIterator[None]:
    task = asyncio.create_task(room.run(), name="controls")
    try:
        yield
    finally:
        room.stop()
        task.cancel()
        await asyncio.wait([task])


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Tocsin",
        version=version("tocsin"),
        description="Incidents of AI agents, what people are owed for them, and release gates.",
        path="/schema",
        render_plugins=[JsonRenderPlugin()],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
    )
