"""Error messages of our own making: sixty templates as tools say them, with ids, names, paths and values that vary."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple


class Message(NamedTuple):
    template: int  # the truth: which trouble it is
    tool: str
    text: str


_TRACEBACK = 'Traceback (most recent call last):\n  File "{path}", line {int}, in {name}\n'

# By tool. `{name}` is a word of letters only, which nothing but a second look can tell from an ordinary word; some
# templates differ from another one in nothing but a word or a code, and must not be taken for it.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "http": (
        "HTTP 404 Not Found: {url}",
        "HTTP 500 Internal Server Error: {url}",
        "503 Service Unavailable (request {req})",
        "Request failed with status code 429, retry after {int} seconds",
        "Request {req} to {host}:{port} timed out after {int} ms",
        "getaddrinfo ENOTFOUND {host}",
        "Client error '401 Unauthorized' for url '{url}'",
        '{{"error": {{"code": 403, "message": "User {id} may not read {path}", "request_id": "{req}"}}}}',
        "connect ECONNREFUSED {ip}:{port}",
    ),
    "mcp": (
        "MCP error -32602: Invalid arguments for tool {name}: {field} is required",
        "MCP error -32601: Method {name} not found",
        "MCP error -32001: Request timed out (session {uuid})",
        "Tool {name} is not available on server {host}",
        "Error executing tool {name}: {int} validation errors for {Name}Arguments",
        "Resource {url} could not be read: permission denied",
        "Session {uuid} has expired, please reconnect",
    ),
    "sql": (
        'psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "{name}_pkey"',
        'relation "{name}" does not exist at character {int}',
        'column "{name}" of relation "{name}" does not exist',
        "no such table: {name}",
        "no such column: {name}",
        "connection to server at {ip}, port {port} failed: Connection refused",
        "ERROR 1064 (42000): You have an error in your SQL syntax near '{name}' at line {int}",
        "SQLSTATE[23503]: foreign key violation on table {name} (id={int})",
    ),
    "python": (
        f"{_TRACEBACK}KeyError: '{{name}}'",
        f"{_TRACEBACK}ModuleNotFoundError: No module named '{{name}}'",
        "AttributeError: '{Name}' object has no attribute '{name}'",
        "FileNotFoundError: [Errno 2] No such file or directory: '{path}'",
        "PermissionError: [Errno 13] Permission denied: '{path}'",
        "ValueError: invalid literal for int() with base 10: '{name}'",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='{host}', port={port}): Read timed out.",
        "Command exited with code 137 after {int} s",
        "Command exited with code 1 after {int} s",
    ),
    "git": (
        "fatal: not a git repository: {path}",
        "error: pathspec '{name}' did not match any file(s) known to git",
        "fatal: could not read from remote repository {url}",
        "error: failed to push some refs to '{url}' (commit {sha})",
        "CONFLICT (content): Merge conflict in {path}",
        "fatal: unable to create '{path}/.git/index.lock': File exists.",
    ),
    "browser": (
        "Timeout {int}ms exceeded waiting for selector #{name}-{int}",
        "net::ERR_NAME_NOT_RESOLVED at {url}",
        "Element {name} is not visible after {int} ms",
        "Element {name} is detached from frame {uuid}",
        "Navigation to {url} was interrupted by another navigation",
        "Execution context was destroyed, frame {sha}",
    ),
    "cloud": (
        "An error occurred (ThrottlingException) when calling the {Name} operation: Rate exceeded",
        "An error occurred (AccessDenied) when calling the {Name} operation: not authorized on arn:aws:s3:::{name}/{id}",
        "googleapi: Error 403: Quota exceeded for project {name}-{int}, rateLimitExceeded",
        "Pod {name}-{sha} in namespace {name} is in CrashLoopBackOff (restarts={int})",
        "The bucket {name} was not found in region {region}",
        "InsufficientInstanceCapacity for {name} in {region} ({date})",
    ),
    "desk": (
        "Issue {NAME}-{int} does not exist or you do not have permission to see it.",
        "Field customfield_{int} cannot be set. It is not on the appropriate screen, or unknown.",
        "slack.errors.SlackApiError: channel_not_found (channel {id})",
        "slack.errors.SlackApiError: ratelimited, retry_after={int}",
    ),
    "validation": (
        "Could not find user {name}",
        "Could not find order {name}",
        "Payment method {name}_{int} not found for user {email}",
        "Customer {name} not found",
        "Cabin class {name} must be one of economy, business, first",
    ),
}

_SYLLABLES = ("ka", "lo", "mi", "ren", "tos", "va", "bel", "dor", "ni", "sa", "pu", "ler", "qua", "zen", "hi", "or")
_REGIONS = ("eu-west-1", "us-east-2", "ap-south-1", "europe-west4")
_FIELDS = ("amount", "currency", "recipient", "deadline", "path", "query", "limit")


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_SYLLABLES) for _ in range(chance.randrange(2, 5)))


def _hex(chance: random.Random, size: int) -> str:
    return "".join(chance.choice("0123456789abcdef") for _ in range(size))


def _path(chance: random.Random) -> str:
    return "/" + "/".join(_word(chance) for _ in range(chance.randrange(2, 5))) + chance.choice((".py", ".json", ""))


def _host(chance: random.Random) -> str:
    return f"{_word(chance)}{chance.randrange(20)}.{_word(chance)}.example"


FILLERS: dict[str, Callable[[random.Random], str]] = {
    "url": lambda c: f"https://{_host(c)}{_path(c)}?page={c.randrange(90)}",
    "req": lambda c: f"req_{_hex(c, 16)}",
    "int": lambda c: str(c.randrange(1, 10 ** c.randrange(2, 6))),
    "port": lambda c: str(c.choice((80, 443, 5432, 8080, 27017))),
    "host": _host,
    "ip": lambda c: ".".join(str(c.randrange(1, 255)) for _ in range(4)),
    "id": lambda c: _hex(c, 3).upper() + str(c.randrange(10, 1000)),
    "uuid": lambda c: "-".join(_hex(c, size) for size in (8, 4, 4, 4, 12)),
    "path": _path,
    "name": _word,
    "Name": lambda c: _word(c).capitalize(),
    "NAME": lambda c: _word(c).upper(),
    "field": lambda c: c.choice(_FIELDS),
    "sha": lambda c: _hex(c, c.choice((7, 40))),
    "email": lambda c: f"{_word(c)}@{_word(c)}.example",
    "region": lambda c: c.choice(_REGIONS),
    "date": lambda c: f"2026-{c.randrange(1, 13):02}-{c.randrange(1, 29):02}T{c.randrange(24):02}:00:00Z",
}


class _Filled(dict[str, str]):
    """A new value for every place, also for two places of one name."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance

    def __missing__(self, name: str) -> str:
        return FILLERS[name](self.chance)


def messages(size: int, seed: int = 1) -> list[Message]:
    """Frequencies of templates are zipf's, in a random order of templates."""
    chance = random.Random(seed)
    templates = [(tool, text) for tool, texts in TEMPLATES.items() for text in texts]
    order = chance.sample(range(len(templates)), len(templates))
    weights = [1 / (rank + 1) for rank in range(len(order))]
    chosen = chance.choices(order, weights, k=size)
    return [Message(one, templates[one][0], templates[one][1].format_map(_Filled(chance))) for one in chosen]
