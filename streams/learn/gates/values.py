"""What each gate believes, as plain values that can be stored beside a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...records import GateValues, Power

MEASURES_MAX = 4  # with the share of bad sessions five: they share the error


def gate_values(
    gates: Mapping[str, Any], policy: str, version: str, pages: str, start: Mapping[str, Power] | None = None
) -> dict[str, GateValues]:
    """`gates` are the policy's stanzas by name, `version` is the policy's digest, `pages` where people find the pages.

    `start` says what evaluators may cause that nobody has decided on; see records.power.starting.
    """
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
            start=dict(start or {}),
            never_override=tuple(stanza.never_override),
            alpha=stanza.alpha,
            beta=stanza.beta,
            tolerance=stanza.tolerance,
            margin=stanza.margin,
            objective=stanza.objective,
            clean_min=stanza.clean_min,
            coverage_min=stanza.coverage_min,
            cases_min=stanza.cases_min,
            measures=dict(sorted(stanza.measures.items())[:MEASURES_MAX]),
            on_insufficient=stanza.on_insufficient,
            on_unverified=stanza.on_unverified,
            max_wait_s=stanza.max_wait_s,
            sla_s=stanza.sla_s,
            override_s=stanza.override_s,
            override_s_max=stanza.override_s_max,
            shadow=stanza.shadow,
        )
        for name, stanza in gates.items()
    }
