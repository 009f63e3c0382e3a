"""An agent whose events cannot be sent: it says how many are in the spool, and goes on until it is killed."""

import sys
import time
from pathlib import Path

from sdk.away import Switched

from streams.sdk import Emitter


def main(folder: str, session: str, count: int) -> None:
    emitter = Emitter("bot", "1", Switched(), spool=Path(folder), heartbeat_s=0.0)
    work = emitter.session(session_id=session).__enter__()
    for number in range(count):
        work.tool_called(f"tool{number}")
    while len(emitter._sending.buffer) or emitter._sending._spooling:
        time.sleep(0.005)
    print("spooled", flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
