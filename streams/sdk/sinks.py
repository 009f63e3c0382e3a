"""Where events go: HTTP, a file, standard output. Kafka has a file of its own, because it needs a library."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO
from urllib.parse import urlsplit

from .spool import Item

ANSWER_BYTES_MAX = 4 * 1024 * 1024
BATCH_BYTES = 512 * 1024  # what /v1/events takes at most is twice that
WHY_MAX = 200


class Away(Exception):
    """Nothing or only a part has arrived. The same is sent again, in the same order; ids tell what came twice.

    `status`: of HTTP, where there was an answer.
    """

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Refusal(NamedTuple):
    """One event that is not wanted, now or later."""

    place: int  # in the batch
    why: str


class Sink(Protocol):
    """`lasting`: it can be away, and what is sent to it waits on disk meanwhile."""

    @property
    def lasting(self) -> bool: ...

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        """All have arrived when it returns, but the refused; raises Away. Called by one thread only."""
        ...

    def close(self) -> None: ...


class FileSink:
    """NDJSON, appended. `tocsin check` and `tocsin replay` read it."""

    lasting = False

    def __init__(self, path: Path | str) -> None:
        self._file = Path(path).open("ab")  # noqa: SIM115 - open for the agent's life

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        try:
            self._file.write(b"".join(item.event + b"\n" for item in batch))
            self._file.flush()
        except OSError as error:
            raise Away(f"the file cannot be written: {error.strerror}") from None
        return []

    def close(self) -> None:
        self._file.close()


class OutputSink:
    """NDJSON on standard output, or where it is told."""

    lasting = False

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        out = self._out or sys.stdout
        try:
            out.write("".join(f"{item.event.decode()}\n" for item in batch))
            out.flush()
        except (OSError, ValueError) as error:
            raise Away(f"it cannot be written: {type(error).__name__}") from None
        return []

    def close(self) -> None: ...


class HttpSink:
    """`url`: where Tocsin's pages are. For agents that cannot reach Kafka."""

    lasting = True

    def __init__(self, url: str, token: str, *, timeout_s: float = 10.0) -> None:
        self._post = Post(url, token, timeout_s)

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        refused: list[Refusal] = []
        place = 0
        while place < len(batch):
            part = _fitting(batch[place:])
            refused += [Refusal(place + one.place, one.why) for one in self._sent(part)]
            place += len(part)
        return refused

    def _sent(self, part: Sequence[Item]) -> list[Refusal]:
        body = b"".join(item.event + b"\n" for item in part)
        told = self._post("POST", "/v1/events", body, "application/x-ndjson")
        refused = told.get("refused")
        if told.get("accepted") != len(part) - len(refused if isinstance(refused, list) else ()):
            raise Away("the answer does not account for every event")
        return [Refusal(int(one["line"]) - 1, str(one.get("why", ""))[:WHY_MAX]) for one in refused or ()]

    def close(self) -> None: ...


class Post:
    """One call of Tocsin's API, without following it anywhere else. Raises Away in words that bear no secret."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("an address begins with https:// or http://")
        self._url, self._token, self._timeout_s = url.rstrip("/"), token, timeout_s
        self._open = urllib.request.build_opener(_Stays()).open

    def __call__(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json", *, more_s: float = 0.0
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        asked = urllib.request.Request(self._url + path, body, headers, method=method)  # noqa: S310 - checked above
        try:
            with self._open(asked, timeout=self._timeout_s + more_s) as answer:
                found = json.loads(answer.read(ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                raise Away(f"HTTP {error.code}: {_detail(error)}", error.code) from None
        except (OSError, ValueError) as error:  # an answer that is no JSON among them
            raise Away(f"{type(error).__name__}") from None
        if not isinstance(found, dict):
            raise Away("the answer is no object")
        return found


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A token goes nowhere else."""
        return


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(error.read(ANSWER_BYTES_MAX))
        return str(found.get("detail", ""))[:WHY_MAX] if isinstance(found, dict) else ""
    except (OSError, ValueError):
        return ""


def _fitting(batch: Sequence[Item]) -> Sequence[Item]:
    size = 0
    for place, item in enumerate(batch):
        size += len(item.event) + 1
        if size > BATCH_BYTES and place:
            return batch[:place]
    return batch
