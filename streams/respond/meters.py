"""What respond counts: answers of the outside, what waits for them, what the book could not use."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from ..records import Answer

_LABELS = ("receiver", "kind", "answer")


class Meters:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter("tocsin_answers", "Answers of receivers to calls", _LABELS, registry=registry)
        self._asked = Counter(
            "tocsin_asked", "Unanswered calls asked about, by what was found", _LABELS, registry=registry
        )
        self._retired = Counter("tocsin_tickets_retired", "Doubled tickets closed", ("receiver",), registry=registry)
        self._owed = Gauge("tocsin_obligations", "Obligations by state", ("receiver", "state"), registry=registry)
        self._age = Gauge(
            "tocsin_obligations_age_seconds", "Of the oldest one", ("receiver", "state"), registry=registry
        )
        self._settled = Counter("tocsin_settled", "Inputs of the incident book", ("input",), registry=registry)
        self._letters = Counter("tocsin_book_deadletters", "Inputs it could not use", ("reason",), registry=registry)
        self._unconfigured = Gauge(
            "tocsin_receiver_missing", "1: it has no address or token", ("receiver",), registry=registry
        )

        self._alone = Gauge(
            "tocsin_receiver_left_alone", "1: nothing is sent for a while", ("receiver", "reason"), registry=registry
        )

        self._broken = Gauge(
            "tocsin_promise_broken", "Promises to people that are broken", ("what",), registry=registry
        )
        self._beats = Counter(
            "tocsin_outside_heartbeats", "Signs of life to an outside address", ("answer",), registry=registry
        )
        self._canary_s = Gauge(
            "tocsin_canary_seconds", "From the last made-up finding to its page and ticket", registry=registry
        )
        self._canary_at = Gauge("tocsin_canary_success_seconds", "When one last arrived, Unix time", registry=registry)

        self._waiting = Gauge(
            "tocsin_waiting", "1: the loop waits for what it needs", ("loop", "for"), registry=registry
        )

    def waits(self, loop: str, what: str = "") -> None:
        """For PostgreSQL or Kafka; by default for nobody. `/ready` says so."""
        for one in ("PostgreSQL", "Kafka"):
            self._waiting.labels(loop, one).set(one == what)

    def broken(self, what: str, count: int) -> None:
        self._broken.labels(what).set(count)

    def beaten(self, answer: str) -> None:
        self._beats.labels(answer).inc()

    def drilled(self, seconds: float, at: float) -> None:
        self._canary_s.set(seconds)
        self._canary_at.set(at)

    def left_alone(self, receiver: str, why: str) -> None:
        for reason in ("trouble", "quota", "credentials"):
            self._alone.labels(receiver, reason).set(reason == why)

    def answered(self, receiver: str, kind: str, answer: Answer) -> None:
        self._answers.labels(receiver, kind, answer.__struct_config__.tag).inc()

    def asked(self, receiver: str, kind: str, found: str) -> None:
        self._asked.labels(receiver, kind, found).inc()

    def retired(self, receiver: str, count: int) -> None:
        self._retired.labels(receiver).inc(count)

    def settled(self, what: str, count: int) -> None:
        self._settled.labels(what).inc(count)

    def letter(self, reason: str) -> None:
        self._letters.labels(reason).inc()

    def waiting(self, found: list[tuple[str, str, int, float]]) -> None:
        """Receiver, state, how many, age of the oldest; what is not listed is none."""
        self._owed.clear()
        self._age.clear()
        for receiver, state, count, age in found:
            self._owed.labels(receiver, state).set(count)
            if state != "refused":
                self._age.labels(receiver, state).set(age)

    def missing(self, receiver: str, *, missing: bool) -> None:
        self._unconfigured.labels(receiver).set(missing)
