"""What once went wrong, as a case that every later release has to pass."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

CaseState = Literal["draft", "ready", "retired"]


class RegressionCase(Struct, frozen=True, tag="regression_case", tag_field="record", omit_defaults=True, kw_only=True):
    """Made of a confirmed outcome. A draft until somebody writes what is expected; a draft never gates."""

    id: str  # hash of agent and failure group (the fingerprint)
    agent: str
    incident: str
    fingerprint: str
    state: CaseState
    title: str
    observed: str = ""
    expectation: str = ""
    input: str = ""  # redacted; empty: only references are known
    evaluators: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # positions of its evidence
    ticket: str = ""
    introduced_in: tuple[str, ...] = ()
    fixed_in: str = ""
    negative: bool = False  # of a false positive: the judge has to let it pass
    redaction: str = ""  # the policy's digest
    at: datetime
    author: str = ""  # of the expectation


class CaseWritten(Struct, frozen=True, tag="case_written", tag_field="record", omit_defaults=True):
    """A person writes what is expected of a case, or retires it."""

    id: str
    actor: str
    at: datetime
    expectation: str | None = None
    input: str | None = None
    retired: bool = False
