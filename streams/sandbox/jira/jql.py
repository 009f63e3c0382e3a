"""The part of JQL that the sandbox understands; everything else is refused in words."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from streams.sandbox.jira.catalogue import CATEGORIES, KINDS, PRIORITIES, RESOLUTIONS, STATUSES
from streams.sandbox.jira.ticket import Ticket

Test = Callable[[Ticket], bool]

TOKEN = re.compile(
    r"""\s*(?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'"""
    r"""|(?P<sign>!=|>=|<=|!~|[=<>~(),])|(?P<word>[^\s()=!<>~,"']+))"""
)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
EMPTY = {"empty", "null"}


class Token(NamedTuple):
    kind: str  # word, text, sign
    text: str

    @property
    def word(self) -> str:
        return self.text.lower() if self.kind == "word" else ""


class Query(NamedTuple):
    test: Test
    order: tuple[tuple[str, bool], ...]  # field, descending

    def sort(self, tickets: list[Ticket]) -> list[Ticket]:
        found = sorted(filter(self.test, tickets), key=lambda ticket: ticket.id, reverse=True)
        for field, descending in reversed(self.order):
            found.sort(key=partial(_sortable, field), reverse=descending)
        return found


class BadJql(ValueError):
    """What Jira answers with 400."""


def parse(text: str, now: datetime, projects: set[str]) -> Query:
    reader = _Reader(text, now, projects)
    if reader.at_end() or reader.peek().word == "order":
        raise BadJql("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
    test = reader.either()
    order = reader.order()
    if not reader.at_end():
        raise BadJql(f"Error in the JQL Query: Expecting either 'OR' or 'AND' but got '{reader.peek().text}'.")
    return Query(test, order)


class _Reader:
    def __init__(self, text: str, now: datetime, projects: set[str]) -> None:
        self._tokens = _tokens(text)
        self._place = 0
        self._now = now
        self._projects = projects

    def at_end(self) -> bool:
        return self._place >= len(self._tokens)

    def peek(self) -> Token:
        return Token("sign", "the end") if self.at_end() else self._tokens[self._place]

    def take(self) -> Token:
        token = self.peek()
        if self.at_end():
            raise BadJql("Error in the JQL Query: the query ends too early.")
        self._place += 1
        return token

    def took(self, text: str) -> bool:
        token = self.peek()
        if token.kind == "text" or token.text.lower() != text:
            return False
        self._place += 1
        return True

    def either(self) -> Test:
        tests = [self.both()]
        while self.took("or"):
            tests.append(self.both())
        return lambda ticket: any(test(ticket) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.took("and"):
            tests.append(self.one())
        return lambda ticket: all(test(ticket) for test in tests)

    def one(self) -> Test:
        if self.took("not"):
            inner = self.one()
            return lambda ticket: not inner(ticket)
        if self.took("("):
            inner = self.either()
            if not self.took(")"):
                raise BadJql(f"Error in the JQL Query: Expecting ')' but got '{self.peek().text}'.")
            return inner
        return self.clause()

    def clause(self) -> Test:
        field = self.take().text.lower()
        field = {"issue": "key", "issuekey": "key", "type": "issuetype", "createddate": "created"}.get(field, field)
        if field in {"created", "updated"}:
            return self._when(field)
        if field not in VALUES:
            raise BadJql(f"Field '{field}' does not exist or you do not have permission to view it.")
        negated, wanted = self._wanted(field)
        if field == "project" and (unknown := wanted - {key.lower() for key in self._projects}):
            raise BadJql(f"The value '{min(unknown)}' does not exist for the field 'project'.")
        values = VALUES[field]
        if negated:
            # As in Jira: what has no value is found by no inequality, except through IS NOT EMPTY.
            return lambda ticket: bool(values(ticket)) and not values(ticket) & wanted
        return lambda ticket: bool((values(ticket) or EMPTY) & wanted)

    def _wanted(self, field: str) -> tuple[bool, set[str]]:
        operator = self.take()
        match operator.text.lower():
            case "=" | "!=" as sign:
                return sign == "!=", {self._text(field, self.take())}
            case "in":
                return False, self._list(field)
            case "not" if self.took("in"):
                return True, self._list(field)
            case "is":
                negated = self.took("not")
                if self.take().word not in EMPTY:
                    raise BadJql("Error in the JQL Query: IS needs EMPTY or NULL.")
                return negated, EMPTY
        raise BadJql(f"The operator '{operator.text}' is not supported by the '{field}' field.")

    def _list(self, field: str) -> set[str]:
        if not self.took("("):
            raise BadJql("Error in the JQL Query: Expecting '(' after IN.")
        wanted = {self._text(field, self.take())}
        while self.took(","):
            wanted.add(self._text(field, self.take()))
        if not self.took(")"):
            raise BadJql("Error in the JQL Query: Expecting ')' at the end of a list.")
        return wanted

    def _text(self, field: str, token: Token) -> str:
        if token.kind == "sign":
            raise BadJql(f"Error in the JQL Query: Expecting a value but got '{token.text}'.")
        return token.text if field == "labels" else token.text.lower()

    def _when(self, field: str) -> Test:
        sign = self.take().text
        limit = self._moment(self.take().text)
        match sign:
            case ">=":
                return lambda ticket: _at(ticket, field) >= limit
            case ">":
                return lambda ticket: _at(ticket, field) > limit
            case "<=":
                return lambda ticket: _at(ticket, field) <= limit
            case "<":
                return lambda ticket: _at(ticket, field) < limit
        raise BadJql(f"The operator '{sign}' is not supported by the '{field}' field.")

    def _moment(self, text: str) -> datetime:
        if relative := re.fullmatch(r"([+-]?)(\d+)([mhdw])", text):
            sign, count, unit = relative.groups()
            return self._now + (-1 if sign == "-" else 1) * int(count) * UNITS[unit]
        try:
            return datetime.fromisoformat(text.replace("/", "-")).replace(tzinfo=UTC)
        except ValueError:
            raise BadJql(f"Date value '{text}' is invalid. Valid formats: 'yyyy-MM-dd HH:mm', '-15m', '-2d'.") from None

    def order(self) -> tuple[tuple[str, bool], ...]:
        if not self.took("order"):
            return ()
        if not self.took("by"):
            raise BadJql("Error in the JQL Query: Expecting BY after ORDER.")
        order: list[tuple[str, bool]] = []
        while not order or self.took(","):
            field = self.take().text.lower()
            if field not in {"key", "issuekey", "id", "created", "updated", "priority", "status"}:
                raise BadJql(f"Field '{field}' does not exist or you cannot sort by it.")
            descending = self.took("desc")
            _ = descending or self.took("asc")
            order.append((field, descending))
        return tuple(order)


def _tokens(text: str) -> list[Token]:
    tokens, place, text = [], 0, text.rstrip()
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise BadJql(f"Error in the JQL Query: The character '{text[place]}' is not expected here.")
        kind = str(found.lastgroup)
        quoted = re.sub(r"\\(.)", r"\1", found[kind])
        tokens.append(Token("text", quoted) if kind in {"double", "single"} else Token(kind, found[kind]))
        place = found.end()
    return tokens


def _at(ticket: Ticket, field: str) -> datetime:
    return datetime.fromisoformat(getattr(ticket, field))


def _sortable(field: str, ticket: Ticket) -> Any:
    if field in {"key", "issuekey"}:
        return ticket.project, ticket.number
    return getattr(ticket, field)


def _status(ticket: Ticket) -> set[str]:
    return {ticket.status, STATUSES[ticket.status][0].lower()}


def _category(ticket: Ticket) -> set[str]:
    key = STATUSES[ticket.status][1]
    return {key, CATEGORIES[key][1].lower(), str(CATEGORIES[key][0])}


VALUES: dict[str, Callable[[Ticket], set[str]]] = {
    "labels": lambda ticket: set(ticket.labels),
    "key": lambda ticket: {ticket.key.lower(), str(ticket.id)},
    "id": lambda ticket: {str(ticket.id), ticket.key.lower()},
    "project": lambda ticket: {ticket.project.lower()},
    "status": _status,
    "statuscategory": _category,
    "priority": lambda ticket: {ticket.priority, PRIORITIES[ticket.priority].lower()},
    "issuetype": lambda ticket: {ticket.kind, KINDS[ticket.kind].lower()},
    "resolution": lambda ticket: {RESOLUTIONS[ticket.resolution].lower()} if ticket.resolution else set(),
    "outcome": lambda ticket: {ticket.outcome} if ticket.outcome else set(),
    "assignee": lambda ticket: {ticket.assignee.lower()} if ticket.assignee else set(),
}
