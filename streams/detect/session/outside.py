"""Where an agent reached beyond what the policy lets it use: tools, kinds of effects, files, hosts."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ...records import ToolCalled
from ..agents import AgentRules, matches

WRITING = ("write", "exec")
SHOWN_MAX = 3  # globs that a finding lists


class Beyond(NamedTuple):
    """One reach: `place` is what the finding is about, `name` all of it."""

    what: str  # tool, effect, path, host
    place: str
    name: str


def beyond(rules: AgentRules, record: ToolCalled) -> tuple[Beyond, ...]:
    """What of a call is outside; nothing where the policy says nothing."""
    return tuple(_beyond(rules, record))


def _beyond(rules: AgentRules, record: ToolCalled) -> Iterator[Beyond]:
    data = record.data
    if rules.tools is not None and not matches(data.tool.name, rules.tools) and not _on_server(rules.tools, record):
        yield Beyond("tool", data.tool.name, data.tool.name)
    if rules.effects is not None and data.effect is not None and not matches(data.effect.kind, rules.effects):
        yield Beyond("effect", data.effect.kind, data.effect.kind)
    if rules.paths is not None:
        for path in written(record):
            if not matches(path, rules.paths):
                yield Beyond("path", top(path), path)
    if rules.hosts is not None:
        for resource in data.resources or ():
            host = host_of(resource.uri) if resource.op == "net" else ""
            if host and not matches(host, rules.hosts):
                yield Beyond("host", host, host)


def _on_server(globs: list[str], record: ToolCalled) -> bool:
    tool = record.data.tool
    return tool.server is not None and matches(f"{tool.server}/{tool.name}", globs)


def written(record: ToolCalled) -> list[str]:
    """The files that a call wrote or executed, each once."""
    data = record.data
    found = [path_of(one.uri) for one in data.resources or () if one.op in WRITING]
    if data.effect is not None and (data.effect.target or "")[:5].lower() == "file:":  # others may be anything
        found.append(path_of(data.effect.target or ""))
    return list(dict.fromkeys(path for path in found if path))


def path_of(uri: str) -> str:
    """The path of a file, without `..` and escapes; empty for what is no file."""
    scheme, colon, rest = uri.partition(":")
    if len(scheme) == 1 and colon:  # a drive
        return _normal(uri.replace("\\", "/"))
    if colon and scheme.lower() == "file":
        rest = unquote(rest)
        if rest.startswith("//"):
            rest = rest[2:] if rest.startswith("///") else rest[2 + len(rest[2:].partition("/")[0]) :]
        return _normal(rest)
    if colon and not uri.startswith(("/", ".")) and "/" not in scheme:
        return ""
    return _normal(uri)


def _normal(path: str) -> str:
    return normpath(f"/{path.lstrip('/')}" if path.startswith("/") else path) if path else ""


def top(path: str) -> str:
    """The first two directories of a path: enough to say where, and the same for all the files there."""
    parts = path.split("/")
    depth = 3 if path.startswith("/") else 2
    return "/".join(parts[: min(depth, max(len(parts) - 1, depth - 1))]) or "/"


def host_of(uri: str) -> str:
    """The host of an address, in small letters; of `host:port` without a scheme, too."""
    try:
        return (urlsplit(uri if "://" in uri else f"//{uri}").hostname or "").rstrip(".")
    except ValueError:  # a bracket that does not close: no host that anybody could have allowed
        return uri[:256]


def allowed(rules: AgentRules, what: str) -> str:
    """As a finding says it."""
    globs = {"tool": rules.tools, "effect": rules.effects, "path": rules.paths, "host": rules.hosts}[what] or []
    more = f" and {len(globs) - SHOWN_MAX} more" if len(globs) > SHOWN_MAX else ""
    return f"{what}s that the policy names: {', '.join(globs[:SHOWN_MAX]) or 'none'}{more}"
