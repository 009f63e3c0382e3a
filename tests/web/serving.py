"""A running web application on a real database, and a book to put rows into."""

import asyncio
from contextlib import asynccontextmanager

import httpx
from learn.booking import book, owe, sighted
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.database import connect
from streams.learn.watching import gauge
from streams.settings import Secret, Settings
from streams.web.app import create

TOKEN = "a-token-for-tests"
AWAY = "a-token-for-a-site-without-a-database"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Site:
    def __init__(self, app, client, conn):
        self.app, self.client, self.conn = app, client, conn

    async def book(self, number=1, **given):
        incident = sighted(number, **given)
        await book(self.conn, incident)
        return incident

    async def owe(self, incident, **given):
        return await owe(self.conn, incident, **given)

    async def ran(self, sessions, release="2026.09.3", agent="support-bot", environment="prod", bad=0):
        await self.conn.execute(
            "INSERT INTO exposed VALUES (%s, %s, %s, 1, %s, %s)", [agent, release, environment, sessions, bad]
        )

    async def clock(self, at):
        await gauge(self.conn, "watermark", at.timestamp())

    async def read(self):
        """What the background task does each second, now."""
        await self.app.state.house.read(self.conn)

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()


@asynccontextmanager
async def living(app):
    """The application's own start and end, in a task of their own: a fixture begins and ends in different ones."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def live():
        async with app.lifespan():
            started.set()
            await ended.wait()

    task = asyncio.create_task(live())
    await asyncio.wait([task, asyncio.create_task(started.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        ended.set()
        await task


@asynccontextmanager
async def serving(database, *, token=TOKEN, registry=None, policy=None, **given):
    settings = Settings(database=database, token=Secret(token), **given)
    app = create(settings, policy or policies.load(), registry or CollectorRegistry())
    transport = httpx.ASGITransport(app)
    async with (
        living(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client,
    ):
        conn = None if token == AWAY else await connect(database)
        yield Site(app, client, conn)
        if conn is not None:
            await conn.close()
