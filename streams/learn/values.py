"""What each gate believes, as plain values that can be stored beside a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import GateValues


def gate_values(gates: Mapping[str, Any], policy: str, version: str, pages: str) -> dict[str, GateValues]:
    """`gates` are the policy's stanzas by name, `version` is the policy's digest, `pages` where people find the pages."""
    return {
        name: GateValues(
            gate=name,
            policy=policy,
            version=version,
            sessions_min=stanza.sessions_min,
            severities=tuple(stanza.severities),
            inputs_age_s_max=stanza.inputs_age_s_max,
            lag_s_max=stanza.lag_s_max,
            valid_s=stanza.valid_s,
            pages=pages,
        )
        for name, stanza in gates.items()
    }
