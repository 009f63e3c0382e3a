"""What a create, an edit and a transition may say: JSON values become a ticket's attributes or Jira's own refusals."""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from streams.sandbox.jira import adf
from streams.sandbox.jira.catalogue import FIELDS, KINDS, OUTCOME, OUTCOMES, PRIORITIES, RESOLUTIONS, people
from streams.sandbox.jira.state import Book
from streams.sandbox.jira.ticket import Ticket

TEXT_LIMIT = 32_767


class Refused(Exception):
    """An answer in Jira's shape instead of the effect."""

    def __init__(self, status: int, messages: list[str] | None = None, errors: dict[str, str] | None = None) -> None:
        super().__init__(status, messages, errors)
        self.status = status
        self.body = {"errorMessages": messages or [], "errors": errors or {}}


class Wrong(ValueError):
    """What is wrong with one value, in words."""


class Screen(NamedTuple):
    """Where values come from: which API, which project, which screen."""

    book: Book
    project: str
    api: str  # "2" or "3": what a description looks like
    allowed: frozenset[str]
    cloud: bool = True


def read(screen: Screen, fields: Any) -> dict[str, Any]:
    """All values, or every error at once, as Jira answers."""
    if not isinstance(fields, dict):
        raise Refused(400, ["Field values must be an object"])
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, given in fields.items():
        try:
            values |= _value(screen, name, given)
        except Wrong as error:
            errors[name] = str(error)
    if errors:
        raise Refused(400, errors=errors)
    return values


def _value(screen: Screen, name: str, given: Any) -> dict[str, Any]:
    if name in {"project", "issuetype"} and name not in screen.allowed:
        return {}  # Jira lets an edit repeat them
    reader = READERS.get(name)
    if reader is None or name not in screen.allowed:
        raise Wrong(f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown.")
    attribute, value = reader(screen, given)
    return {attribute: value} if attribute else {}


def summary(_: Screen, given: Any) -> tuple[str, Any]:
    if not isinstance(given, str):
        raise Wrong("Operation value must be a string")
    if not given.strip():
        raise Wrong("You must specify a summary of the issue.")
    if "\n" in given or "\r" in given:
        raise Wrong("The summary is invalid because it contains newline characters.")
    if len(given) > 255:
        raise Wrong("Summary can't exceed 255 characters.")
    return "summary", given


def text(screen: Screen, given: Any) -> Any:
    """A description or a comment: a document in version 3, a string in version 2."""
    if screen.api == "3":
        if given is not None and (trouble := adf.wrong(given)):
            shape = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
            raise Wrong(f"{shape}: {trouble}")
    elif not isinstance(given, str | None):
        raise Wrong("Operation value must be a string")
    if len(adf.plain(given)) > TEXT_LIMIT:
        raise Wrong("The entered text is too long. It exceeds the allowed limit of 32,767 characters.")
    return given


def said(screen: Screen, comment: Any) -> Any:
    """The body of a comment, wherever a comment may be."""
    try:
        written = text(screen, comment.get("body")) if isinstance(comment, dict) else None
    except Wrong as error:
        raise Refused(400, errors={"comment": str(error)}) from None
    if not written:
        raise Refused(400, errors={"comment": "Comment body can not be empty!"})
    return written


def description(screen: Screen, given: Any) -> tuple[str, Any]:
    return "description", text(screen, given)


def labels(_: Screen, given: Any) -> tuple[str, Any]:
    if not isinstance(given, list):
        raise Wrong("data was not an array")
    return "labels", list(dict.fromkeys(map(_label, given)))


def _label(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise Wrong("string expected at index 0")
    if any(sign.isspace() for sign in given):
        raise Wrong(f"The label '{given}' contains spaces which is invalid.")
    if len(given) > 255:
        raise Wrong(f"The label '{given[:20]}...' exceeds the maximum length for a single label: 255 characters.")
    return given


def _named(given: Any, known: dict[str, str], complaint: str, key: str = "name") -> str:
    """The id of something given as {"id"} or {"name"}."""
    if isinstance(given, dict):
        for number, name in known.items():
            if str(given.get("id", "")) == number or given.get(key) == name:
                return number
    raise Wrong(complaint)


def priority(_: Screen, given: Any) -> tuple[str, Any]:
    return "priority", _named(given, PRIORITIES, "The priority selected is invalid.")


def resolution(_: Screen, given: Any) -> tuple[str, Any]:
    return "resolution", _named(given, RESOLUTIONS, "The resolution selected is invalid.")


def kind(_: Screen, given: Any) -> tuple[str, Any]:
    return "kind", _named(given, KINDS, "Specify a valid issue type")


def project(screen: Screen, given: Any) -> tuple[str, Any]:
    numbers = {number: key for key, number in screen.book.projects.items()}
    return "project", numbers[_named(given, numbers, "valid project is required", "key")]


def assignee(screen: Screen, given: Any) -> tuple[str, Any]:
    if given is None:
        return "assignee", None
    names = ("accountId", "id") if screen.cloud else ("name",)
    wanted = next((given[name] for name in names if given.get(name)), None) if isinstance(given, dict) else None
    person = people(str(wanted))
    if person is None or (screen.cloud and person.id != wanted):
        raise Wrong(f"User '{wanted}' cannot be assigned issues.")
    return "assignee", person.id


def outcome(_: Screen, given: Any) -> tuple[str, Any]:
    if given is None:
        return "outcome", None
    shown = given.get("value", given.get("id")) if isinstance(given, dict) else given
    return "outcome", OUTCOMES[_named(given, OUTCOMES, f"Option value '{shown}' is not valid", "value")]


def due(_: Screen, given: Any) -> tuple[str, Any]:
    if given is None:
        return "due", None
    try:
        date.fromisoformat(given)
    except (TypeError, ValueError):
        raise Wrong("Operation value must be a string in the format yyyy-MM-dd") from None
    return "due", given


def versions(screen: Screen, given: Any) -> tuple[str, Any]:
    if not isinstance(given, list):
        raise Wrong("data was not an array")
    return "versions", list(dict.fromkeys(version(screen, one) for one in given))


def version(screen: Screen, given: Any) -> str:
    shown = given.get("name", given.get("id")) if isinstance(given, dict) else given
    return _named(given, screen.book.versions[screen.project], f"Version name '{shown}' is not valid")


READERS: dict[str, Callable[[Screen, Any], tuple[str, Any]]] = {
    "summary": summary,
    "description": description,
    "labels": labels,
    "priority": priority,
    "assignee": assignee,
    "issuetype": kind,
    "project": project,
    "duedate": due,
    "fixVersions": versions,
    "resolution": resolution,
    OUTCOME: outcome,
}


def updated(screen: Screen, ticket: Ticket, update: Any) -> dict[str, Any]:
    """The `update` form: a list of add, remove and set per field. Comments are the caller's business."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, operations in update.items():
        try:
            values |= _operated(screen, ticket, name, operations)
        except Wrong as error:
            errors[name] = str(error)
    if errors:
        raise Refused(400, errors=errors)
    return values


def _operated(screen: Screen, ticket: Ticket, name: str, operations: Any) -> dict[str, Any]:
    if name not in screen.allowed or name not in FIELDS:
        raise Wrong(f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown.")
    values: dict[str, Any] = {}
    current = list(ticket.labels if name == "labels" else ticket.versions)
    for operation in operations if isinstance(operations, list) else [None]:
        if not isinstance(operation, dict) or len(operation) != 1:
            raise Wrong("an operation has exactly one verb")
        verb, given = next(iter(operation.items()))
        if verb not in FIELDS[name].operations:
            raise Wrong(f"Operation '{verb}' is not supported for field '{name}'")
        if verb == "set":
            values |= _value(screen, name, given)
            current = next(iter(values.values())) if name in {"labels", "fixVersions"} else current
        else:
            one = _label(given) if name == "labels" else version(screen, given)
            rest = [known for known in current if known != one]
            current = [*rest, one] if verb == "add" else rest
            values[{"labels": "labels", "fixVersions": "versions"}[name]] = current
    return values
