"""What a pipeline says about a release, as an event. Said again by the same run it is the same event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from .records import (
    Actor,
    DeliveryEvent,
    ReleaseDeployed,
    ReleaseDeployedData,
    ReleaseRegistered,
    ReleaseRegisteredData,
)

KINDS = ("human", "policy", "model", "default", "ci")
RUNS = (
    ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    ("CI_JOB_ID",),
    ("BUILD_TAG",),
    ("BUILDKITE_JOB_ID",),
    ("SYSTEM_JOBID",),
)
SOURCES = ("GITHUB_REPOSITORY", "CI_PROJECT_PATH", "JOB_NAME", "BUILDKITE_PIPELINE_SLUG", "BUILD_REPOSITORY_NAME")

_decoder: msgspec.json.Decoder[DeliveryEvent] = msgspec.json.Decoder(DeliveryEvent)


class Run(NamedTuple):
    """Who says it: a pipeline's source, and which of its runs."""

    source: str
    id: str


def run_of(environment: Mapping[str, str], at: datetime) -> Run:
    """The run of the pipeline as its own variables name it; where there is none, the second stands for it."""
    source = next((environment[name] for name in SOURCES if environment.get(name)), "command")
    named = next((names for names in RUNS if all(environment.get(name) for name in names)), ())
    run = "/".join(environment[name] for name in named) or at.isoformat(timespec="seconds")
    return Run(f"/ci/{source}"[:512], run)


def event(data: ReleaseRegisteredData | ReleaseDeployedData, run: Run, at: datetime) -> bytes:
    """Raises msgspec.ValidationError when a value is too long, or of a wrong shape."""
    kind = ReleaseRegistered if isinstance(data, ReleaseRegisteredData) else ReleaseDeployed
    said = msgspec.json.encode((kind.__struct_config__.tag, data, run.id), order="deterministic")
    made = kind(
        specversion="1.0",
        id=f"release-{blake2b(said, digest_size=16).hexdigest()}",
        source=run.source,
        time=at,
        data=data,  # type: ignore[arg-type]
    )
    value = msgspec.json.encode(made)
    _decoder.decode(value)
    return value


def actor(said: str) -> Actor:
    """`ann`, `human:ann`, `policy:canary`."""
    kind, colon, name = said.partition(":")
    return Actor(kind, name) if colon and kind in KINDS else Actor("human", said)
