"""Who we are at GitHub: a token that is given, or an app that proves itself and gets one for each installation."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ...records import NotDone, Unknown
from ...respond.receivers.http_wire import Request, Wire
from ...settings import Secret

VERSION = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
EARLIER_S, PROOF_S = 60, 540  # clocks differ; GitHub believes a proof for ten minutes at most
RENEWED_S = 300.0
NEEDS = "the app's key needs the package `cryptography`: install tocsin[github], or set TOCSIN_GITHUB_TOKEN"


class Granted(msgspec.Struct, frozen=True):
    token: str
    expires_at: datetime


class Kept(NamedTuple):
    token: Secret
    until_s: float


class Tokens:
    """Never raises for what the outside does."""

    def __init__(
        self, wire: Wire, url: str, token: Secret, app: tuple[str, Secret], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._wire, self._url, self._token, self._clock = wire, url.rstrip("/"), token, clock
        self._app, self._key = app
        self._kept: dict[int, Kept] = {}

    async def headers(self, installation: int) -> dict[str, str] | NotDone:
        """What to send along; NotDone with what is missing."""
        if self._token:
            return self._bearing(self._token)
        if not self._app or not self._key:
            return NotDone("neither TOCSIN_GITHUB_TOKEN nor TOCSIN_GITHUB_APP and TOCSIN_GITHUB_KEY are set")
        kept = self._kept.get(installation)
        if kept is None or kept.until_s - self._clock() < RENEWED_S:
            got = await self._got(installation)
            if isinstance(got, NotDone):
                return got
            self._kept[installation] = kept = got
        return self._bearing(kept.token)

    def forget(self, installation: int) -> None:
        """It was refused."""
        self._kept.pop(installation, None)

    def _bearing(self, token: Secret) -> dict[str, str]:
        return {**VERSION, "Authorization": f"Bearer {token.reveal()}"}

    async def _got(self, installation: int) -> Kept | NotDone:
        try:
            proof = proved(self._app, self._key, self._clock())
        except (ImportError, ValueError) as error:
            return NotDone(NEEDS if isinstance(error, ImportError) else "TOCSIN_GITHUB_KEY is no private key")
        where = f"{self._url}/app/installations/{installation}/access_tokens"
        reply = await self._wire.send(Request("POST", where, self._bearing(proof)))
        if isinstance(reply, NotDone | Unknown):
            return NotDone(reply.why)
        if reply.status != 201 or reply.body is None:
            return NotDone(f"{reply.status}: GitHub gives the app no token", after_s=reply.after_s)
        try:
            granted = msgspec.json.decode(reply.body, type=Granted)
            return Kept(Secret(granted.token), granted.expires_at.timestamp())
        except (msgspec.DecodeError, OverflowError):
            return NotDone("what GitHub gave is no token")


def proved(app: str, key: Secret, now_s: float) -> Secret:
    """A JSON web token by RS256. Raises ImportError without the library, ValueError for a key that is none."""
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    except Exception as error:  # it raises several kinds, none of which may quote the key
        raise ValueError(type(error).__name__) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ValueError("no RSA key")  # noqa: TRY004 - of a setting, not of an argument
    claims = {"iat": int(now_s) - EARLIER_S, "exp": int(now_s) + PROOF_S, "iss": app}
    signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return Secret(f"{signed}.{_encoded(signature)}")


def _part(value: dict[str, Any]) -> str:
    return _encoded(msgspec.json.encode(value))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
