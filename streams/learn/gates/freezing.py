"""Freezes: windows in which nothing is promoted, both edges said. A rollback asks no freeze."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec.structs import replace

from ...records import Freeze, FreezeAsked

LASTING_MAX = timedelta(days=90)
REASON_MIN = 5


def asked(given: FreezeAsked, now: datetime) -> Freeze | str:
    """The freeze, or in words why there can be none."""
    edges = [_edge(what, text, given.timezone) for what, text in (("from", given.begins), ("until", given.ends))]
    if wrong := next((one for one in edges if isinstance(one, str)), None):
        return wrong
    begins, ends = (one for one in edges if isinstance(one, datetime))
    if ends <= begins:
        return "A freeze ends after it begins: `until` is not after `from`."
    if ends <= now:
        return "`until` has passed: this freeze would be over already."
    if ends - begins > LASTING_MAX:
        return f"A freeze lasts {LASTING_MAX.days} days at most: make another one when it ends."
    if len(given.reason.strip()) < REASON_MIN:
        return "Say why: whoever is held reads it."
    if not given.agents or not given.environments or "" in (*given.agents, *given.environments):
        return "Name agents and environments; * stands for all."
    freeze = Freeze(
        id="",
        begins=begins,
        ends=ends,
        reason=given.reason.strip(),
        actor=given.actor,
        agents=given.agents,
        environments=given.environments,
        exempt=given.exempt,
        at=now,
    )
    name = hashlib.blake2b(msgspec.json.encode(freeze, order="deterministic"), digest_size=8).hexdigest()
    return replace(freeze, id=f"f-{name}")


def _edge(what: str, text: str, timezone: str) -> datetime | str:
    try:
        return _moment(what, text, timezone)
    except OverflowError:
        return f"`{what}` is beyond every calendar."


def _moment(what: str, text: str, timezone: str) -> datetime | str:
    """A local time that comes twice, or never, is none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return f"`{what}` is no moment: write 2026-12-20T18:00:00+01:00, or 2026-12-20T18:00 with a timezone."
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    if not timezone:
        return f"`{what}` has no offset: give one, or say the timezone."
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"There is no timezone {timezone[:60]}: write Europe/Berlin, UTC or an offset in the moment."
    local = found.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != found:
        return f"`{what}` does not exist in {timezone}: clocks are put forward over it."
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        return f"`{what}` comes twice in {timezone}: clocks are put back. Give its offset."
    return local.astimezone(UTC)
