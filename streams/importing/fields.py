"""Which fields of a tau2-bench run file the events carry; everything else is counted by its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

# A message's fields stand under its role: the simulated user's cost and tokens are not the agent's.
# `*` is any name; what stands below a path that is listed belongs to it.
MAPPED = frozenset(
    (
        "info.git_commit",
        "info.environment_info.domain_name",
        "info.agent_info.llm",
        "id",
        "task_id",
        "trial",
        "start_time",
        "end_time",
        "duration",
        "termination_reason",
        "agent_cost",
        "reward_info.reward",
        "reward_info.reward_basis[]",
        "reward_info.reward_breakdown.*",
        "reward_info.info.note",
        "messages[assistant].role",
        "messages[assistant].timestamp",
        "messages[assistant].turn_idx",
        "messages[assistant].cost",
        "messages[assistant].usage.prompt_tokens",
        "messages[assistant].usage.completion_tokens",
        "messages[assistant].tool_calls[]",
        "messages[user].role",
        "messages[user].timestamp",
        "messages[user].tool_calls[]",
        "messages[tool].role",
        "messages[tool].timestamp",
        "messages[tool].id",
        "messages[tool].requestor",
        "messages[tool].error",
        "messages[tool].content",
    )
)
_ABOVE = frozenset(
    path[: end + 1] for path in MAPPED for end in range(len(path)) if path[end + 1 : end + 2] in (".", "[")
)


def unmapped(value: Mapping[str, Any], prefix: str = "") -> Counter[str]:
    """Path -> how often something stood there that no event carries. Nothing (null) is nothing."""
    return Counter(_paths(value, prefix))


def _paths(value: Any, path: str) -> Iterator[str]:
    if value is None or path in MAPPED or _starred(path) in MAPPED:
        return
    if path and path not in _ABOVE:
        yield path
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _paths(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for below in value:
            yield from _paths(below, f"{path}[{_role(below) if path == 'messages' else ''}]")
    else:
        yield path


def _starred(path: str) -> str:
    return path.rpartition(".")[0] + ".*"


def _role(message: Any) -> str:
    return str(message.get("role", "")) if isinstance(message, Mapping) else ""
