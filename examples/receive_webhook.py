"""Receives Tocsin's webhooks: checks the signature, drops repeats, answers at once. Standard library only.

Run: SECRET=whsec_... python examples/receive_webhook.py 8095
Then: TOCSIN_WEBHOOKS=desk=http://localhost:8095/ TOCSIN_WEBHOOK_SECRETS=desk=$SECRET
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300  # older ones may be replayed by somebody who listened
BODY_BYTES_MAX = 1_000_000


def genuine(headers: Mapping[str, str], body: bytes, secret: str, now_s: float) -> bool:
    """Whether this was signed with the secret, and lately. `body` is what came, to the byte: parse it afterwards."""
    mark, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (sent.isascii() and sent.isdigit()) or abs(now_s - int(sent)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    right = base64.b64encode(hmac.new(key, f"{mark}.{sent}.".encode() + body, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").split(" ")  # several while one secret replaces another
    return any(hmac.compare_digest(one.encode(), b"v1," + right) for one in given)


class Seen:
    """Ids of the last day: what was sent twice has the same id. Keep them in your database, beside what you do."""

    def __init__(self) -> None:
        self._ids: dict[str, float] = {}

    def before(self, mark: str, now_s: float) -> bool:
        self._ids = {one: at for one, at in self._ids.items() if now_s - at < 86_400}
        known = mark in self._ids
        self._ids[mark] = now_s
        return known


class Receiver(BaseHTTPRequestHandler):
    secret = os.environ.get("SECRET", "")
    seen = Seen()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length <= BODY_BYTES_MAX else b""
        if not genuine(self.headers, body, self.secret, time.time()):
            self.send_error(401)
            return
        if not self.seen.before(self.headers["webhook-id"], time.time()):
            told = json.loads(body)
            print(told["type"], told["data"]["incident"], told["data"]["headline"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8095
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()
