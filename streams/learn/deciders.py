"""Who decides in learn, what they are told, and who writes down what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from .. import topics
from ..detect.catalogue import delivery_deciders
from ..policy import Policy
from ..records import (
    Approval,
    ApprovalAnswered,
    ApprovalAsked,
    Bypassed,
    CaseWritten,
    Confirmed,
    ControlAsked,
    Deployed,
    Finding,
    Freeze,
    Frozen,
    Granted,
    Labelled,
    Notice,
    Obligation,
    Outcome,
    Overridden,
    Override,
    OverrideApproved,
    OverrideEnded,
    Probed,
    RegressionCase,
)
from ..respond import book
from ..respond.routing import BookValues
from ..step import Decider
from . import finding
from .cases import casebook
from .cases.making import Cases, case_id
from .controls import questions
from .controls.approvals import Approvals
from .controls.commanding import Commanding
from .controls.desks import Values as BreakerValues
from .controls.switches import Controls
from .gates import ruling
from .gates.comparing import Comparisons, Cut
from .gates.overriding import Freezing, Overriding
from .gates.pairing import SPAN, STEPS, THIN, pairs
from .gates.reading import Choosing
from .power import limits
from .power.calibration import Calibration
from .power.crediting import Crediting
from .power.powers import Powers
from .power.proposing import Proposing
from .power.weighing import Values as Weighing
from .releases import fixes
from .releases.fixing import Rules as Proving
from .releases.lineage import Graph
from .settling import Write

TOLD = (
    Outcome
    | Confirmed
    | Granted
    | Labelled
    | Override
    | OverrideApproved
    | OverrideEnded
    | Freeze
    | ControlAsked
    | Probed
    | ApprovalAsked
    | ApprovalAnswered
    | CaseWritten
    | Deployed
    | Bypassed
)


class Wired:
    """Learners, wired from the policy."""

    told = TOLD

    def __init__(self, policy: Policy, pages: str = "", deployment: str = "tocsin") -> None:
        believed = msgspec.convert(policy, BookValues, from_attributes=True)
        values = msgspec.structs.replace(believed, pages_url=pages, deployment=deployment)
        self.deciders: tuple[Decider[Any], ...] = deciders(policy, values)

    def fold(self, memories: Mapping[book.Address, Any], inputs: Sequence[Any]) -> Any | set[book.Address]:
        folded = book.fold(self.deciders, memories, inputs)
        return folded.keys if isinstance(folded, book.Missing) else folded

    def woken(self, decider: str, key: str, at: datetime) -> book.Woken:
        return book.Woken(decider, key, at)


def deciders(policy: Policy, values: BookValues) -> tuple[Decider[Any], ...]:
    """In the order in which they answer. What one says, the others read in the same transaction."""
    controls = Controls(msgspec.convert(policy.breaker, BreakerValues, from_attributes=True))
    weighing = msgspec.convert(policy.calibration, Weighing, from_attributes=True)
    thresholds = {name: stanza.thresholds for name, stanza in policy.detectors.items()}
    power = (Crediting(), Calibration(policy.calibration.starts, weighing), Proposing(thresholds))
    delivery = delivery_deciders(policy.detectors, policy.given)
    return (Overriding(), Freezing(), controls, Cases(policy.digest), Approvals(values), *power, *delivery)


def writers(commanding: Commanding, findings: str = topics.FINDINGS.name, policy: str = "") -> dict[type, Write]:
    """Who writes down what deciders say. `findings` is their topic, `policy` the digest they are said under."""
    return {
        Finding: finding.published(findings, policy),
        Overridden: ruling.overridden,
        Frozen: ruling.frozen,
        Notice: ruling.noticed,
        Approval: questions.approved,
        Obligation: questions.owed,
        RegressionCase: casebook.written(topics.OUTCOMES.name),
        **commanding.writers(),
        **Powers(topics.OUTCOMES.name, limits.preview).writers(),
    }


def choosing(policy: Policy) -> Choosing:
    """Which releases gates see compared, and how."""
    measures = sorted({name for gate in policy.gates.values() for name in gate.measures})
    return Choosing(pairs, Comparisons(Cut(SPAN, THIN, STEPS), measures))


def proving(policy: Policy) -> Proving:
    """How fixes are verified."""
    believed = fixes.Limits(policy.fixing.calls_min, policy.fixing.runs_min)
    return Proving(case_id, Graph, fixes.judging(believed))
