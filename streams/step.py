"""The one shape of everything that decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

M = TypeVar("M")
Order = Literal["free", "bucketed", "near"]


class Step(Struct, Generic[M], frozen=True, gc=False):
    """What a decider answers: what to keep for this key, what to say, when to be called again.

    A Struct, as memories are, and neither is looked at by the garbage collector: nothing in them refers back. A tuple
    takes four times as long to make, a dozen times an event.
    """

    remember: M | None  # None: nothing worth keeping for this key
    say: tuple[Any, ...] = ()
    wake: datetime | None = None  # call me with a Tick no earlier than this


class Decider(Protocol[M]):
    """Pure: same memory and record, same step. Handing back the very memory that came in means "nothing to write".

    The record's `at` is the only clock. `memory` names the Struct to decode remembered bytes with.
    """

    name: str  # stable: part of the memory's address
    version: int  # of its memory
    memory: type[M]
    reads: tuple[type, ...]
    order: Order

    def key(self, record: Any) -> str | None:
        """Which memory; None: not ours."""
        ...

    def step(self, memory: M | None, record: Any) -> Step[M]: ...
