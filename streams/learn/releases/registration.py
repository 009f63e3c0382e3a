"""What is known of a release after CI spoke of it once more."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ...records import Registration, ReleaseRegisteredData

MADE_OF = ("commit", "digest", "prompt_hash", "model", "config_hash", "tools_hash")
CONFLICT_MAX = 8
VALUE_MAX = 20  # characters of a hash that people are shown


def merged(known: Registration | None, data: ReleaseRegisteredData, at: datetime) -> Registration:
    """What a release is made of is said once: said differently, the name stands for two things, which is kept for ever.

    Parents, aliases, fixes, author and order are what CI said last; what it leaves out stays as it was.
    """
    before = known or Registration()
    made_of = {part: getattr(before, part) or getattr(data, part) for part in MADE_OF}
    after = replace(before, **made_of, conflict=_conflict(before, data))
    if before.said_at is not None and at < before.said_at:
        return after
    return replace(
        after,
        parents=_last(data.parents, before.parents),
        aliases=_last(data.aliases, before.aliases),
        fixes=_last(data.fixes, before.fixes),
        author=data.author or before.author,
        order=before.order if data.order is None else data.order,
        said_at=at,
    )


def appended(at: datetime, logged_at: datetime | None) -> datetime:
    """When something counts as said: not later than the log had it, whatever the clock of whoever said it."""
    return at if logged_at is None else min(at, logged_at)


def _last(said: list[str] | None, before: tuple[str, ...]) -> tuple[str, ...]:
    return before if said is None else tuple(dict.fromkeys(said))


def _conflict(before: Registration, data: ReleaseRegisteredData) -> tuple[str, ...]:
    found = dict.fromkeys(before.conflict)
    for part in MADE_OF:
        one, other = getattr(before, part), getattr(data, part)
        if one and other and one != other:
            found |= dict.fromkeys(f"{data.release} ({part} {value[:VALUE_MAX]})" for value in (one, other))
    return tuple(found)[:CONFLICT_MAX]
