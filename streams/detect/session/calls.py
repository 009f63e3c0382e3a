"""What calls of tools and models contribute to wider questions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...records import About, Excerpt, Fact, LlmCalled, Status, ToolCalled
from ...step import Order, Step
from ..detector import Nothing
from ..evidence import excerpt
from ..facts import BUCKET_S, bucket_of
from ..fingerprint import skeleton
from ..methods.sketch import index
from .amounts import CALL_NANO_MAX, tokens_of

RESOURCES_MAX = 8  # of one call
KIND_CHARS_MAX = 128  # of an error's class, in its name
MICRO = 10**6
SCORE_MAX = 1e6
WRITES = ("write", "exec")
OK = Status.ok
NOBODY = About()
FAILING = (Status.error, Status.timeout)


class ToolFacts:
    """Kinds tool, tool_error, write and retrieval. A person's denial is no error of the tool."""

    name, version, memory = "facts.tool", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: ToolCalled) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: ToolCalled) -> Step[Nothing]:
        data = record.data
        ctx, tool, status = data.ctx, data.tool, data.status
        sums, well = {"calls": 1}, status is OK
        if not well:
            sums[status.value] = 1
        if data.duration_ms is not None:
            sums[family("ms", data.duration_ms)] = 1
        if data.cost is not None and (nano := data.cost.nano) <= CALL_NANO_MAX:
            sums["nano"] = nano
        bucket = bucket_of(record.time, self.bucket_s)
        address = (ctx.agent.id, ctx.agent.version, ctx.env, tool.name, tool.server or "")
        fact = Fact("tool", address, bucket, sums)
        if well and data.effect is None and data.resources is None and data.hits is None:
            return Step(memory, (fact,))
        said = [fact, _failed(record, bucket)] if not well and status in FAILING else [fact]
        if data.effect is not None or data.resources:
            said += [_written(record, uri, bucket) for uri in _targets(record)]
        if data.hits is not None:
            said.append(_retrieved(record, bucket))
        return Step(memory, tuple(said))


class ModelFacts:
    """Kinds model and provider."""

    name, version, memory = "facts.model", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (LlmCalled,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: LlmCalled) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: LlmCalled) -> Step[Nothing]:
        data, ctx = record.data, record.data.ctx
        bucket, failed = bucket_of(record.time, self.bucket_s), data.status is not OK and data.status in FAILING
        sums = {"calls": 1}
        if failed:
            sums["errors"] = 1
        if data.duration_ms is not None:
            sums[family("ms", data.duration_ms)] = 1
        _weighed(sums, record)
        if data.cost is not None and (nano := data.cost.nano) <= CALL_NANO_MAX:
            sums["nano"] = nano
        if data.finish_reasons and "length" in data.finish_reasons:
            sums["cut"] = 1
        address = (ctx.agent.id, ctx.agent.version, ctx.env, data.provider, data.model)
        model = Fact("model", address, bucket, sums)
        subject = (data.provider, data.model)
        if not failed:
            return Step(memory, (model, Fact("provider", subject, bucket, {"calls": 1})))
        samples = (_evidence(record, data.model),)
        sums = {"calls": 1, "errors": 1}
        return Step(memory, (model, Fact("provider", subject, bucket, sums, marks=(ctx.agent.id,), samples=samples)))


@lru_cache(maxsize=8192)
def family(name: str, value: float) -> str:
    """The name under which a value is counted in a distribution."""
    return f"{name}#{index(value)}"


def dependency_of(record: ToolCalled) -> str:
    """What a tool depends on: its server, or itself."""
    return record.data.tool.server or record.data.tool.name


def _weighed(sums: dict[str, int], record: LlmCalled) -> None:
    """Absurd amounts are no amounts, here and of money: `cost.session` tells of those."""
    tokens = record.data.tokens
    if tokens is None:
        if record.data.cost is not None:
            sums["bare"] = 1
        return
    if tokens_of(record):
        sums["input"], sums["output"] = tokens.input, tokens.output
        if tokens.cache_read:
            sums["cached"] = tokens.cache_read
        if tokens.reasoning:
            sums["reasoning"] = tokens.reasoning
    sums["priced" if record.data.cost is not None else "unpriced"] = 1


def _failed(record: ToolCalled, bucket: Any) -> Fact:
    """Counted under tool, kind and skeleton, so that the wider question may find skeletons that are one trouble."""
    data, ctx, tool, status = record.data, record.data.ctx, record.data.tool.name, record.data.status.value
    kind, text = (data.error.type, data.error.template) if data.error is not None else (None, None)
    words = skeleton(text) if text else ""
    name = f"{tool}\x1f{(kind or status)[:KIND_CHARS_MAX]}\x1f{words}"
    marks = (f"{name}\x1e{ctx.agent.id}\x1f{ctx.root}",)
    samples = (excerpt(record, status, tool, words if text else kind),)
    return Fact("tool_error", (dependency_of(record),), bucket, {name: 1}, NOBODY, marks, samples)


def _evidence(record: LlmCalled | ToolCalled, name: str) -> Excerpt:
    error = record.data.error
    text = skeleton(error.template) if error and error.template else (error.type if error else None)
    return excerpt(record, status=record.data.status.value, tool=name, text=text)


def _targets(record: ToolCalled) -> tuple[str, ...]:
    data = record.data
    if data.status is not Status.ok:
        return ()
    named = [data.effect.target] if data.effect and data.effect.target else []
    written = [one.uri for one in data.resources or () if one.op in WRITES]
    return tuple(dict.fromkeys([*named, *written]))[:RESOURCES_MAX]


def _written(record: ToolCalled, uri: str, bucket: Any) -> Fact:
    ctx = record.data.ctx
    sample = excerpt(record, status="ok", tool=record.data.tool.name)
    mark = f"{ctx.agent.id}\x1f{ctx.root}"
    return Fact("write", (uri, ctx.env), bucket, {"writes": 1}, marks=(mark,), samples=(sample,))


def _retrieved(record: ToolCalled, bucket: Any) -> Fact:
    data, ctx = record.data, record.data.ctx
    sums = {"calls": 1}
    if not data.hits or data.empty:
        sums["empty"] = 1
    if data.top_score is not None:
        sums["scored"] = 1
        sums["score"] = round(max(-SCORE_MAX, min(SCORE_MAX, data.top_score)) * MICRO)
    return Fact("retrieval", (ctx.agent.id, ctx.agent.version, ctx.env, data.tool.name), bucket, sums)
