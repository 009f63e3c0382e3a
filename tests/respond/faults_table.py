"""The fault menu as a table: every way an exchange can go wrong, before and after its effect, and what it means.

`write` is the arm of the answer to a call that changes something. For Slack and other receivers the arms of statuses
differ: the kinds do not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streams.records import NotDone, Refused, Unknown
from streams.sandbox.faults import Fault


class Case(NamedTuple):
    name: str
    given: dict[str, Any]  # arguments of Fault, without the path
    write: type

    def fault(self, path: str, **more: Any) -> Fault:
        return Fault(path=path, **{**self.given, **more})


LATE_S = 2.4  # longer than the tests' timeout of a call
FUTURE = "Wed, 21 Oct 2099 07:28:00 GMT"

# name -> what the menu is told, and the arm
_KINDS: dict[str, tuple[dict[str, Any], type]] = {
    "reset": ({"kind": "reset"}, Unknown),
    "close": ({"kind": "close"}, Unknown),
    "hang": ({"kind": "hang"}, Unknown),
    "stall": ({"kind": "stall"}, Unknown),
    "truncated": ({"kind": "truncated"}, Unknown),
    "wrong-type": ({"kind": "wrong_content_type"}, Unknown),
    "late": ({"kind": "hang", "seconds": LATE_S}, Unknown),  # before: commits late; after: answers late
    "301": ({"kind": "status", "code": 301, "headers": {"Location": "http://127.0.0.1:9/elsewhere"}}, Refused),
    "302": ({"kind": "status", "code": 302, "headers": {"Location": "http://127.0.0.1:9/elsewhere"}}, Refused),
    "307": ({"kind": "status", "code": 307, "headers": {"Location": "http://127.0.0.1:9/elsewhere"}}, Refused),
    "400": ({"kind": "status", "code": 400}, Refused),
    "401": ({"kind": "status", "code": 401}, Refused),
    "403": ({"kind": "status", "code": 403}, Refused),
    "404": ({"kind": "status", "code": 404}, Refused),
    "408": ({"kind": "status", "code": 408}, Unknown),
    "409": ({"kind": "status", "code": 409}, NotDone),
    "410": ({"kind": "status", "code": 410}, Refused),
    "413": ({"kind": "status", "code": 413}, Refused),
    "422": ({"kind": "status", "code": 422}, Refused),
    "429": ({"kind": "status", "code": 429}, NotDone),
    "429-seconds": ({"kind": "status", "code": 429, "headers": {"Retry-After": "1"}}, NotDone),
    "429-date": ({"kind": "status", "code": 429, "headers": {"Retry-After": FUTURE}}, NotDone),
    "500": ({"kind": "status", "code": 500}, Unknown),
    "502": ({"kind": "status", "code": 502, "body": "<html>Bad Gateway</html>", "headers": {"Content-Type": "text/html"}}, Unknown),
    "503": ({"kind": "status", "code": 503}, Unknown),
    "503-seconds": ({"kind": "status", "code": 503, "headers": {"Retry-After": "1"}}, Unknown),
    "504": ({"kind": "status", "code": 504}, Unknown),
}  # fmt: skip

FAULTS: tuple[Case, ...] = tuple(
    Case(f"{name}-{when}", {**given, "when": when}, arm)
    for name, (given, arm) in _KINDS.items()
    for when in ("before", "after")
)
FAULT_IDS = [case.name for case in FAULTS]
