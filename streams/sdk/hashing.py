"""Arguments and results as hashes under a key of the deployment: equal ones look equal, and nobody reads them back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

TEXT_BYTES_MAX = 8 * 1024 * 1024


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; whole numbers look the same however they were written."""
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str, allow_nan=True
    ).encode("utf-8", "surrogatepass")


def hashed(value: Any, key: bytes) -> str:
    """`hmac-sha256:<hex>`; without a key `sha256:<hex>`, which whoever can guess the value can check."""
    text = canonical(value)[:TEXT_BYTES_MAX]
    if not key:
        return f"sha256:{hashlib.sha256(text).hexdigest()}"
    return f"hmac-sha256:{hmac.new(key, text, hashlib.sha256).hexdigest()}"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=repr)
    return value
