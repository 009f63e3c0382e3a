"""Topics are made as they must be, and a topic that is not is named with what to do."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.topics import FACTS, TOPICS, TopicMismatch, ensure, named

GENERATION = 77  # of these tests alone: the broker is shared


async def test_what_is_missing_is_made_once(kafka: str) -> None:
    made = await ensure(kafka, GENERATION)
    assert {named(topic, GENERATION) for topic in TOPICS if topic.internal} <= set(made)
    assert await ensure(kafka, GENERATION) == []


async def test_a_topic_with_other_partitions_is_refused_in_words(kafka: str) -> None:
    other = GENERATION + 1
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(named(FACTS, other), FACTS.partitions + 1, 1)])
    finally:
        await admin.close()
    with pytest.raises(TopicMismatch, match=r"has 5 partitions.*TOCSIN_GENERATION"):
        await ensure(kafka, other)
