"""Templates to text. Everything is escaped; addresses are links only when they are web addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup

HERE = Path(__file__).parent
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def when(at: datetime | None) -> Markup | str:
    """A time that people can read, with the exact one for programs."""
    if at is None:
        return "never"
    moment = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        moment.isoformat().replace("+00:00", "Z"), f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    )


def age(at: datetime | None) -> Markup | str:
    """How long ago, with the exact time behind it."""
    if at is None:
        return "never"
    moment = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{} ago</time>').format(
        moment.isoformat().replace("+00:00", "Z"),
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        lasting((datetime.now(UTC) - moment).total_seconds()),
    )


def lasting(seconds: float | None) -> str:
    if seconds is None:
        return "nothing"
    whole = max(0, round(seconds))
    for size, unit in UNITS:
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def address(url: str | None) -> str:
    """The address if a browser may follow it, otherwise nothing."""
    try:
        return url if url and urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def place(identity: str) -> str:
    """An id as a part of a path."""
    return quote(identity, safe="")


_jinja = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_jinja.filters |= {"when": when, "age": age, "lasting": lasting, "address": address, "place": place}


def page(template: str, **values: Any) -> str:
    return _jinja.get_template(template).render(**{"visitor": None, "where": "", **values})
