"""What a sandbox GitHub remembers: runs that wait at an environment, what was said of them, check runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from streams.sandbox.journal import Journal

NOTES_MAX = 10
COMMENT_MAX = 1024
State = Literal["waiting", "approved", "rejected", "bypassed", "cancelled"]


class Review(msgspec.Struct):
    at: datetime
    state: str  # approved, rejected, or empty: a note
    comment: str
    by: str


class Run(msgspec.Struct):
    """A run that waits at one environment."""

    id: int
    repository: str
    environment: str
    sha: str
    ref: str
    state: State = "waiting"
    reviews: list[Review] = []


class Check(msgspec.Struct, omit_defaults=False):
    id: int
    repository: str
    head_sha: str
    name: str
    status: str = "queued"
    conclusion: str | None = None
    external_id: str = ""
    details_url: str = ""
    output: dict[str, Any] = {}


class Book:
    """The newest line of the journal about a thing is the thing."""

    def __init__(self, path: Path | None) -> None:
        self.runs: dict[int, Run] = {}
        self.checks: dict[int, Check] = {}
        self._journal = Journal(path)
        for raw in self._journal.read():
            kind, body = msgspec.json.decode(raw, type=tuple[str, msgspec.Raw])
            if kind == "run":
                run = msgspec.json.decode(body, type=Run)
                self.runs[run.id] = run
            else:
                check = msgspec.json.decode(body, type=Check)
                self.checks[check.id] = check

    def close(self) -> None:
        self._journal.close()

    def wait(self, repository: str, environment: str, sha: str, ref: str) -> Run:
        run = Run(len(self.runs) + 7001, repository, environment, sha, ref)
        self.runs[run.id] = run
        self._journal.append(("run", run))
        return run

    def review(self, run: Run, state: str, comment: str, by: str) -> str:
        """Why it is refused, or nothing."""
        if run.state != "waiting":
            return "There are no pending deployment requests to review"
        if not state and sum(not one.state for one in run.reviews) >= NOTES_MAX:
            return "A deployment has at most 10 status reports"
        if len(comment) > COMMENT_MAX:
            return "comment is too long (maximum is 1024 characters)"
        run.reviews.append(Review(datetime.now(UTC), state, comment, by))
        if state:
            run.state = "approved" if state == "approved" else "rejected"
        self._journal.append(("run", run))
        return ""

    def overrule(self, run: Run, state: State, by: str) -> None:
        """A person does what administrators may."""
        run.state = state
        if state == "bypassed":
            run.reviews.append(Review(datetime.now(UTC), "approved", "", by))
        self._journal.append(("run", run))

    def check(self, found: Check) -> Check:
        self.checks[found.id] = found
        self._journal.append(("check", found))
        return found
