"""A policy with some values changed: `tool.repeated_error.errors_min=4` as the part of a policy file it stands for."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_PART = re.compile(r'"([^"]*)"|([^."=\s]+)')


class UnknownSetting(Exception):
    """No policy has such a value; the message says what was probably meant."""


def changes(settings: Iterable[str], schema: Schema) -> dict[str, Any]:
    """What the settings say, in the shape of a policy file. The last one wins. Raises UnknownSetting."""
    over: dict[str, Any] = {}
    for setting in settings:
        path, value = _setting(setting, schema)
        node = over
        for part in path[:-1]:
            below = node.get(part)
            node[part] = below = below if isinstance(below, dict) else {}
            node = below
        node[path[-1]] = value
    return over


def names(schema: Schema) -> list[str]:
    """Every value that can be set by a name of its own."""
    return sorted(".".join(path[1:] if path[0] == "detectors" else path) for path in _known(schema, schema, ()))


def _setting(setting: str, schema: Schema) -> tuple[tuple[str, ...], Any]:
    name, equals, text = setting.partition("=")
    parts = _parts(name.strip())
    if not equals or not parts:
        raise UnknownSetting(f"{setting!r} is not name=value, as in tool.repeated_error.errors_min=4")
    return _resolved(parts, schema, name.strip()), _value(text.strip())


def _parts(name: str) -> tuple[str, ...]:
    """The words between dots; a word in quotes may have dots in it."""
    found, at = [], 0
    while match := _PART.match(name, at):
        found.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if at == len(name):
            return tuple(found)
        if name[at] != ".":
            break
        at += 1
    return ()


def _value(text: str) -> Any:
    """As in a policy file; a word needs no quotes."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return found["value"] if len(found) == 1 else text


def _resolved(parts: tuple[str, ...], schema: Schema, name: str) -> tuple[str, ...]:
    """Where it stands in a policy file. A detector's name has dots in it and needs neither quotes nor `detectors.`"""
    root = _followed(schema, schema)
    detectors = root["properties"]["detectors"]["properties"]
    own = parts[1:] if parts[0] == "detectors" else parts
    for size in range(len(own), 0, -1):
        if (detector := ".".join(own[:size])) in detectors:
            if size == len(own):
                values = ", ".join(sorted(detectors[detector]["properties"]))
                raise UnknownSetting(f"`{detector}` is a detector; set one of its values: {values}")
            parts = ("detectors", detector, *own[size:])
            break
    if len(parts) > 1 and _leads(parts, root, schema):
        return parts
    known = names(schema)
    if ".".join(parts) in known:  # at the top, as `name`
        return parts
    close = difflib.get_close_matches(name.removeprefix("detectors."), known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else _some(detectors, root)
    raise UnknownSetting(f"unknown `{name}`; {hint}")


def _some(detectors: Iterable[str], root: Schema) -> str:
    rest = sorted(set(root["properties"]) - {"detectors"})
    return f"known detectors: {', '.join(sorted(detectors))}; other parts of a policy: {', '.join(rest)}"


def _leads(parts: tuple[str, ...], node: Schema, schema: Schema) -> bool:
    """Whether these words lead to a value that a policy may have."""
    for part in parts:
        properties, others = node.get("properties", {}), node.get("additionalProperties")
        if part in properties:
            node = _followed(properties[part], schema)
        elif isinstance(others, Mapping):
            node = _followed(others, schema)
        else:
            return False
    return True


def _followed(node: Schema, schema: Schema) -> Schema:
    """What a reference refers to; of a value that may be absent, what it is when it is not."""
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    options = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
    return _followed(options[0], schema) if len(options) == 1 else node


def _known(node: Schema, schema: Schema, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    node = _followed(node, schema)
    properties = node.get("properties", {})
    for name, below in properties.items():
        yield from _known(below, schema, (*path, name))
    if path and not properties:
        yield path
