"""Signatures of control messages: a keyed hash of their canonical JSON, for who does not rely on the topic's ACL alone."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import msgspec

SIG = "sig"


def canonical(document: dict[str, Any]) -> bytes:
    """Names in order and without the signature: whoever knows fewer fields checks the same bytes."""
    bare = {name: value for name, value in document.items() if name != SIG}
    return msgspec.json.encode(bare, order="sorted")


def signature(document: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, canonical(document), sha256).hexdigest()


def signed(record: Any, key: bytes) -> bytes:
    """The record as JSON; with a key, with its signature."""
    if not key:
        return msgspec.json.encode(record)
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    document[SIG] = signature(document, key)
    return msgspec.json.encode(document)


def genuine(raw: bytes, key: bytes) -> bool:
    """Whether whoever wrote it had the key. False for what is no JSON object."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(document, dict) or not isinstance(document.get(SIG), str):
        return False
    return hmac.compare_digest(document[SIG].encode(), signature(document, key).encode())
