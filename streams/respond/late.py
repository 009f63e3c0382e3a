"""A page that was held up says so: what it says of ages was true when it was promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

LATE = timedelta(minutes=5)
LINES_MAX = 12


def late(body: dict[str, Any], promised: datetime | None, now: datetime) -> dict[str, Any]:
    """The page as it should go out now."""
    if promised is None or now - promised < LATE or body.get("doc") != "page":
        return body
    minutes = int((now - promised).total_seconds()) // 60
    waited = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    says = f"this page could not be delivered for {waited}; it is from {promised.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return {**body, "lines": [["Late", says], *body.get("lines", ())][:LINES_MAX]}
