"""The respond role as a process that kills itself at a named step: POINT, the NTH time it is reached."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from prometheus_client import CollectorRegistry

from streams.policy import load as load_policy
from streams.respond.worker import run
from streams.settings import load


def main() -> None:
    point, left = os.environ.pop("POINT", ""), int(os.environ.pop("NTH", "1"))

    def reached(step: str) -> None:
        nonlocal left
        if step == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    async def role() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await run(load(), load_policy(), CollectorRegistry(), lambda: None, stop, reached=reached)

    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    asyncio.run(role())


if __name__ == "__main__":
    main()
