"""A (sandbox) Jira with one ticket of an incident, in the cloud and in a data center, and whoever reads it."""

import aiohttp
import pytest
from learn.booking import book, owe, sighted

from streams.database import connect, migrate
from streams.learn.outcomes.jira import JiraReader
from streams.learn.outcomes.judging import Judging
from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.polling import Polling
from streams.learn.outcomes.recorder import Recorder
from streams.sandbox.jira import SandboxJira


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield conn


class Site:
    """A Jira with one ticket, its incident in the book, and a poller."""

    def __init__(self, conn, jira, url, cloud):
        self.conn, self.jira, self.url = conn, jira, url
        self.reader = JiraReader(url, "tocsin@example.com", "sandbox", cloud=cloud)
        self.polling = Polling(self.reader, Judging({}, Persons()), Recorder("tocsin.outcomes", Rules(Persons(), 10)))
        self.incident = sighted()

    async def open(self, project="OPS"):
        body = {"fields": {"project": {"key": project}, "issuetype": {"name": "Task"}, "summary": "x"}}
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/rest/api/3/issue", json=body) as answer:
            self.key = (await answer.json())["key"]
        await book(self.conn, self.incident)
        await owe(self.conn, self.incident, reference=self.key)

    async def form(self, action, **fields):
        headers = {"Origin": self.url}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}/browse/{self.key}/{action}", data=fields) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def turn(self):
        return await self.polling.turn(self.conn)

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()


@pytest.fixture(params=[True, False], ids=["cloud", "data center"])
async def site(conn, request):
    jira = SandboxJira()
    found = Site(conn, jira, await jira.start(), request.param)
    await found.reader.start()
    await found.open()
    yield found
    await found.reader.stop()
    await jira.stop()
