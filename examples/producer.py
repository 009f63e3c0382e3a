"""An agent without any SDK: one session whose tool fails three times alike. python producer.py HOST:PORT"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaProducer

SESSION, FAILED = f"session-{uuid4()}", {"type": "Timeout", "template": "orders did not answer in time"}
CTX = {"session_id": SESSION, "run_id": "run-1", "agent": {"id": "checkout-assistant", "version": "2.4.0"}}
STORY = [("session.started", {"attribution": {"system": "checkout", "operator": {"team": "checkout"}}})]
STORY += [
    ("tool.called", {"call_id": f"c{n}", "tool": {"name": "refund"}, "status": "error", "error": FAILED})
    for n in range(3)
]
STORY += [("session.ended", {"status": "failed"})]


async def main(kafka: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for kind, data in STORY:
            event = {"specversion": "1.0", "type": f"agent.{kind}.v1", "id": str(uuid4()), "source": "/checkout"}
            event |= {"time": datetime.now(UTC).isoformat(), "data": {"ctx": CTX, **data}}
            await producer.send_and_wait("agent.events", json.dumps(event).encode(), key=SESSION.encode())
    print(SESSION)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
