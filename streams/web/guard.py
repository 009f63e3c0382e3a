"""Who may come in: hosts by name, writers by token, forms by cookie; and the headers that keep browsers careful."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import Secret

COOKIE = "tocsin"
SIGNED_IN_S = 8 * 3600
NAME_MAX = 80
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
STRANGER = msgspec.json.encode(
    {
        "title": "Misdirected request",
        "status": 421,
        "detail": "This server is not known by that name. Set TOCSIN_WEB_URL to the address that people use.",
    }
)


class Guard:
    """Around the whole application, so that not even a 404 goes out unguarded.

    A page elsewhere may point a name of its own at this machine; its browser then believes us to be that page.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts if host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                extra = [*HEADERS, (b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *(one for one in extra if one[0] not in known)]
            await send(message)

        if hostname(dict(scope["headers"]).get(b"host", b"").decode("latin-1")) in self._hosts:
            await self._app(scope, receive, guarded)
            return
        head = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(STRANGER)).encode())]
        await guarded({"type": "http.response.start", "status": 421, "headers": head})
        await guarded({"type": "http.response.body", "body": STRANGER, "more_body": False})


def hostname(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def hosts(web_host: str, web_url: str, further: str = "") -> set[str]:
    """The names by which this server may be called."""
    found = {*LOOPBACK, hostname(urlsplit(web_url).netloc), *(hostname(one.strip()) for one in further.split(","))}
    try:
        everywhere = ipaddress.ip_address(web_host).is_unspecified
    except ValueError:
        everywhere = False
    return (found if everywhere else {*found, web_host.lower()}) - {""}


class Visitor(NamedTuple):
    """Somebody who signed in with the token, under a name of their own choice."""

    name: str
    expires_s: float
    nonce: str


class Keys:
    """One token opens every writing endpoint. Without one nothing can be written.

    `agents`: another one, which sends events and asks for approvals only. An agent that holds the first could answer
    its own questions.
    """

    def __init__(self, token: Secret, agents: Secret = Secret("")) -> None:  # noqa: B008 - it does not change
        self._token, self._agents = token.reveal().encode(), agents.reveal().encode()
        self._key = hashlib.blake2b(self._token, digest_size=32, person=b"tocsin-pages").digest()

    @property
    def usable(self) -> bool:
        return bool(self._token)

    def opens(self, given: str) -> bool:
        return _same(given, self._token)

    def bearer(self, header: str | None) -> bool:
        return self.opens(_borne(header))

    def agent(self, header: str | None) -> bool:
        """Whether whoever shows it may do what agents do."""
        return _same(_borne(header), self._agents) or self.bearer(header)

    def cookie(self, name: str, now_s: float) -> str:
        visitor = Visitor(name[:NAME_MAX], now_s + SIGNED_IN_S, secrets.token_urlsafe(12))
        body = base64.urlsafe_b64encode(msgspec.json.encode(visitor)).decode().rstrip("=")
        return f"{body}.{self._signed('cookie', body)}"

    def visitor(self, cookie: str | None, now_s: float) -> Visitor | None:
        body, _, signature = (cookie or "").rpartition(".")
        if not self.usable or not hmac.compare_digest(signature.encode(), self._signed("cookie", body).encode()):
            return None
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Visitor)
        except (ValueError, msgspec.DecodeError):
            return None
        return found if found.expires_s > now_s else None

    def form(self, visitor: Visitor) -> str:
        """What a form of this visitor carries: a page elsewhere can't know it."""
        return self._signed("form", visitor.nonce)

    def accepts(self, visitor: Visitor, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.form(visitor).encode())

    def _signed(self, what: str, text: str) -> str:
        return hmac.new(self._key, f"{what}:{text}".encode(), "sha256").hexdigest()


def _borne(header: str | None) -> str:
    scheme, _, given = (header or "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _same(given: str, token: bytes) -> bool:
    """In the same time whatever was given. No token is nobody's."""
    digests = (hashlib.sha256(one).digest() for one in (given.encode(errors="replace"), token))
    return hmac.compare_digest(*digests) and bool(token)


def same_site(headers: Any) -> bool:
    """Whether a form comes from our own page, as far as the browser says."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
