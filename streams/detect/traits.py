"""What is special about a call: most calls are not, and most detectors care for the others only."""

from __future__ import annotations

from ..records import LlmCalled, Status, ToolCalled

FAILED = 1  # error, timeout, denied, cancelled
EFFECT = 2  # it changed something outside
TOUCHES = 4  # it names resources
PRICED = 8
GUARDED = 16  # it names a permission or a checkpoint
RETRIED = 32  # not the first attempt
RETRIEVAL = 64  # it searched, or says that its result was empty
OK = Status.ok


def traits_of_tool(event: ToolCalled) -> int:
    data = event.data
    found = 0
    if data.status is not OK:
        found |= FAILED
    if data.effect is not None:
        found |= EFFECT
    if data.resources:
        found |= TOUCHES
    if data.cost is not None:
        found |= PRICED
    if data.permission_id is not None or data.checkpoint_id is not None:
        found |= GUARDED
    if data.retry_of is not None or (data.attempt or 0) > 1:
        found |= RETRIED
    if data.hits is not None or data.empty is not None:
        found |= RETRIEVAL
    return found


def traits_of_model(event: LlmCalled) -> int:
    data = event.data
    found = 0
    if data.status is not OK:
        found |= FAILED
    if data.cost is not None or data.tokens is not None:
        found |= PRICED
    if data.retry_of is not None or (data.attempt or 0) > 1:
        found |= RETRIED
    return found
