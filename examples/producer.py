"""An agent without any SDK: one session whose tool fails three times alike. `TOCSIN_KAFKA=host:port python producer.py`"""

import asyncio
import json
import os
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaProducer

SESSION = f"session-{uuid4()}"
CTX = {"session_id": SESSION, "run_id": "run-1", "agent": {"id": "checkout-assistant", "version": "2.4.0"}}


async def main() -> None:
    producer = AIOKafkaProducer(bootstrap_servers=os.environ.get("TOCSIN_KAFKA", "127.0.0.1:9092"))
    await producer.start()

    async def send(kind: str, **data: object) -> None:
        event = {"specversion": "1.0", "type": kind, "id": str(uuid4()), "source": "/checkout/checkout-assistant"}
        event |= {"time": datetime.now(UTC).isoformat(), "data": {"ctx": CTX, **data}}
        await producer.send_and_wait("agent.events", json.dumps(event).encode(), key=SESSION.encode())

    await send("agent.session.started.v1", task={"title": "Refund an order"}, attribution={"system": "checkout"})
    error = {"type": "Timeout", "template": "orders did not answer within <n> s"}
    for n in range(3):
        await send("agent.tool.called.v1", call_id=f"c{n}", tool={"name": "refund"}, status="error", error=error)
    await send("agent.session.ended.v1", status="failed", stop_reason="the refund tool kept failing")
    await producer.stop()
    print(SESSION)


if __name__ == "__main__":
    asyncio.run(main())
