"""Slack's mrkdwn as HTML made of escaped text; mentions become names, what is not markup stays text."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from streams.sandbox.slack.state import Workspace

FENCE = re.compile(r"```(.+?)```", re.DOTALL)
SPAN = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|<(?P<angle>[^<>\n]+)>"
    r"|(?<![\w*])\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|(?<![\w~])~(?P<strike>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])"
    r"|:(?P<emoji>[a-z0-9_+-]+):"
)
EMOJI = {
    "rotating_light": "🚨", "warning": "⚠️", "white_check_mark": "✅", "x": "❌", "fire": "🔥", "bell": "🔔",
    "no_bell": "🔕", "ticket": "🎫", "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "mag": "🔍", "eyes": "👀",
    "red_circle": "🔴", "large_orange_circle": "🟠", "large_yellow_circle": "🟡", "large_green_circle": "🟢",
    "large_blue_circle": "🔵", "thread": "🧵", "link": "🔗", "chart_with_upwards_trend": "📈", "moneybag": "💰",
}  # fmt: skip
TAGS = {"bold": "strong", "italic": "em", "strike": "s"}


def html(text: str, workspace: Workspace) -> Markup:
    parts: list[Markup] = []
    for place, part in enumerate(FENCE.split(text)):
        if place % 2:
            parts.append(Markup('<pre tabindex="0"><code>{}</code></pre>').format(unescaped(part.strip("\n"))))
        elif part:
            parts.append(_lines(part, workspace))
    return Markup('<div class="text">{}</div>').format(Markup().join(parts))


def plain(text: str) -> Markup:
    """A plain_text object: nothing in it is markup, but emoji have names."""
    return Markup(r'<span class="text">{}</span>').format(re.sub(SPAN, lambda m: _emoji(m["emoji"], m[0]), text))


def unescaped(text: str) -> str:
    """Only these three are escaped in Slack."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _lines(text: str, workspace: Workspace) -> Markup:
    """Consecutive lines that begin with a bracket are one quotation."""
    parts: list[Markup] = []
    quoted = re.compile(r"(?:^(?:&gt;|>)[^\n]*(?:\n|$))+", re.MULTILINE)
    place = 0
    for found in quoted.finditer(text):
        if not found[0]:
            continue
        parts.append(_spans(text[place : found.start()], workspace))
        inner = re.sub(r"^(?:&gt;|>) ?", "", found[0].rstrip("\n"), flags=re.MULTILINE)
        parts.append(Markup("<blockquote>{}</blockquote>").format(_spans(inner, workspace)))
        place = found.end()
    parts.append(_spans(text[place:], workspace))
    return Markup().join(parts)


def _spans(text: str, workspace: Workspace) -> Markup:
    parts: list[Markup] = []
    place = 0
    for found in SPAN.finditer(text):
        parts.extend([escape(unescaped(text[place : found.start()])), _span(found, workspace)])
        place = found.end()
    parts.append(escape(unescaped(text[place:])))
    return Markup().join(parts)


def _span(found: re.Match[str], workspace: Workspace) -> Markup:
    kind, inner = str(found.lastgroup), found[str(found.lastgroup)]
    match kind:
        case "code":
            return Markup("<code>{}</code>").format(unescaped(inner))
        case "angle":
            return _angle(inner, workspace)
        case "emoji":
            return escape(_emoji(inner, found[0]))
    return Markup("<{tag}>{inner}</{tag}>").format(tag=TAGS[kind], inner=_spans(inner, workspace))


def _emoji(name: str | None, otherwise: str) -> str:
    return EMOJI.get(name or "", otherwise)


def _angle(inner: str, workspace: Workspace) -> Markup:
    """A mention, a link, or nothing that Slack knows: then it stays what it says."""
    target, _, label = inner.partition("|")
    for sign, name in MENTIONS.items():
        if target.startswith(sign) and (shown := name(target.removeprefix(sign), workspace)):
            return Markup('<span class="mention">{}</span>').format(shown)
    if target.startswith("!date^") and label:
        return escape(unescaped(label))
    if urlsplit(target).scheme in {"http", "https", "mailto"}:
        url = unescaped(target)
        return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(url, unescaped(label) or url)
    return escape(f"<{unescaped(inner)}>")


def _person(number: str, workspace: Workspace) -> str | None:
    person = workspace.people.get(number)
    return f"@{person.full_name}" if person else None


def _group(number: str, workspace: Workspace) -> str | None:
    group = workspace.groups.get(number)
    return f"@{group.handle}" if group else None


def _channel(number: str, workspace: Workspace) -> str | None:
    channel = workspace.channels.get(number)
    return f"#{channel.name}" if channel else None


def _everybody(name: str, _: Workspace) -> str | None:
    return f"@{name}" if name in {"channel", "here", "everyone"} else None


MENTIONS: dict[str, Callable[[str, Workspace], str | None]] = {
    "@": _person,
    "!subteam^": _group,
    "#": _channel,
    "!": _everybody,
}
