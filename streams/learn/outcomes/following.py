"""What respond has to know of a ticket that people moved or deleted: its new key, or that there is none any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

import msgspec

from ...database import Connection
from ...records import Done, Receipt, Refused

GONE = "gone: a person deleted the ticket, or it may no longer be seen; no other one is opened by itself"


class Followed(Protocol):
    """A ticket as the obligation names it."""

    @property
    def incident(self) -> str: ...
    @property
    def obligation(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def url(self) -> str | None: ...


async def moved(conn: Connection, one: Followed, key: str) -> None:
    """In the same transaction as what was read. Whatever is owed to the ticket goes to its new key from now on."""
    head, found, _ = (one.url or "").rpartition(one.reference)
    url = f"{head}{key}" if found else one.url
    cursor = await conn.execute(
        "UPDATE obligations SET reference = %s, url = %s WHERE id = %s AND reference = %s",
        [key, url, one.obligation, one.reference],
    )
    if cursor.rowcount:
        await _tell(conn, one, Done(key, url))


async def gone(conn: Connection, one: Followed) -> None:
    await conn.execute(
        "UPDATE obligations SET url = NULL, why = %s, confirm_at = NULL, audit_at = NULL WHERE id = %s",
        [GONE, one.obligation],
    )
    await _tell(conn, one, Refused(GONE))


async def _tell(conn: Connection, one: Followed, answer: Done | Refused) -> None:
    receipt = Receipt(one.obligation, one.incident, "ticket", answer, datetime.now(UTC), was=one.reference)
    await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [msgspec.json.encode(receipt).decode()])
