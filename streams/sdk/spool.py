"""What has not been sent yet, on disk: it outlives the process, and the next one sends it, in its order.

What is written is with the operating system at once, so it outlives the death of the process; `fsync_s` is how much
may be lost should the machine die. Each process has a folder of its own, held by a lock while it lives; a folder that
nobody holds is read to its end by whoever finds it at its start. On systems without such locks memory is used.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import struct
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .keeping import HEAD, Item, Keeps, Memory

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

__all__ = ["Item", "Keeps", "Memory", "Spool"]

CURSOR = struct.Struct(">QQ")  # segment, offset
SEGMENT_BYTES = 4 * 1024 * 1024
READ_BYTES = 1024 * 1024
LOCK = "lock"


class Folder:
    """One process's segments. Raises OSError where it cannot be written, BlockingIOError where somebody holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = (path / LOCK).open("ab")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise
        self._cursor = os.open(path / "cursor", os.O_RDWR | os.O_CREAT, 0o600)
        self._reading: tuple[int, BinaryIO] | None = None
        self.sizes = {int(one.stem): one.stat().st_size for one in path.glob("*.log") if one.stem.isdecimal()}
        at = os.pread(self._cursor, CURSOR.size, 0)
        segment, offset = 0, 0
        if len(at) == CURSOR.size:
            segment, offset = CURSOR.unpack(at)
        for number in [one for one in self.sizes if one < segment]:
            self.drop(number)
        known = segment in self.sizes
        self.segment: int = segment if known else min(self.sizes, default=0)
        self.offset: int = offset if known else 0

    @property
    def waiting(self) -> int:
        return max(0, sum(self.sizes.values()) - self.offset)

    def log(self, number: int) -> Path:
        return self.path / f"{number:012d}.log"

    def read(self, most: int) -> list[Item]:
        """From the cursor on. What is torn ends its segment: it was being written when its process died."""
        while self.segment in self.sizes:
            data = self._bytes()
            items = _items(data, most)
            later = [one for one in self.sizes if one > self.segment]
            if items or not (data or later):
                return items
            self._next(min(later, default=self.segment + 1))
        return []

    def done(self, items: list[Item]) -> None:
        self.offset += sum(item.size for item in items)
        self._mark()

    def drop(self, number: int) -> None:
        self.sizes.pop(number, None)
        with suppress(OSError):
            self.log(number).unlink()

    def release(self) -> None:
        """Whatever happens to the folder, this process no longer holds it. An empty one goes."""
        if self._reading is not None:
            self._reading[1].close()
        empty = not self.waiting
        os.close(self._cursor)
        if empty:
            shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()

    def abandon(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
        with suppress(OSError):
            os.close(self._cursor)
        self._held.close()

    def _bytes(self) -> bytes:
        if self._reading is None or self._reading[0] != self.segment:
            if self._reading is not None:
                self._reading[1].close()
            self._reading = (self.segment, self.log(self.segment).open("rb", buffering=0))
        self._reading[1].seek(self.offset)
        return self._reading[1].read(min(READ_BYTES, max(0, self.sizes[self.segment] - self.offset)))

    def _next(self, segment: int) -> None:
        gone, self.segment, self.offset = self.segment, segment, 0
        self._mark()
        self.drop(gone)

    def _mark(self) -> None:
        os.pwrite(self._cursor, CURSOR.pack(self.segment, self.offset), 0)


class Spool:
    """`bytes_max` bounds what waits. Order is kept: what a dead process left goes first, oldest first."""

    def __init__(self, base: Path, bytes_max: int, fsync_s: float = 1.0) -> None:
        """Raises OSError where the folder cannot be used."""
        if fcntl is None:
            raise OSError("this system has no file locks")
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        if base.lstat().st_uid not in (os.getuid(), 0):
            raise OSError(errno.EPERM, "it is another user's")  # who could read what waits, and put words in our mouth
        self._lock, self._max, self._fsync_s = threading.Lock(), bytes_max, fsync_s
        gate = os.open(base, os.O_RDONLY)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)  # a folder that is being made is not one that somebody left
            self.left = _left(base)
            own = base / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
            own.mkdir(mode=0o700)
            self._own = Folder(own)
        finally:
            os.close(gate)
        self._number, self._file, self._synced, self._dirty = -1, -1, time.monotonic(), False
        self._roll()

    @property
    def waiting(self) -> int:
        return self._own.waiting + sum(one.waiting for one in self.left)

    def append(self, items: list[Item]) -> int:
        with self._lock:
            room = self._max - self.waiting
            kept = 0
            for item in items:
                room -= item.size
                if room < 0:
                    break
                kept += 1
            return kept if kept and self._write(b"".join(_frame(item) for item in items[:kept])) else 0

    def read(self, most: int) -> list[Item]:
        with self._lock:
            while self.left:
                if items := self.left[0].read(most):
                    return items
                self.left.pop(0).release()
            return self._own.read(most)

    def done(self, items: list[Item]) -> None:
        with self._lock:
            (self.left[0] if self.left else self._own).done(items)

    def sync(self) -> None:
        """To the disk itself, at most every `fsync_s` and only while something waits."""
        now = time.monotonic()
        if self._dirty and self.waiting and now - self._synced >= self._fsync_s:
            self._synced, self._dirty = now, False
            with suppress(OSError):
                os.fsync(self._file)

    def close(self) -> int:
        with self._lock, suppress(OSError):
            if self._own.waiting:
                os.fsync(self._file)
            os.close(self._file)
            for one in (*self.left, self._own):
                one.release()
        return 0  # what waits is sent by the next process

    def abandon(self) -> None:
        with suppress(OSError):
            os.close(self._file)
        for one in (*self.left, self._own):
            one.abandon()

    def _write(self, data: bytes) -> bool:
        """All or nothing: half an event is taken back."""
        if self._own.sizes[self._number] >= SEGMENT_BYTES:
            self._roll()
        before = self._own.sizes[self._number]
        try:
            written = os.write(self._file, data)
        except OSError:
            written = 0
        if written < len(data):
            with suppress(OSError):
                os.ftruncate(self._file, before)
            return False
        self._own.sizes[self._number] = before + written
        self._dirty = True
        return True

    def _roll(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._number += 1
        path = self._own.log(self._number)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._own.sizes[self._number] = 0


def _left(base: Path) -> list[Folder]:
    """Folders that nobody holds any more."""
    found = []
    for path in sorted(one for one in base.iterdir() if one.is_dir()):
        with suppress(OSError):
            found.append(Folder(path))
    return found


def _frame(item: Item) -> bytes:
    rest = item.key + item.event
    return HEAD.pack(zlib.crc32(rest), len(item.key), len(item.event)) + rest


def _items(data: bytes, most: int) -> list[Item]:
    """An event is far smaller than what is read at once: no whole one at the beginning is a torn one."""
    items: list[Item] = []
    place = 0
    while len(items) < most and place + HEAD.size <= len(data):
        crc, key, event = HEAD.unpack_from(data, place)
        begin, end = place + HEAD.size, place + HEAD.size + key + event
        if end > len(data) or zlib.crc32(data[begin:end]) != crc:
            break
        items.append(Item(data[begin : begin + key], data[begin + key : end]))
        place = end
    return items
