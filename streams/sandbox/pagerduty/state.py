"""The alerts of a sandbox PagerDuty: one open one per routing key and dedup key, whatever is sent how often."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from streams.sandbox.journal import Journal

Status = Literal["triggered", "acknowledged", "resolved"]
KEY_MAX = 255
SUMMARY_MAX = 1024
SEVERITIES = {"critical", "error", "warning", "info"}
PAYLOAD = {"summary", "source", "severity"}


class Entry(msgspec.Struct, array_like=True):
    """One line of an alert's log."""

    at: datetime
    what: str
    by: str


class Alert(msgspec.Struct, omit_defaults=True):
    number: int
    service: str  # its routing key is never shown
    key: str
    status: Status
    event: dict[str, Any]  # the newest trigger
    opened: datetime
    log: list[Entry] = []

    @property
    def summary(self) -> str:
        return str(self.event["payload"]["summary"])

    @property
    def severity(self) -> str:
        return str(self.event["payload"]["severity"])


class Person(NamedTuple):
    id: str
    name: str
    email: str
    level: int = 1


class Book:
    """The newest line of the journal about an alert is the alert."""

    def __init__(self, path: Path | None) -> None:
        self.alerts: dict[int, Alert] = {}  # in the order of their numbers
        self.schedules: dict[str, list[Person]] = {}
        self._open: dict[tuple[str, str], Alert] = {}
        self._journal = Journal(path)
        for raw in self._journal.read():
            self._put(msgspec.json.decode(raw, type=Alert))

    def close(self) -> None:
        self._journal.close()

    def open_one(self, service: str, key: str) -> Alert | None:
        return self._open.get((service, key))

    def accept(self, service: str, event: dict[str, Any], key: str) -> None:
        """An event that follows the specification. What fits no open alert is dropped, unless it is a trigger."""
        alert, action = self.open_one(service, key), event["event_action"]
        if action == "trigger":
            self._trigger(alert, service, event, key)
        elif alert is not None:
            self.put(alert, "acknowledged" if action == "acknowledge" else "resolved", "the API")

    def _trigger(self, alert: Alert | None, service: str, event: dict[str, Any], key: str) -> None:
        kept = {name: value for name, value in event.items() if name != "routing_key"}
        now = datetime.now(UTC)
        if alert is None:
            alert = Alert(len(self.alerts) + 1, service, key, "triggered", kept, now)
        alert.event = kept
        alert.log.append(Entry(now, "triggered", "the API"))
        self._keep(alert)

    def put(self, alert: Alert, status: Status, by: str) -> None:
        alert.status = status
        alert.log.append(Entry(datetime.now(UTC), status, by))
        self._keep(alert)

    def _keep(self, alert: Alert) -> None:
        self._put(alert)
        self._journal.append(alert)

    def _put(self, alert: Alert) -> None:
        self.alerts[alert.number] = alert
        if alert.status == "resolved":
            self._open.pop((alert.service, alert.key), None)
        else:
            self._open[alert.service, alert.key] = alert


def complaints(event: Any) -> list[str]:
    """Why the specification does not have it; none: it does."""
    if not isinstance(event, dict):
        return ["JSON parse error"]
    found = []
    action, key = event.get("event_action"), event.get("dedup_key")
    if not isinstance(event.get("routing_key"), str):
        found.append("'routing_key' is missing or blank")
    if action not in {"trigger", "acknowledge", "resolve"}:
        found.append("'event_action' is missing or invalid")
    if key is None and action in {"acknowledge", "resolve"}:
        found.append("'dedup_key' is missing or blank")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= KEY_MAX):
        found.append("Length of 'dedup_key' is incorrect (should be at most 255 characters)")
    return found + (_payload(event.get("payload")) if action == "trigger" else []) + _links(event.get("links", []))


def _payload(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    found = [
        f"'payload.{name}' is missing or blank"
        for name in sorted(PAYLOAD)
        if not (isinstance(payload.get(name), str) and payload[name].strip())
    ]
    if isinstance(payload.get("summary"), str) and len(payload["summary"]) > SUMMARY_MAX:
        found.append("Length of 'payload.summary' is incorrect (should be at most 1024 characters)")
    if isinstance(payload.get("severity"), str) and payload["severity"] not in SEVERITIES:
        found.append("'payload.severity' is invalid (must be one of: critical, error, warning, info)")
    if not isinstance(payload.get("custom_details", {}), dict):
        found.append("'payload.custom_details' is invalid")
    return found


def _links(links: Any) -> list[str]:
    if not isinstance(links, list):
        return ["'links' is invalid"]
    well = all(isinstance(one, dict) and isinstance(one.get("href"), str) for one in links)
    return [] if well else ["'links.href' is missing or blank"]
