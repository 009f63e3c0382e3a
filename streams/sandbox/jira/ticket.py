"""A ticket of the sandbox Jira and its parts, as they are kept."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.sandbox.jira.catalogue import TODO


class Item(msgspec.Struct):
    """One field that changed; None: was or is empty."""

    field: str
    old: str | None
    new: str | None


class Change(msgspec.Struct):
    id: int
    author: str
    at: str
    items: list[Item]


class Comment(msgspec.Struct):
    id: int
    author: str
    at: str
    body: Any
    properties: list[dict[str, Any]] = []
    edited: str | None = None
    editor: str | None = None


class File(msgspec.Struct):
    id: int
    author: str
    at: str
    name: str
    media: str
    size: int


class RemoteLink(msgspec.Struct):
    id: int
    global_id: str | None
    body: dict[str, Any]


class Link(msgspec.Struct):
    """`outward`: this ticket is the one that blocks, duplicates, relates to `other`."""

    id: int
    kind: str
    other: int
    outward: bool


class Ticket(msgspec.Struct, kw_only=True):
    id: int
    key: str
    kind: str
    created: str
    updated: str
    author: str
    summary: str = ""
    description: Any = None  # an ADF document (v3) or wiki text (v2), as it came
    labels: list[str] = []
    priority: str = "3"
    assignee: str | None = None
    status: str = TODO
    resolution: str | None = None
    resolved: str | None = None
    outcome: str | None = None
    due: str | None = None
    versions: list[str] = []
    properties: dict[str, Any] = {}
    comments: list[Comment] = []
    files: list[File] = []
    remote: list[RemoteLink] = []
    links: list[Link] = []
    history: list[Change] = []

    @property
    def project(self) -> str:
        return self.key.rpartition("-")[0]

    @property
    def number(self) -> int:
        return int(self.key.rpartition("-")[2])


def now() -> str:
    """Jira writes its zone without a colon."""
    at = datetime.now(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"
