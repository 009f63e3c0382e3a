"""The price book's file: read when a role or a replay starts, replaced at once by an import."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from .pricebook import Book, PriceError, parse, text_of
from .prices import Prices
from .settings import Settings


def load(settings: Settings) -> Prices | None:
    """None: there is no book, and none is asked for. Raises PriceError."""
    if settings.prices is None and not settings.price_book.exists():
        return None
    return Prices(read(settings.price_book))


def read(path: Path) -> Book:
    """Raises PriceError, with every line that is wrong."""
    return parse(content(path), str(path))


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PriceError(f"{path}: cannot be read: {error.strerror}") from None


def write(path: Path, book: Book) -> None:
    """Whole or not at all: whoever reads meanwhile has the old one or the new one. Raises PriceError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise PriceError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text_of(book))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        with suppress(OSError):
            Path(name).unlink()
        raise PriceError(f"{path}: cannot be written: {error.strerror}") from None
