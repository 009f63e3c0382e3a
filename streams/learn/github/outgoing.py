"""Wires what GitHub is told: the gate as learn sees it, the words for its answer, and who notes a bypass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from prometheus_client import Counter

from ... import topics
from ...records import GateQuestion, GateValues, Hook
from ...respond.receivers.http_wire import Wire
from ...settings import Settings
from ..gates import bypassing
from ..gates import rules as gates
from ..gates.standing import Standing
from . import callbacks
from .calling import Asked, Calling, Rules
from .client import GitHub
from .identity import Tokens


def wanted(settings: Settings) -> bool:
    """Whether we may answer. Who asks is the web role's business, which needs no credentials of ours."""
    return bool(settings.github_token or settings.github_app)


def github(settings: Settings) -> GitHub:
    wire = Wire(timeout_s=settings.call_timeout_s)
    app = (settings.github_app, settings.github_key)
    return GitHub(wire, settings.github_url, Tokens(wire, settings.github_url, settings.github_token, app))


def calling(
    outside: GitHub, settings: Settings, values: Mapping[str, GateValues], standing: Standing, said: Counter
) -> Calling:
    rules = Rules(asking(values, standing), callbacks.callback, callbacks.over, bypassing.record)
    return Calling(outside, rules, topics.GATES.name, said, ask_after_s=settings.ask_after_s)


def asking(values: Mapping[str, GateValues], standing: Standing) -> Callable[[Hook, datetime], Asked | None]:
    """The gate's answer from what learn looked at last; how old that is, the answer says itself."""

    def ask(hook: Hook, now: datetime) -> Asked | None:
        known, gate = standing.looked, values.get(hook.gate)
        if known is None or gate is None:
            return None
        index, read_at, watermark = known
        question = GateQuestion(hook.agent, hook.release, hook.environment)
        inputs = index.inputs(question, read_at, watermark)
        return Asked(gates.decide(gate, inputs, now), gate, inputs)

    return ask
