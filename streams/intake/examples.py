"""A small valid event of each type: shown beside an invalid one, and committed in schemas/examples."""

from __future__ import annotations

from typing import Any

import msgspec

_CTX = {
    "session_id": "s-7f3a",
    "run_id": "r-1",
    "agent": {"id": "checkout-assistant", "version": "2.4.0"},
    "env": "prod",
}
_MONEY = {"amount": "0.0042", "currency": "USD"}

_DATA: dict[str, dict[str, Any]] = {
    "agent.session.started.v1": {
        "ctx": _CTX,
        "attribution": {
            "system": "checkout",
            "account": "acme",
            "policy": {"id": "refunds", "version": "3"},
            "operator": {"team": "payments", "contact": "payments@example.com"},
        },
        "trigger": "user",
        "task": {"id": "t-1", "title": "Refund an order"},
        "budget": {"cost": {"amount": "1.50", "currency": "USD"}, "tokens": 200000},
    },
    "agent.heartbeat.v1": {
        "ctx": _CTX,
        "state": "waiting",
        "interval_s": 30,
        "activity": {"kind": "approval", "ref": "p-1", "since": "2026-01-05T09:00:00Z"},
    },
    "agent.llm.called.v1": {
        "ctx": _CTX,
        "call_id": "c-1",
        "provider": "openai",
        "model": "gpt-5-mini",
        "status": "ok",
        "duration_ms": 812,
        "tokens": {"input": 1200, "output": 80, "cache_read": 900},
        "cost": _MONEY,
        "finish_reasons": ["stop"],
    },
    "agent.tool.called.v1": {
        "ctx": _CTX,
        "call_id": "c-2",
        "tool": {"name": "orders.refund", "server": "orders"},
        "status": "error",
        "duration_ms": 40,
        "args_hash": "hmac-sha256:5d41402abc4b2a76",
        "error": {"type": "Timeout", "template": "orders did not answer within <n> s"},
    },
    "agent.decision.made.v1": {
        "ctx": _CTX,
        "decision_id": "d-1",
        "chosen": "orders.refund",
        "kind": "tool",
        "rejected": [{"option": "orders.cancel", "reason": "already shipped"}],
    },
    "agent.permission.checked.v1": {
        "ctx": _CTX,
        "request_id": "p-1",
        "action": "orders.refund",
        "result": "allowed",
        "decided_by": {"kind": "human", "id": "u-17"},
        "policy": {"id": "refunds", "version": "3"},
        "wait_ms": 4200,
    },
    "agent.eval.scored.v1": {
        "ctx": _CTX,
        "evaluator": {"name": "refund-correctness", "kind": "CODE", "version": "1"},
        "status": "ok",
        "score": 0.2,
        "passed": False,
        "threshold": 0.8,
    },
    "agent.checkpoint.recorded.v1": {
        "ctx": _CTX,
        "checkpoint_id": "k-1",
        "op": "create",
        "result": "ok",
        "diff": {"files": 2, "insertions": 10, "deletions": 1},
    },
    "agent.session.ended.v1": {
        "ctx": _CTX,
        "status": "failed",
        "verified": False,
        "stop_reason": "three refunds in a row timed out",
        "totals": {"llm_calls": 9, "tool_calls": 14, "tool_errors": 3, "cost": _MONEY},
    },
    "release.registered.v1": {"agent": "checkout-assistant", "release": "2.4.0", "parents": ["2.3.1"]},
    "release.deployed.v1": {
        "agent": "checkout-assistant",
        "release": "2.4.0",
        "environment": "prod",
        "op": "promote",
        "result": "ok",
    },
    "case.scored.v1": {
        "case_id": "refund-after-shipping",
        "agent": "checkout-assistant",
        "release": "2.4.0",
        "runs": 20,
        "passes": 19,
    },
}

TYPES: tuple[str, ...] = tuple(_DATA)


def example(type_name: str) -> dict[str, Any]:
    """A fresh copy of the example; KeyError for a type that producers do not send."""
    event = {
        "specversion": "1.0",
        "type": type_name,
        "id": "01-" + type_name,
        "source": "/checkout/checkout-assistant",
        "time": "2026-01-05T09:00:00.250Z",
        "datacontenttype": "application/json",
        "data": _DATA[type_name],
    }
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return copy


def example_text(type_name: str) -> str:
    """The example as a line of JSON, for a hint."""
    return msgspec.json.encode(example(type_name)).decode()
