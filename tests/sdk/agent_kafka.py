"""An agent on a real broker: emits numbered calls until it is killed, and says how many are out of its memory."""

import sys
import time
from pathlib import Path

from streams.sdk import Emitter, KafkaSink


def main(kafka: str, topic: str, folder: str, session: str) -> None:
    emitter = Emitter("bot", "1", KafkaSink(kafka, topic), spool=Path(folder), heartbeat_s=0.0)
    work = emitter.session(session_id=session).__enter__()
    for number in range(100_000):
        work.tool_called(f"tool{number}")
        if number % 50 == 49:
            while len(emitter._sending.buffer) or emitter._sending._spooling:
                time.sleep(0.002)
            print(number + 2, flush=True)  # the session's start is one, too


if __name__ == "__main__":
    main(*sys.argv[1:5])
