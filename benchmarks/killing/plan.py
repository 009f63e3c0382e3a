"""What is killed when: every step in turn and everything else in its share, shuffled by the seed; the weather between."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

STEPS = {
    "before the position": "begun",
    "after the position": "advanced",
    "before the incident": "folded",
    "before the commit": "written",
    "after the commit": "committed",
    "before the intent of a ticket": "taken ticket:1",
    "after the intent of a ticket": "intent ticket:1",
    "before the intent of a page": "taken page:1",
    "after the intent of a page": "intent page:1",
    "after the call, a ticket": "called ticket:1",
    "after the call, a page": "called page:1",
    "after the answer, a ticket": "answered ticket:1",
    "after the answer, a page": "answered page:1",
    "before the confirmation": "confirm ticket:1",
    "after the confirmation": "confirmed ticket:1",
    "after its answer": "cared",
    "before a question": "ask",
    "after a question": "asked",
    "before the intent of the edit": "taken page:2",
    "after the intent of the edit": "intent page:2",
    "after the call, the edit": "called page:2",
    "after the answer, the edit": "answered page:2",
    "before an audit": "audit",
    "after an audit": "audited",
    "before publishing": "publish",
    "after publishing, before it is forgotten": "said",
    "after publishing": "published",
}
MEANWHILE = ("ticket, asked", "ticket, answered", "page, asked", "page, answered")
DURING = {f"during the call of a {name}": name for name in MEANWHILE}
RANDOM, BOTH, POSTGRES, KAFKA = "at a random time", "both workers", "PostgreSQL", "Kafka"
CUT = {f"network cut, {name}; then a worker": name for name in MEANWHILE}
DETECT, DETECT_BESIDE = "detect, during a rebalance", "detect, just after one"
SHARES = {RANDOM: 0.10, BOTH: 0.06, POSTGRES: 0.025, KAFKA: 0.015}
DURING_SHARE, CUT_SHARE = 0.08, 0.06
NTH_MAX = 4

CREATE, POST = "/rest/api/*/issue", "chat.postMessage"
AFTER = ("reset", "close", "stall", "truncated", "wrong_content_type")
CODES = (408, 500, 502, 503, 504)


KINDS = {point: kind for kind, point in STEPS.items()}


class Kill(NamedTuple):
    kind: str
    nth: int = 1


def planned(kills: int, source: random.Random) -> list[Kill]:
    """As many as asked for; each kind at least once where there is room."""
    kinds = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * kills)))]
    for names, share in ((DURING, DURING_SHARE), (CUT, CUT_SHARE)):
        kinds += [name for name in names for _ in range(max(1, round(share * kills / len(names))))]
    steps = list(STEPS)
    kinds = [*kinds, *(steps[n % len(steps)] for n in range(max(0, kills - len(kinds))))]
    source.shuffle(kinds)
    return [Kill(kind, source.randint(1, NTH_MAX)) for kind in kinds[:kills]]


def weather(source: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Some of the fault menu for Jira and for Slack, each in its own rhythm; now and then a calm day."""
    if source.random() < 0.15:
        return [], []
    jira = [_fault(source, CREATE, "POST") for _ in range(source.randint(1, 3))]
    slack = [_fault(source, POST, "POST") for _ in range(source.randint(1, 2))]
    if source.random() < 0.5:
        jira.append(_fault(source, "/rest/api/*/search/jql", "GET"))
    if source.random() < 0.4:
        jira.append(_fault(source, "/rest/api/*/issue/*", "PUT"))
    if source.random() < 0.3:
        jira.append(_fault(source, "/rest/api/*/issue/**", "*"))
    if source.random() < 0.4:
        slack.append(_fault(source, "conversations.history", "*"))
    if source.random() < 0.3:
        slack.append(_fault(source, "chat.update", "POST"))
    return jira, slack


def _fault(source: random.Random, path: str, method: str) -> dict[str, Any]:
    fault: dict[str, Any] = {"path": path, "method": method, "every": source.randint(2, 7), "times": None}
    fault["when"] = source.choice(("before", "after", "after"))
    roll = source.random()
    if roll < 0.45:
        fault["kind"] = source.choice(AFTER)
    elif roll < 0.70:
        fault |= {"kind": "status", "code": source.choice(CODES)}
    elif roll < 0.82:  # 429 says that nothing was done
        fault |= {"kind": "status", "code": 429, "when": "before"}
        fault["headers"] = source.choice(({"Retry-After": "1"}, {}))
    else:  # before the effect it is a late commit, beyond the moment at which we ask
        fault |= {"kind": "hang", "seconds": round(source.uniform(0.5, 12.0), 1)}
        fault["when"] = source.choice(("before", "before", "after"))
    return fault
