"""A client of the API, for commands: one call, an answer as an exit code and a sentence."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

DONE, USAGE, FORBIDDEN, UNREACHABLE, UNKNOWN = 0, 2, 3, 4, 5
TIMEOUT_S = 10.0
BODY_BYTES_MAX = 16 * 1024 * 1024


class Answered(NamedTuple):
    """The exit code, the document where there is one, and a sentence for people."""

    code: int
    document: dict[str, Any] | None = None
    message: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect leads to a login page, and a login page has written nothing down."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Api:
    """Where it is, and the token that writing asks for."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url, self._token = url.rstrip("/"), token

    def get(self, *path: str, **query: Any) -> Answered:
        given = {key: value for key, value in query.items() if value is not None}
        return self._called("GET", _where(path) + (f"?{urllib.parse.urlencode(given)}" if given else ""))

    def post(self, *path: str, **body: Any) -> Answered:
        given = {key: value for key, value in body.items() if value is not None}
        return self._called("POST", _where(path), json.dumps(given).encode())

    def _called(self, method: str, where: str, body: bytes | None = None) -> Answered:
        if not self._url.startswith(("http://", "https://")):
            return Answered(USAGE, None, f"{self._url} is not an http address: set TOCSIN_WEB_URL")
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url + where, body, headers, method=method)  # noqa: S310 - checked above
        try:
            with _opener.open(request, timeout=TIMEOUT_S) as answer:
                return _read(answer.read(BODY_BYTES_MAX))
        except urllib.error.HTTPError as error:
            with error:
                return _refused(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answered(UNREACHABLE, None, f"Tocsin at {self._url} could not be reached: {error}")


def _where(path: tuple[str, ...]) -> str:
    """Ids are parts of the path whatever they contain."""
    return "/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in path)


def _read(body: bytes) -> Answered:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Answered(UNREACHABLE, None, "What answered is not Tocsin's API: the body is not a JSON object")
    return Answered(DONE, document)


def _refused(error: urllib.error.HTTPError) -> Answered:
    try:
        document = json.loads(error.read(BODY_BYTES_MAX))
        words = [document.get("detail") or document["title"], *document.get("errors", ())]
    except (ValueError, LookupError, TypeError, AttributeError, OSError, http.client.HTTPException):
        return Answered(UNREACHABLE, None, f"What answered is not Tocsin's API: HTTP {error.code}")
    codes = {400: USAGE, 422: USAGE, 401: FORBIDDEN, 403: FORBIDDEN, 404: UNKNOWN}
    return Answered(codes.get(error.code, UNREACHABLE), document, ": ".join(str(word) for word in words))
