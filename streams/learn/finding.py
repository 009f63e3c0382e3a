"""Says to everybody what learn's own detectors found, in the transaction in which they found it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..database import Connection
from ..records import Finding
from ..records.timeline import encode
from ..settle import Saying, publish_all
from .settling import Write


def published(topic: str, policy: str) -> Write:
    """A writer of findings under this policy's digest."""

    async def write(conn: Connection, records: Sequence[Finding]) -> None:
        said = (msgspec.structs.replace(one, policy=policy) for one in records)
        await publish_all(conn, [Saying(topic, one.fingerprint, encode(one)) for one in said])

    return write
