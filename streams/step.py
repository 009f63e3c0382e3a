"""The one shape of everything that decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

M = TypeVar("M")
Order = Literal["free", "bucketed", "near"]


class Step(NamedTuple, Generic[M]):
    """What a decider answers: what to keep for this key, what to say, when to be called again."""

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
