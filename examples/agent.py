"""An agent with the SDK: one session, a model and a tool that fails. python agent.py [HOST:PORT of Kafka]"""

import sys

from streams.sdk import Emitter, KafkaSink, OutputSink

sink = KafkaSink(sys.argv[1]) if len(sys.argv) > 1 else OutputSink()
emitter = Emitter(
    "checkout-assistant", "2.4.0", sink, system="checkout", team="checkout", hash_key=b"of this deployment"
)


def refund(order: str) -> str:
    raise TimeoutError(f"orders did not answer in time for {order}")


with emitter.session(trigger="user", tools=["refund"]) as work:
    with work.model("openai", "gpt-5") as call:
        call.tokens(1200, 85)  # as the provider's answer says
        call.cost("0.0031")
    for attempt in range(1, 4):
        try:
            with work.tool("refund", {"order": "4711"}, attempt=attempt) as call:
                call.result(refund("4711"))
        except TimeoutError:
            continue
    work.fail("the refund could not be made")
emitter.close()
print(work.id, file=sys.stderr)
