"""Settings that name several outside addresses at once: `name=value,…`, and which addresses are safe to send to."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

BEGINS = "whsec_"
SECRET_BYTES = range(24, 65)  # what Standard Webhooks asks of a key
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class Hook(NamedTuple):
    """One webhook: where it is and what its calls are signed with. Two keys while one replaces the other."""

    url: str
    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        return "Hook(***)"


def pairs(raw: str) -> dict[str, str]:
    """Raises ValueError, which never quotes a value: it may be a secret."""
    found: dict[str, str] = {}
    for place, entry in enumerate((one.strip() for one in raw.split(",")), 1):
        if not entry:
            continue
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals or not value or not _NAME.match(name):
            raise ValueError(f"entry {place} is not name=value, with a name of letters, digits, `_`, `-` and `.`")
        if name in found:
            raise ValueError(f"`{name}` is there twice")
        found[name] = value
    return found


def unsafe(url: str, *, plain: bool) -> str | None:
    """Why nothing is sent to that address; None: it is fine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises for what is no port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("https", "http") or not host:
        return "is not an address that begins with https://"
    if parts.username is not None or parts.password is not None:
        return "bears a user or a password; they would be in every log on the way"
    if parts.scheme == "http" and not plain and not _loopback(host):
        return "is http:// and not on this machine; use https://, or set TOCSIN_PLAIN_HTTP=true"
    return None


def unreadable(uri: str) -> str | None:
    """Why that names no PostgreSQL; None: it does. What a driver says to such an address quotes parts of its password."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "is not an address: in a password, write signs other than letters and digits as %40, %2F, %3A ..."
    if parts.scheme not in ("postgresql", "postgres"):
        return "is not an address that begins with postgresql://"
    if parts.netloc.count("@") > 1 or "@" in parts.path + parts.fragment:
        return "has an @ too many: in a password, write @ as %40 and / as %2F"
    if any("=" not in one for one in parts.query.split("&") if one):
        return "has a parameter without a value: in a password, write ? as %3F"
    return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hooks(addresses: str, secrets: str, *, plain: bool) -> dict[str, Hook]:
    """Raises ValueError. A webhook without a secret is one: whoever gets it could not tell it from a forged one."""
    urls, keys = pairs(addresses), pairs(secrets)
    for name, url in urls.items():
        if why := unsafe(url, plain=plain):
            raise ValueError(f"the address of `{name}` {why}")
    missing, strange = sorted(urls.keys() - keys.keys()), sorted(keys.keys() - urls.keys())
    if missing:
        raise ValueError(f"`{missing[0]}` has no secret in TOCSIN_WEBHOOK_SECRETS")
    if strange:
        raise ValueError(f"TOCSIN_WEBHOOK_SECRETS has a secret for `{strange[0]}`, which has no address")
    return {name: Hook(url, tuple(_key(name, one) for one in keys[name].split("|"))) for name, url in urls.items()}


def _key(name: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(BEGINS), validate=True)
    except binascii.Error:
        raise ValueError(f"the secret of `{name}` is not whsec_ and base64") from None
    if len(key) not in SECRET_BYTES:
        raise ValueError(f"the secret of `{name}` must be whsec_ and 24 to 64 bytes in base64")
    return key
