"""Text of strangers in Markdown: nothing of it is markup, a mention, a link or a reference."""

from __future__ import annotations

import re

MARKS = re.compile(r"([\\`*_{}\[\]()+!|~&:/-])")
JOINER = "\u2060"  # invisible: GitHub looks for mentions and references after it has rendered the escapes


def line(text: str) -> str:
    """One line of printable characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def plain(text: str) -> str:
    shown = MARKS.sub(r"\\\1", line(text)).replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("@", f"@{JOINER}").replace("#", f"#{JOINER}")


def address(text: str) -> str:
    """A link as it is, or nothing where it is none."""
    return f"<{text}>" if re.fullmatch(r"https?://[!#-;=?-~]+", text) else ""
