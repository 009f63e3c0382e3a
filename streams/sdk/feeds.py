"""Where a breaker hears of controls: the control topic, the API for whoever has no Kafka, or a test."""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import threading
import urllib.error
import urllib.parse
import urllib.request
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..records.control import Control, ControlBeat
from ..records.signing import genuine
from .rules import Given

if TYPE_CHECKING:
    from .breaker import Breaker

log = logging.getLogger(__name__)

TOPIC = "tocsin.control"
POLL_S = 0.2
BATCH_MAX = 500
PAUSE_S, PAUSE_S_MAX = 1.0, 30.0
LONG_POLL_S = 20.0  # less than a breaker waits for a sign of life
ANSWER_S = 10.0  # beyond the long poll
BODY_BYTES_MAX = 64 * 1024 * 1024
END_S = 5.0


class Unreadable(Exception):
    """What answered is not Tocsin's API, or not signed as it should be."""


class Pausing:
    """1 s doubling to 30 s, spread: a thousand agents do not come back in the same moment."""

    def __init__(self, first_s: float = PAUSE_S, longest_s: float = PAUSE_S_MAX) -> None:
        self._first_s, self._longest_s, self._s = first_s, longest_s, first_s

    def next_s(self) -> float:
        now_s, self._s = self._s, min(self._s * 2, self._longest_s)
        return now_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def over(self) -> None:
        self._s = self._first_s


class Threaded:
    """A feed's thread: tries for ever, never ends the agent, never keeps it from ending."""

    trouble: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, pausing: Pausing | None = None) -> None:
        self._pausing = pausing or Pausing()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._breaker: Breaker | None = None

    def start(self, breaker: Breaker) -> None:
        if self._breaker is None and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_again(weakref.ref(self)))
        self._breaker = breaker
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(breaker,), name="tocsin-breaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(END_S)

    def forked(self) -> None:
        """A child has no thread of its parent's: its breaker would hear nothing any more."""
        if self._thread is None or self._breaker is None or self._stopping.is_set():
            return
        self._stopping = threading.Event()
        self._breaker.forked()
        self.start(self._breaker)

    def session(self, breaker: Breaker) -> None:
        """Until it is to stop, or raises."""
        raise NotImplementedError

    def _run(self, breaker: Breaker) -> None:
        while not self._stopping.is_set():
            try:
                self.session(breaker)
            except self.trouble as error:
                log.warning("controls: %s; trying again", type(error).__name__)
            except Exception:
                log.exception("controls cannot be read; trying again")
            self._stopping.wait(self._pausing.next_s())


def _again(feed: weakref.ref[Threaded]) -> Callable[[], None]:
    def begin() -> None:
        if (found := feed()) is not None:
            found.forked()

    return begin


class KafkaFeed(Threaded):
    """The whole control topic, by an assignment of its own: every process needs every message.

    `more`: further settings of librdkafka, among them those of TLS, client certificates and SASL.
    """

    def __init__(
        self, bootstrap: str, topic: str = TOPIC, more: Mapping[str, Any] | None = None, pausing: Pausing | None = None
    ) -> None:
        super().__init__(pausing)
        import confluent_kafka  # noqa: PLC0415 - whoever uses another feed need not have it

        self._kafka: Any = confluent_kafka
        self.trouble = (OSError, confluent_kafka.KafkaException)
        self._topic = topic
        self._given: dict[str, Any] = {
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 2000,
            "allow.auto.create.topics": False,
            **(more or {}),
            "bootstrap.servers": bootstrap,
            "group.id": "tocsin-breaker",  # the client wants a name; nothing is ever committed under it
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",  # a topic that was made anew is read anew
        }

    def session(self, breaker: Breaker) -> None:
        consumer = self._kafka.Consumer(self._given, logger=log)
        try:
            missing = self._assigned(consumer)
            self._pausing.over()
            if not missing:
                breaker.ready()
            while not self._stopping.is_set():
                self._read(consumer, breaker, missing)
        finally:
            consumer.close()

    def _assigned(self, consumer: Any) -> dict[int, int]:
        """From the beginning. Answers the ends as they are now: what is behind them is to be applied before it is ready."""
        described = consumer.list_topics(self._topic, timeout=ANSWER_S).topics[self._topic]
        if described.error is not None:
            raise self._kafka.KafkaException(described.error)
        parts = [self._kafka.TopicPartition(self._topic, number, 0) for number in described.partitions]
        ends = {}
        for part in parts:
            low, high = consumer.get_watermark_offsets(part, timeout=ANSWER_S)
            part.offset = low
            if high > low:
                ends[part.partition] = high
        consumer.assign(parts)
        return ends

    def _read(self, consumer: Any, breaker: Breaker, missing: dict[int, int]) -> None:
        first = consumer.poll(POLL_S)  # `consume` would wait for a whole batch as long as it may
        messages = [first, *consumer.consume(BATCH_MAX, 0.0)] if first is not None else []
        for message in messages:
            if message.error() is not None:
                raise self._kafka.KafkaException(message.error())
        if messages:
            keyed = ((message.key() or b"", message.value()) for message in messages)
            breaker.apply(Given(key.decode(errors="replace"), value) for key, value in keyed)
        if missing:
            self._reached(consumer, missing)
            if not missing:
                breaker.ready()

    def _reached(self, consumer: Any, missing: dict[int, int]) -> None:
        """By position, not by the last message: compaction leaves ends without one."""
        parts = [self._kafka.TopicPartition(self._topic, number) for number in missing]
        for part in consumer.position(parts):
            if part.offset >= missing[part.partition]:
                del missing[part.partition]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect leads to a login page, and a login page is no control."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HttpFeed(Threaded):
    """`GET /v1/controls`, which answers when something changes. With a key whole documents are checked."""

    trouble = (OSError, http.client.HTTPException, Unreadable, ValueError)

    def __init__(
        self,
        url: str,
        *,
        key: bytes = b"",
        token: str = "",
        wait_s: float = LONG_POLL_S,
        pausing: Pausing | None = None,
    ) -> None:
        super().__init__(pausing)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url} is not an http address")
        self._url, self._key, self._wait_s = f"{url.rstrip('/')}/v1/controls", key, wait_s
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._etag, self._seq = "", -1

    def session(self, breaker: Breaker) -> None:
        self._etag, self._seq = "", -1
        while not self._stopping.is_set():
            self._ask(breaker)
            self._pausing.over()

    def _ask(self, breaker: Breaker) -> None:
        query = {"wait": f"{self._wait_s:g}", "since": str(self._seq)} if self._etag else {}
        where = f"{self._url}?{urllib.parse.urlencode(query)}" if query else self._url
        # What is not changed bears no signature: with a key the document itself is wanted each time.
        unless = {"If-None-Match": self._etag} if self._etag and not self._key else {}
        request = urllib.request.Request(where, headers={**self._headers, **unless})  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=self._wait_s + ANSWER_S) as answer:
                self._told(breaker, answer.read(BODY_BYTES_MAX), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 304:
                    raise
                self._beat(breaker, int(error.headers.get("Tocsin-Beat", "0")))

    def _told(self, breaker: Breaker, body: bytes, headers: Any) -> None:
        if self._key and not genuine(body, self._key):
            raise Unreadable("the document is not signed with our key")
        document = json.loads(body)
        if not isinstance(document, dict) or document.get("schema") != "controls/v1":
            raise Unreadable("what answered is not Tocsin's API")
        seq = int(document["seq"])
        if seq < self._seq:
            raise Unreadable("the document is older than the one before")
        breaker.replace(msgspec.convert(document["controls"], tuple[Control, ...]))
        self._seq, self._etag = seq, headers.get("ETag") or "-"
        self._beat(breaker, int(document["beat"]))

    def _beat(self, breaker: Breaker, beat: int) -> None:
        """A beat's number is its time, in milliseconds of the controller's clock."""
        if beat:
            breaker.beat(beat, beat / 1000)


class StaticFeed:
    """What is given, at once: for tests, and for agents that are told by other means."""

    def __init__(self, controls: Iterable[Control] = ()) -> None:
        self._controls = tuple(controls)
        self._breaker: Breaker | None = None
        self._beats = 0

    def start(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self.say(*self._controls)
        breaker.ready()
        self.beat()

    def stop(self) -> None:
        self._breaker = None

    def say(self, *controls: Control | None, key: str = "") -> None:
        """None is a tombstone of `key`."""
        assert self._breaker is not None, "the breaker was not started"
        given = (Given(one.scope.key, msgspec.json.encode(one)) if one else Given(key, None) for one in controls)
        self._breaker.apply(given)

    def beat(self, at: datetime | None = None) -> None:
        assert self._breaker is not None, "the breaker was not started"
        moment = at or datetime.now(UTC)
        self._beats = max(self._beats + 1, int(moment.timestamp() * 1000))
        self._breaker.apply([Given("heartbeat", msgspec.json.encode(ControlBeat(moment, self._beats)))])
