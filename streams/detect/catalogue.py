"""Every detector, in one list. Adding one is a file, a line here, a stanza in policy.toml and three example tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .agents import Given
from .scope.agent_budgets import AgentBudget
from .scope.behaviour import BehaviourDrift
from .scope.bypasses import GateBypass
from .scope.cases import EvaluatorFlakes, EvaluatorRegressions
from .scope.conflicts import EffectConflict
from .scope.cost_peers import CostPeers
from .scope.cost_rate import CostRate
from .scope.cost_telemetry import TelemetryMissing, Unpriced
from .scope.dependencies import DependencyErrors
from .scope.deployments import RollbackFailed, UpdatesFailed
from .scope.distribution import VersionDistribution
from .scope.evaluator_broken import EvaluatorBroken
from .scope.evaluator_drift import EvaluatorDrift
from .scope.evaluator_failures import EvaluatorFailures
from .scope.exposure import ExposureMinutes
from .scope.feedback import NegativeFeedback
from .scope.fleet import CrashLoop, FleetSilent
from .scope.novelties import MetricNovelty
from .scope.objectives import ObjectiveBurn
from .scope.owners import OwnerMissing
from .scope.permissions import DeniedSpike
from .scope.pipeline import PipelineSelf
from .scope.providers import ProviderIncident
from .scope.releases import VersionRegression
from .scope.retrievals import RetrievalEmpty
from .scope.session_failures import SessionFailures
from .scope.skew import ConfigSkew
from .scope.success_runaway import SuccessRunaway
from .scope.telemetry import TelemetryGap, TelemetryLate
from .scope.tool_latency import ToolLatency
from .session.approval_missing import ApprovalMissing
from .session.approvals import ApprovalStalled
from .session.blast_radius import BlastRadius
from .session.budget import RootBudget
from .session.calls import ModelFacts, ToolFacts
from .session.context import ContextPressure
from .session.cost import SessionCost
from .session.decisions import DecisionMismatch
from .session.effect_checkpoints import EffectWithoutCheckpoint
from .session.evaluations import CriticalEvaluator, EvaluationFacts
from .session.exposure import ExposureFacts
from .session.guardrails import GuardrailTriggered
from .session.handoffs import HandoffCycle
from .session.identical_calls import IdenticalCalls
from .session.liveness import LivenessOnly
from .session.outcomes import OutcomeContradiction
from .session.overrun import SessionOverrun
from .session.owners import OwnerFacts
from .session.rejections import IntakeRejections
from .session.repeats import LoopDetector, Loops
from .session.reports import NumberFacts, PermissionFacts
from .session.retry_share import RetryShare
from .session.rollbacks import RollbackPerformed, RollbackWithoutCheckpoint
from .session.sequences import Sequences
from .session.silent_failures import SilentFailure
from .session.stale_loops import StaleLoops
from .session.stuck import SessionStuck
from .session.tool_errors import RepeatedToolError
from .session.tools_skipped import ToolSkipped
from .session.tools_unknown import ToolUnknown
from .session.totals import SessionFacts
from .session.violations import PermissionViolation

SESSION_DETECTORS: tuple[Any, ...] = (
    RepeatedToolError,
    IdenticalCalls,
    StaleLoops,
    Sequences,
    SessionCost,
    RootBudget,
    RetryShare,
    SessionOverrun,
    ContextPressure,
    SessionStuck,
    LivenessOnly,
    ApprovalStalled,
    HandoffCycle,
    GuardrailTriggered,
    ApprovalMissing,
    PermissionViolation,
    RollbackPerformed,
    RollbackWithoutCheckpoint,
    EffectWithoutCheckpoint,
    BlastRadius,
    ToolUnknown,
    ToolSkipped,
    DecisionMismatch,
    OutcomeContradiction,
    SilentFailure,
    CriticalEvaluator,
    IntakeRejections,
)
SCOPE_DETECTORS: tuple[Any, ...] = (
    EvaluatorFailures,
    DependencyErrors,
    ProviderIncident,
    CrashLoop,
    FleetSilent,
    TelemetryGap,
    TelemetryLate,
    DeniedSpike,
    ConfigSkew,
    EffectConflict,
    PipelineSelf,
    SessionFailures,
    EvaluatorDrift,
    EvaluatorBroken,
    EvaluatorFlakes,
    EvaluatorRegressions,
    NegativeFeedback,
    ObjectiveBurn,
    OwnerMissing,
    VersionRegression,
    VersionDistribution,
    BehaviourDrift,
    CostRate,
    CostPeers,
    AgentBudget,
    SuccessRunaway,
    Unpriced,
    TelemetryMissing,
    MetricNovelty,
    ToolLatency,
    RetrievalEmpty,
)
DELIVERY_DETECTORS: tuple[Any, ...] = (RollbackFailed, UpdatesFailed, GateBypass)  # over what CI says: learn runs them
DETECTORS = SESSION_DETECTORS + SCOPE_DETECTORS + DELIVERY_DETECTORS
FACTS: tuple[Any, ...] = (
    EvaluationFacts,
    ExposureFacts,
    SessionFacts,
    ToolFacts,
    ModelFacts,
    PermissionFacts,
    NumberFacts,
    OwnerFacts,
)
NOTHING_GIVEN = Given()


def session_deciders(stanzas: Mapping[str, Any], given: Given = NOTHING_GIVEN) -> tuple[Any, ...]:
    """What folds the timeline: detectors with their thresholds, then what says facts."""
    said = (facts(given.bucket_s) for facts in FACTS)
    return (*_gathered(session_detectors(stanzas, given)), *said)


def session_detectors(stanzas: Mapping[str, Any], given: Given = NOTHING_GIVEN) -> list[Any]:
    """Each by itself, as the contract suite tests them."""
    return _made(SESSION_DETECTORS, stanzas, given)


def scope_deciders(stanzas: Mapping[str, Any], given: Given = NOTHING_GIVEN) -> tuple[Any, ...]:
    """What folds the facts."""
    return (*_made(SCOPE_DETECTORS, stanzas, given), ExposureMinutes(given.minute_s))


def delivery_deciders(stanzas: Mapping[str, Any], given: Given = NOTHING_GIVEN) -> tuple[Any, ...]:
    """What reads deployments."""
    return tuple(_made(DELIVERY_DETECTORS, stanzas, given))


def _gathered(detectors: list[Any]) -> list[Any]:
    """Detectors of loops remember the same calls: together they do it once."""
    loops = tuple(one for one in detectors if isinstance(one, LoopDetector))
    return [*(one for one in detectors if one not in loops), *([Loops(loops)] if loops else [])]


def _made(detectors: tuple[Any, ...], stanzas: Mapping[str, Any], given: Given) -> list[Any]:
    made = []
    for detector in detectors:
        stanza = stanzas[detector.name]
        made.append(
            detector(
                stanza.thresholds,
                stanza.severity,
                given,
                stanza.overrides,
                dry_run=stanza.dry_run,
                control=stanza.control,
            ),
        )
    return made
