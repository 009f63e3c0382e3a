"""An append-only file of JSON lines, so that a restarted sandbox receiver still has what it promised to keep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec


class Journal:
    """Without a path it keeps nothing. A line is with the operating system before the caller answers."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[bytes]:
        """All whole lines; a line torn by a kill is cut off, because its call was never answered."""
        if self._path is None or not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self._path.open("r+b") as file:
                file.truncate(whole)
        yield from content[:whole].splitlines()

    def append(self, line: Any) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
