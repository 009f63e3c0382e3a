"""An agent of asyncio that may be stopped, and asks a person first. python agent_asks.py URL TOKEN [HOST:PORT]"""

import asyncio
import sys

from streams.sdk import AgentHalted, Approvals, Breaker, Emitter, HttpSink, KafkaSink, NotApproved, end_on_sigterm
from streams.sdk.feeds import HttpFeed

URL, TOKEN, KAFKA = sys.argv[1], sys.argv[2], sys.argv[3:]


async def main() -> str:
    breaker = Breaker(HttpFeed(URL)).start()
    await breaker.ready_soon(10)
    sink = KafkaSink(KAFKA[0]) if KAFKA else HttpSink(URL, TOKEN)
    emitter = Emitter("refund-bot", "1.0", sink, team="payments", breaker=breaker, approvals=Approvals(URL, TOKEN))
    try:
        async with emitter.session(trigger="schedule") as work:
            async with work.model("openai", "gpt-5") as call:  # raises AgentHalted when somebody has paused it
                call.tokens(800, 40)
            approval = await work.request_approval_async("refund.create", resource="order:4711", wait_s=60)
            async with work.tool("refund", {"order": "4711"}) as call:
                call.effect("refund", "order:4711", reversible=False, customer_data=True)
            return f"refunded, approved by {approval.person}"
    except NotApproved as error:
        return f"not done: {error}"
    except AgentHalted as error:
        return f"stopped: {error}"
    finally:
        await asyncio.to_thread(emitter.close, 2.0)


if __name__ == "__main__":
    end_on_sigterm()
    print(asyncio.run(main()))
