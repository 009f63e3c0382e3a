"""The two calls an agent makes: of a model and of a tool."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .envelope import Count, Ctx, Error, Event, Hash, Id, Milliseconds, Money, Name, Number, Short, Status, Uri

CallTokens = Annotated[int, Meta(ge=0, le=10**9)]  # of one call; more is a mistake of units or of a sum, not a call


class Resource(Struct, frozen=True, omit_defaults=True, gc=False):
    uri: Uri
    op: Annotated[str, Meta(max_length=16)] = "read"  # read, write, exec, net


class Effect(Struct, frozen=True, omit_defaults=True, gc=False):
    kind: Short
    target: Uri | None = None
    ref: Uri | None = None
    reversible: bool | None = None
    customer_data: bool = False


class Tokens(Struct, frozen=True, omit_defaults=True, gc=False):
    """As OpenTelemetry counts: `input` includes what was read from and written to a cache, `output` the reasoning."""

    input: CallTokens
    output: CallTokens
    cache_read: CallTokens | None = None
    cache_write: CallTokens | None = None
    reasoning: CallTokens | None = None


class LlmCalledData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    call_id: Id
    provider: Name
    model: Name
    status: Status
    duration_ms: Milliseconds | None = None
    tokens: Tokens | None = None
    cost: Money | None = None  # absent: unpriced, never free
    finish_reasons: Annotated[list[Short], Meta(max_length=16)] | None = None
    error: Error | None = None
    attempt: Count | None = None
    retry_of: Id | None = None
    retry_reason: Short | None = None
    resources: Annotated[list[Resource], Meta(max_length=256)] | None = None
    context_limit: Count | None = None
    response_id: Id | None = None


class LlmCalled(Event, tag="agent.llm.called.v1"):
    data: LlmCalledData


class Tool(Struct, frozen=True, omit_defaults=True, gc=False):
    name: Name
    type: Short | None = None
    server: Short | None = None


class ToolCalledData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    ctx: Ctx
    call_id: Id
    tool: Tool
    status: Status
    duration_ms: Milliseconds | None = None
    by: Annotated[str, Meta(max_length=32)] = "agent"  # who called it: agent, user
    args_hash: Hash | None = None
    result_hash: Hash | None = None
    result_bytes: Count | None = None
    empty: bool | None = None  # it answered nothing: null, [], "no results", a diff of no lines
    hits: Count | None = None  # of a retrieval: how many documents it found
    top_score: Number | None = None  # of a retrieval: the best document's
    error: Error | None = None
    attempt: Count | None = None
    retry_of: Id | None = None
    retry_reason: Short | None = None
    resources: Annotated[list[Resource], Meta(max_length=256)] | None = None
    effect: Effect | None = None
    checkpoint_id: Id | None = None
    permission_id: Id | None = None
    cost: Money | None = None
    mcp_session_id: Id | None = None


class ToolCalled(Event, tag="agent.tool.called.v1"):
    data: ToolCalledData
