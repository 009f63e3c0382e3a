"""For tests of agents: what they would have told, without a broker. `pytest_plugins = ["streams.sdk.testing"]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from ..records import AgentEvent
from ..records.envelope import Event
from .emitter import Emitter, Options
from .sinks import Refusal
from .spool import Item

E = TypeVar("E", bound=Event)
_agent_event: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AgentEvent)


class Invalid(AssertionError):
    """The pipeline would not take this event."""


class Collected:
    """A sink that keeps events, each checked as intake would."""

    lasting = False

    def __init__(self) -> None:
        self._raw: list[bytes] = []
        self._read_so_far: list[Any] = []

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        self._raw += [item.event for item in batch]
        return []

    def close(self) -> None: ...

    def events(self) -> list[Any]:
        """Raises Invalid with all that is wrong."""
        self._read_so_far += [self._read(raw) for raw in self._raw[len(self._read_so_far) :]]
        return list(self._read_so_far)

    def _read(self, raw: bytes) -> Any:
        wrong = _wrong(raw)
        try:
            event = _agent_event.decode(raw)
        except msgspec.DecodeError as error:
            wrong = [*wrong, f"{error}"]
        if wrong:
            raise Invalid("\n".join((raw.decode(errors="replace"), *wrong)))
        return event


class Told:
    """What the agent under test has told so far."""

    def __init__(self, **options: Any) -> None:
        self.sink = Collected()
        given: Options = {"spool": None, "heartbeat_s": 0.0, "hash_key": b"test", **options}  # type: ignore[typeddict-item]
        self.emitter = Emitter("agent-under-test", "test", self.sink, **given)

    @property
    def events(self) -> list[Any]:
        """All of them, in their order, valid; what could not be made at all is an assertion that failed too."""
        assert self.emitter.flush(10.0), "events are still under way"
        numbers = self.emitter.numbers()
        assert not numbers.invalid, f"{numbers.invalid} events could not be made; the log says why"
        assert not numbers.lost, f"{numbers.lost} events found no room"
        return self.sink.events()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if type(event) is kind]


@pytest.fixture
def tocsin() -> Iterator[Told]:
    """`tocsin.emitter` for the agent, `tocsin.events` for the test. Invalid events fail it also if it looks at none."""
    told = Told()
    yield told
    try:
        _ = told.events
    finally:
        told.emitter.close()


def _wrong(raw: bytes) -> list[str]:
    """By the published schemas, where jsonschema is installed; msgspec says the same, one error at a time."""
    try:
        import jsonschema  # noqa: PLC0415 - a library of the pipeline's

        from ..schemas import event_schema  # noqa: PLC0415
    except ImportError:
        return []
    event = msgspec.json.decode(raw)
    validator = jsonschema.Draft202012Validator(event_schema(str(event.get("type"))))
    return [f"{error.json_path}: {error.message}"[:500] for error in validator.iter_errors(event)]
