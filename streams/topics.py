"""Every topic: name, key, record, partitions, retention, compaction. Creates and verifies them."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from .records import (
    AgentEvent,
    ClockForwarded,
    Control,
    ControlBeat,
    DeadLetter,
    DeliveryEvent,
    Exposure,
    Facts,
    Finding,
    GateDecision,
    Incident,
    Outcome,
    PolicyChanged,
    PowerChanged,
    RegressionCase,
    Watermarks,
)

DAY_MS = 24 * 3600 * 1000
EVENT_BYTES_MAX = 128 * 1024  # intake refuses larger events, and says so
INPUT_BYTES_MAX = 16 * 1024 * 1024  # the input topic lets them in, so that intake can say so
KNOWN_S = 10.0
BATCH_EVENTS_MAX = 100
BATCH_BYTES_MAX = 256 * 1024


class Topic(NamedTuple):
    name: str
    key: str
    records: tuple[object, ...]
    partitions: int = 4
    retention_ms: int = 7 * DAY_MS
    compacted: bool = False
    bytes_max: int = 2 * 1024 * 1024
    internal: bool = False  # belongs to a generation: a new one starts empty and is rebuilt
    clocked: bool = False  # the broker's clock stamps what producers write: "future" is judged against it

    def configs(self) -> dict[str, str]:
        stamped = {"message.timestamp.type": "LogAppendTime"} if self.clocked else {}
        if self.compacted:
            return {
                "cleanup.policy": "compact",
                "min.compaction.lag.ms": "3600000",
                "max.message.bytes": str(self.bytes_max),
            }
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.bytes_max),
            **stamped,
        }


EVENTS = Topic("agent.events", "root session", (AgentEvent,), bytes_max=INPUT_BYTES_MAX, clocked=True)
DELIVERY = Topic("delivery.events", "agent", (DeliveryEvent,), partitions=1, bytes_max=INPUT_BYTES_MAX, clocked=True)
TIMELINE = Topic("tocsin.timeline", "partition = hash(root session)", (AgentEvent, Watermarks), internal=True)
FACTS = Topic("tocsin.facts", "partition = hash(subject)", (Facts, ClockForwarded), internal=True)
FINDINGS = Topic("tocsin.findings", "fingerprint", (Finding,), internal=True)
EXPOSURE = Topic("tocsin.exposure", "agent@release@environment", (Exposure,), partitions=1, internal=True)
INCIDENTS = Topic("tocsin.incidents", "incident", (Incident,), partitions=1, retention_ms=90 * DAY_MS)
OUTCOMES = Topic(
    "tocsin.outcomes",
    "incident, or evaluator",
    (Outcome, PowerChanged, RegressionCase),
    partitions=1,
    retention_ms=90 * DAY_MS,
)
GATES = Topic("tocsin.gates", "agent@release@environment", (GateDecision,), partitions=1, retention_ms=90 * DAY_MS)
POLICY = Topic("tocsin.policy", "digest", (PolicyChanged,), partitions=1, retention_ms=90 * DAY_MS)
CONTROL = Topic("tocsin.control", "scope, or `heartbeat`", (Control, ControlBeat), partitions=1, compacted=True)
DEADLETTERS = Topic("tocsin.deadletters", "source position", (DeadLetter,), partitions=1, retention_ms=30 * DAY_MS)
SESSIONS_CHANGELOG = Topic("tocsin.shelves.sessions", "session", (), compacted=True, internal=True)
SCOPES_CHANGELOG = Topic("tocsin.shelves.scopes", "subject", (), compacted=True, internal=True)

TOPICS = (
    EVENTS,
    DELIVERY,
    TIMELINE,
    FACTS,
    FINDINGS,
    EXPOSURE,
    INCIDENTS,
    OUTCOMES,
    GATES,
    POLICY,
    CONTROL,
    DEADLETTERS,
    SESSIONS_CHANGELOG,
    SCOPES_CHANGELOG,
)


def named(topic: Topic, generation: int) -> str:
    """The topic's name in this generation. Inputs and exports keep theirs."""
    return f"{topic.name}.g{generation}" if topic.internal and generation > 1 else topic.name


class TopicMismatch(Exception):
    """A topic exists but is not what Tocsin needs; the message says which, and what to do."""


async def ensure(bootstrap: str, generation: int = 1, replication: int = 1) -> list[str]:
    """Create what is missing and verify what exists. Answers the names created; raises TopicMismatch."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = {named(topic, generation): topic for topic in TOPICS}
        missing = [name for name in wanted if name not in existing]
        made = await _create(admin, {name: wanted[name] for name in missing}, replication) if missing else []
        await _verify(admin, {name: topic for name, topic in wanted.items() if name not in made})
        return made
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: dict[str, Topic], replication: int) -> list[str]:
    """The names that were really made: another role may have been quicker, or the list was not up to date."""
    made = []
    response = await admin.create_topics(
        [NewTopic(name, topic.partitions, replication, topic_configs=topic.configs()) for name, topic in topics.items()]
    )
    for error in response.topic_errors:
        name, code, *rest = error
        if code not in (0, 36):  # 36: another role created it in the same moment
            raise TopicMismatch(f"Kafka refused to create topic {name} (error {code}): {rest[0] if rest else ''}")
        if code == 0:
            made.append(name)
    return made


async def _verify(admin: AIOKafkaAdminClient, topics: dict[str, Topic]) -> None:
    if not topics:
        return
    described = await _partitions(admin, list(topics))
    problems = [
        f"topic {name} has {described[name]} partitions, Tocsin was set up with {topic.partitions}"
        for name, topic in topics.items()
        if topic.internal and described[name] != topic.partitions
    ]
    problems += await _config_problems(admin, topics)
    if problems:
        hint = "Start a new generation (TOCSIN_GENERATION) for other partition counts, or alter the topic's settings."
        raise TopicMismatch("; ".join(problems) + ". " + hint)


async def _partitions(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """How many each has. One that was made a moment ago is not known at once: asked again, for a while."""
    deadline = time.monotonic() + KNOWN_S
    while True:
        described = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(names)}
        if all(described.get(name) for name in names) or time.monotonic() > deadline:
            return {name: described.get(name, 0) for name in names}
        await asyncio.sleep(0.1)


async def _config_problems(admin: AIOKafkaAdminClient, topics: dict[str, Topic]) -> list[str]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    problems = []
    for response in await admin.describe_configs(resources):
        for resource in response.resources:
            name, entries = resource[3], {entry[0]: entry[1] for entry in resource[4]}
            want = "compact" if topics[name].compacted else "delete"
            if want not in entries.get("cleanup.policy", want):
                problems.append(f"topic {name} must have cleanup.policy={want}, has {entries['cleanup.policy']}")
    return problems
