"""A Jira inside this process: Cloud's REST API as the clients use it, pages, faults, and an index that lags."""

from pathlib import Path

from streams.sandbox.faults import Faults
from streams.sandbox.jira.desk import Desk
from streams.sandbox.jira.pages import Pages
from streams.sandbox.jira.rest_issue import Issues
from streams.sandbox.jira.rest_parts import Parts
from streams.sandbox.jira.rest_search import Search
from streams.sandbox.jira.rest_site import Site
from streams.sandbox.jira.state import Book
from streams.sandbox.serving import Serving


class SandboxJira:
    """`token` is "email:token" or the token alone; without one everybody is let in. `path` survives a restart."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        index_lag: float = 0.0,
        projects: tuple[str, ...] = ("OPS",),
        token: str | None = None,
        path: Path | None = None,
    ) -> None:
        self.book = Book(projects, index_lag, path)
        self.serving = Serving(Path(__file__).parent, host, port)
        self.desk = Desk(self.book, self.serving, token)
        for routes in (Site, Parts, Search, Issues, Pages):
            routes(self.desk)

    async def start(self) -> str:
        return await self.serving.start()

    async def stop(self) -> None:
        await self.serving.stop()
        self.book.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    @property
    def index_lag(self) -> float:
        return self.book.index.lag

    @index_lag.setter
    def index_lag(self, seconds: float) -> None:
        self.book.index.lag = seconds
