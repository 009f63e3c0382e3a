"""The last that was known of controls, on disk: signed, believed for an hour, written whole or not at all."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from ..records.control import Control
from ..records.signing import genuine, signed

log = logging.getLogger(__name__)

KEPT_S = 3600.0
AHEAD_S = 300.0  # a clock that was set back: what is from further in the future is not believed


class Saved(Struct, frozen=True, omit_defaults=True):
    at_s: float
    controls: tuple[Control, ...]
    sig: str = ""


def save(path: Path, controls: Iterable[Control], key: bytes) -> None:
    """Raises OSError. Nobody ever reads half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signed(Saved(time.time(), tuple(controls)), key))
    beside.replace(path)


def load(path: Path, key: bytes, at_most: timedelta) -> tuple[Control, ...] | None:
    """None: there is none that may be believed."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("the snapshot of controls cannot be read: %s", error.strerror)
        return None
    if not genuine(raw, key):
        log.warning("the snapshot of controls is not ours: its signature does not fit")
        return None
    try:
        saved = msgspec.json.decode(raw, type=Saved)
    except msgspec.DecodeError:
        return None
    age_s = time.time() - saved.at_s
    return saved.controls if -AHEAD_S <= age_s <= at_most.total_seconds() else None
