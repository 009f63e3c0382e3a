"""How long, as people write it on a command line."""

from __future__ import annotations

import re

import rich_click as click

SECONDS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType):
    """`90s`, `30m`, `2h`, or seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if not match:
            self.fail(f"{value!r} is not a duration; write 90s, 30m or 2h", param, ctx)
        return float(match.group(1)) * SECONDS[match.group(2) or "s"]
