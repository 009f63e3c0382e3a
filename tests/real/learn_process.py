"""What learn does for controls, as a process that kills itself at POINT; `idle` is when nothing is left to do."""

from __future__ import annotations

import asyncio
import os
import signal

from streams.database import connect
from streams.learn.controls.commanding import Commanding
from streams.learn.controls.leading import Leading
from streams.learn.deciders import Wired, writers
from streams.learn.settling import Settling
from streams.policy import load as load_policy
from streams.settings import load


def main() -> None:
    point = os.environ.pop("POINT")

    def reached(step: str) -> None:
        if step == point:
            os.kill(os.getpid(), signal.SIGKILL)

    async def role() -> None:
        commanding = Commanding("tocsin.control")
        leading = Leading(commanding, reached=reached)
        settling = Settling(Wired(load_policy()), writers(commanding), "tocsin.deadletters", reached=reached)
        async with await connect(load().database) as conn:
            while await leading.turn(conn) or await settling.turn(conn):
                pass
        reached("idle")

    asyncio.run(role())


if __name__ == "__main__":
    main()
