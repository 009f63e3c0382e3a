"""What learn has to say to people: it goes through the book, which alone owes people anything."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Notice(Struct, frozen=True, tag="notice", tag_field="record", omit_defaults=True, kw_only=True):
    """News that wake nobody. Of an incident: into its thread and under its ticket. Of none: to the agent's owner."""

    id: str  # one about no incident is owed once by this name
    at: datetime
    headline: str
    lines: tuple[str, ...] = ()
    incident: str = ""
    agent: str = ""
    environment: str = ""
    link: str = ""  # a path on our pages
