"""The network between the roles and a receiver: a small proxy that can be cut while a call is under way."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

When = Literal["asked", "answered"]
Deed = Callable[[int], None]  # gets the port that the caller calls from


class Network:
    """TCP on loopback, passed on as it is. What is armed happens once."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        assert parts.port
        self._host, self._port = parts.hostname, parts.port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._down_until = 0.0
        self._silent = False
        self._armed: tuple[When, bytes, Deed] | None = None
        self.struck = 0

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._cut_all()

    def arm(self, when: When, start: bytes, deed: Deed) -> None:
        """At the next request that begins with `start`: before it is passed on, or when its answer comes back."""
        self._armed = (when, start, deed)
        self.struck = 0

    def disarm(self) -> None:
        self._armed = None

    def cut(self, seconds: float, *, silent: bool = False) -> None:
        """Every connection ends, and none is made; silent: they stay, and nothing comes through any more."""
        self._down_until = asyncio.get_running_loop().time() + seconds
        self._silent = silent
        if not silent:
            self._cut_all()

    def _down(self) -> bool:
        return asyncio.get_running_loop().time() < self._down_until

    def _cut_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down() and not self._silent:
            _reset(writer)
            return
        try:
            theirs, ours = await asyncio.open_connection(self._host, self._port)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, ours}
        caller = writer.get_extra_info("peername")[1]
        wanted: list[Deed] = []  # of the request under way, for its answer

        def asked(data: bytes) -> None:
            if self._armed and data.startswith(self._armed[1]):
                when, _, deed = self._armed
                self._armed = None
                wanted.append(deed)
                if when == "asked":
                    self._strike(wanted, caller)

        try:
            await asyncio.gather(
                self._pass(reader, ours, asked), self._pass(theirs, writer, lambda _: self._strike(wanted, caller))
            )
        finally:
            self._open -= {writer, ours}
            for one in (writer, ours):
                with suppress(OSError):
                    one.close()

    def _strike(self, wanted: list[Deed], caller: int) -> None:
        while wanted:
            self.struck += 1
            wanted.pop()(caller)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                seen(data)
                while self._silent and self._down():
                    await asyncio.sleep(0.05)
                sink.write(data)
                await sink.drain()
        with suppress(OSError):
            sink.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    with suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def owner_of(port: int, candidates: list[int]) -> int | None:
    """Which of the processes calls from that port: Linux says whose socket it is."""
    inode = None
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "01":
            inode = fields[9]
            break
    for pid in candidates:
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if inode and str(link.readlink()) == f"socket:[{inode}]":
                        return pid
    return None
