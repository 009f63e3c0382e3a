"""What every receiver is: it does, it can be asked whether it did, and it answers in four words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from ...records import Answer, Done, Obligation

CREDENTIALS = "credentials: "  # how a refusal begins that every other obligation would meet too
QUOTA = "quota: "  # how a NotDone begins whose wait is everything's
ALONE = "this one: "  # how a NotDone begins whose wait is nobody else's

References = Mapping[str, Done]  # what the incident's other obligations came to, by obligation


class Absent(NamedTuple):
    """It certainly did not happen: a look that would have seen it did not."""

    why: str = ""


class Blind(NamedTuple):
    """Nobody can tell: not being found is no proof. Ask again later, never repeat."""

    why: str


class Doubt(NamedTuple):
    """What is known about an attempt that was never answered."""

    since: datetime  # its intent was written then: nothing of it is older
    known: Done | None = None  # the newest thing of this kind that was there before: a search that misses it is blind


class Stray(NamedTuple):
    """Something that bears our mark and was never confirmed, and the obligation it was made for."""

    key: str
    id: str
    incident: str
    obligation: str


class Receiver(Protocol):
    """Never raises for what the outside does, never repeats a write, never tells a secret, never sleeps for long.

    One with several outsides says so (`many = True`), and has patience with each of them by itself.
    """

    name: str  # destinations are `<name>:<where>`
    confirmed: frozenset[str]  # kinds to `confirm` once they are recorded, and to `audit` after a doubt

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        """Do it, once."""
        ...

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        """Was it done by an attempt whose answer nobody heard?"""
        ...

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        """Tell the outside that this is the recorded one. Idempotent."""
        ...

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        """Look for others than the recorded one and retire them. Done's reference names those retired."""
        ...

    async def close(self) -> None: ...


class Paced(Protocol):
    """A receiver whose outside counts calls: its carrier asks before it takes an obligation."""

    def pace(self, obligation: Obligation, *, asking: bool = False) -> float:
        """0: now, and its place is taken. Else seconds until it makes sense to ask again. Makes no call.

        `asking`: it is about `find`. What waits here is no failure, and nothing else may wait behind it.
        """
        ...

    def edits(self, obligation: Obligation) -> bool:
        """It only brings something up to date: of several for one incident the newest is enough."""
        ...
