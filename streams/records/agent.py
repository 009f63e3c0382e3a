"""The nine events that agents send. No prompt, argument or result text is required by any field."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .calls import Effect, LlmCalled, ToolCalled
from .envelope import (
    Actor,
    Attribution,
    Count,
    Ctx,
    Error,
    Event,
    Hash,
    Id,
    Milliseconds,
    Money,
    Name,
    Number,
    Open,
    PolicyRef,
    Short,
    Status,
    Text,
    Uri,
    When,
)

Links = Annotated[dict[str, Uri], Meta(max_length=32)]
Names = Annotated[list[Name], Meta(max_length=512)]


class Task(Struct, frozen=True, omit_defaults=True, gc=False):
    id: Short | None = None
    kind: Short | None = None
    title: Short | None = None


class Budget(Struct, frozen=True, omit_defaults=True, gc=False):
    cost: Money | None = None
    tokens: Count | None = None


class SessionStartedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    attribution: Attribution | None = None
    trigger: Short | None = None
    task: Task | None = None
    model: Short | None = None
    channel: Short | None = None
    config_hash: Hash | None = None
    prompt_hash: Hash | None = None
    tools_hash: Hash | None = None
    budget: Budget | None = None
    links: Links | None = None
    tools: Names | None = None
    expected_tools: Names | None = None
    expected_effects: Names | None = None  # kinds of effects without which the work was not done


class SessionStarted(Event, tag="agent.session.started.v1"):
    data: SessionStartedData


class Activity(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a waiting agent waits for, and since when."""

    kind: Annotated[str, Meta(max_length=32)]  # tool, model, approval, subagent
    ref: Short | None = None
    since: When | None = None


class HeartbeatData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    state: Annotated[str, Meta(max_length=32)]  # running, waiting, idle, paused; serving: no piece of work
    interval_s: Annotated[float, Meta(gt=0, le=86_400)]
    activity: Activity | None = None
    context_ratio: Annotated[float, Meta(ge=0, le=10)] | None = None
    breaker_seen: Short | None = None
    numbers: Annotated[dict[str, Number], Meta(max_length=64)] | None = None


class Heartbeat(Event, tag="agent.heartbeat.v1"):
    data: HeartbeatData


class Rejected(Struct, frozen=True, omit_defaults=True, gc=False):
    option: Short
    reason: Text | None = None


class DecisionMadeData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    decision_id: Id
    chosen: Short
    kind: Annotated[str, Meta(max_length=32)] | None = None  # plan, tool, handoff, stop
    rejected: Annotated[list[Rejected], Meta(max_length=64)] | None = None
    inputs_ref: Uri | None = None
    tools_hash: Hash | None = None


class DecisionMade(Event, tag="agent.decision.made.v1"):
    data: DecisionMadeData


class PermissionResult(Open):
    allowed = "allowed"
    denied = "denied"
    pending = "pending"
    expired = "expired"
    other = "other"


class PermissionCheckedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    request_id: Id
    action: Name
    result: PermissionResult
    decided_by: Actor
    policy: PolicyRef | None = None
    resource: Uri | None = None
    customer_data: bool = False
    reason: Text | None = None
    wait_ms: Milliseconds | None = None
    call_id: Id | None = None
    channel: Short | None = None
    evidence_ref: Uri | None = None


class PermissionChecked(Event, tag="agent.permission.checked.v1"):
    data: PermissionCheckedData


class Evaluator(Struct, frozen=True, omit_defaults=True, gc=False):
    name: Name
    kind: Annotated[str, Meta(max_length=16)] = "CODE"  # CODE, LLM, HUMAN
    version: Short = ""


class Target(Struct, frozen=True, omit_defaults=True, gc=False):
    scope: Annotated[str, Meta(max_length=16)] = "session"  # span, run, session
    id: Id | None = None


class EvalScoredData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """`passed` is None when the evaluator itself failed: neither a pass nor a failure."""

    ctx: Ctx
    evaluator: Evaluator
    status: Status
    target: Target | None = None
    score: Number | None = None
    label: Short | None = None
    passed: bool | None = None
    threshold: Number | None = None
    direction: Annotated[str, Meta(max_length=16)] | None = None
    explanation: Text | None = None
    case_id: Id | None = None
    error: Error | None = None
    cost: Money | None = None

    def __post_init__(self) -> None:
        if self.status != Status.ok and self.passed is not None:
            raise ValueError("`passed` must be absent when the evaluator's status is not ok")


class EvalScored(Event, tag="agent.eval.scored.v1"):
    data: EvalScoredData


class Diff(Struct, frozen=True, omit_defaults=True, gc=False):
    files: Count = 0
    insertions: Count = 0
    deletions: Count = 0
    ref: Uri | None = None
    hash: Hash | None = None


class CheckpointRecordedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    checkpoint_id: Id
    op: Annotated[str, Meta(max_length=16)]  # create, restore, discard
    result: Status
    parent_checkpoint_id: Id | None = None
    uri: Uri | None = None
    scope: Annotated[list[Uri], Meta(max_length=256)] | None = None
    diff: Diff | None = None
    initiated_by: Actor | None = None
    permission_id: Id | None = None
    reason: Text | None = None
    duration_ms: Milliseconds | None = None
    unrecoverable: Annotated[list[Uri], Meta(max_length=256)] | None = None


class CheckpointRecorded(Event, tag="agent.checkpoint.recorded.v1"):
    data: CheckpointRecordedData


class SessionStatus(Open):
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    timed_out = "timed_out"
    halted = "halted"
    unknown = "unknown"
    other = "other"


class Totals(Struct, frozen=True, omit_defaults=True, gc=False):
    llm_calls: Count | None = None
    tool_calls: Count | None = None
    tool_errors: Count | None = None
    retries: Count | None = None
    tokens: Count | None = None
    cost: Money | None = None
    retry_cost: Money | None = None


class SessionEndedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    status: SessionStatus
    verified: bool | None = None
    stop_reason: Short | None = None
    totals: Totals | None = None
    final_effects: Annotated[list[Effect], Meta(max_length=256)] | None = None
    duration_ms: Milliseconds | None = None


class SessionEnded(Event, tag="agent.session.ended.v1"):
    data: SessionEndedData


AgentEvent = (
    SessionStarted
    | Heartbeat
    | LlmCalled
    | ToolCalled
    | DecisionMade
    | PermissionChecked
    | EvalScored
    | CheckpointRecorded
    | SessionEnded
)
