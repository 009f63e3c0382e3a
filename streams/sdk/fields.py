"""What each kind of event may say besides whose work it is; the fields of records, each optional where theirs is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypedDict

from ..records import (
    Activity,
    Actor,
    Attribution,
    Budget,
    Diff,
    Effect,
    Error,
    Evaluator,
    Money,
    PolicyRef,
    Rejected,
    Resource,
    Status,
    Target,
    Task,
    Tokens,
    Tool,
    Totals,
)


class StartedFields(TypedDict, total=False):
    attribution: Attribution
    trigger: str
    task: Task
    model: str
    channel: str
    config_hash: str
    prompt_hash: str
    tools_hash: str
    budget: Budget
    links: dict[str, str]
    tools: list[str]
    expected_tools: list[str]
    expected_effects: list[str]


class BeatFields(TypedDict, total=False):
    interval_s: float
    activity: Activity
    context_ratio: float
    breaker_seen: str
    numbers: dict[str, float]


class ModelFields(TypedDict, total=False):
    duration_ms: int
    tokens: Tokens
    cost: Money
    finish_reasons: list[str]
    error: Error
    attempt: int
    retry_of: str
    retry_reason: str
    resources: list[Resource]
    context_limit: int
    response_id: str


class ToolFields(TypedDict, total=False):
    duration_ms: int
    by: str
    args_hash: str
    result_hash: str
    result_bytes: int
    empty: bool
    hits: int
    top_score: float
    error: Error
    attempt: int
    retry_of: str
    retry_reason: str
    resources: list[Resource]
    effect: Effect
    checkpoint_id: str
    permission_id: str
    cost: Money
    mcp_session_id: str


class DecisionFields(TypedDict, total=False):
    kind: str
    rejected: list[Rejected]
    inputs_ref: str
    tools_hash: str


class PermissionFields(TypedDict, total=False):
    policy: PolicyRef
    resource: str
    customer_data: bool
    reason: str
    wait_ms: int
    call_id: str
    channel: str
    evidence_ref: str


class ScoreFields(TypedDict, total=False):
    target: Target
    score: float
    label: str
    passed: bool
    threshold: float
    direction: str
    explanation: str
    case_id: str
    error: Error
    cost: Money


class CheckpointFields(TypedDict, total=False):
    parent_checkpoint_id: str
    uri: str
    scope: list[str]
    diff: Diff
    initiated_by: Actor
    permission_id: str
    reason: str
    duration_ms: int
    unrecoverable: list[str]


class EndedFields(TypedDict, total=False):
    verified: bool
    stop_reason: str
    totals: Totals
    final_effects: list[Effect]
    duration_ms: int


def tool_named(tool: Tool | str) -> Tool:
    return tool if isinstance(tool, Tool) else Tool(f"{tool}"[:256])


def evaluator_named(evaluator: Evaluator | str) -> Evaluator:
    return evaluator if isinstance(evaluator, Evaluator) else Evaluator(f"{evaluator}"[:256])


def by_whom(actor: Actor | str) -> Actor:
    return actor if isinstance(actor, Actor) else Actor("human", f"{actor}")


def status_named(status: Status | str) -> Status:
    return Status(status)


def money(amount: Any, currency: str = "USD") -> Money:
    """An amount as a number or decimal string."""
    return Money(amount if isinstance(amount, Decimal) else Decimal(str(amount)), currency)
