"""What the API says of evaluators, and takes of people."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from ..learn.power.evaluators import Evaluator, Evidence
from ..records import Power, ThresholdProposed
from .documents import Line, Said

LABELS_MAX = 1000
Id = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Evaluators(Struct, frozen=True):
    evaluators: tuple[Evaluator, ...]


class Corrected(Struct, frozen=True):
    """The rate of bad sessions behind the one it reports, with its 90 % interval."""

    rate: float
    low: float
    high: float


class EvaluatorDetail(Struct, frozen=True):
    evaluator: Evaluator
    evidence: Evidence
    corrected: Corrected | None
    kappa: float | None  # its agreement with people, by chance corrected
    constant: float | None  # the agreement that always saying the same would have reached
    recall: str  # in words: what is known of what it overlooks


class Proposals(Struct, frozen=True):
    proposals: tuple[ThresholdProposed, ...]


class GrantGiven(Struct, frozen=True, forbid_unknown_fields=True):
    power: Power
    reason: Annotated[str, Meta(min_length=10, max_length=2000)]
    actor: Line
    source: Said = "web"


class LabelGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """One session: what the evaluator said (once for each run) and what a person says."""

    session: Id
    bad: bool
    flagged: list[bool] = field(default_factory=lambda: [False])


class LabelsGiven(Struct, frozen=True, forbid_unknown_fields=True):
    labels: Annotated[list[LabelGiven], Meta(min_length=1, max_length=LABELS_MAX)]
    actor: Line
    offline: bool = False  # a set of its own, not the random sample
    source: Said = "web"


class Labels(Struct, frozen=True):
    accepted: bool
    evaluator: str
    sessions: int
