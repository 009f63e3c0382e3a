"""Runs intake as a process of its own that can be told to end badly at a given step. Used by the tests beside it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from streams import policy
from streams.intake import worker
from streams.settings import Settings


class Reached:
    """The kill points: at the `nth` time that `step` is reached, end without a word."""

    def __init__(self, step: str, nth: int) -> None:
        self.step, self.left = step, nth

    def __call__(self, step: str) -> None:
        if step == self.step:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--generation", type=int, required=True)
    parser.add_argument("--epoch", type=int, default=1)
    parser.add_argument("--replica", default="0")
    parser.add_argument("--tick-s", type=float, default=0.2)
    parser.add_argument("--at", default="")
    parser.add_argument("--nth", type=int, default=1)
    return parser.parse_args()


async def main(given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings(kafka=given.kafka, generation=given.generation, epoch=given.epoch, replica=given.replica)
    shipped = policy.load()
    quick = msgspec.structs.replace(shipped, time=msgspec.structs.replace(shipped.time, tick_s=given.tick_s))
    worker.MESSAGES_MAX = 200  # many small turns, so that every kill point comes up often
    reached = Reached(given.at, given.nth)
    await worker.run(settings, quick, CollectorRegistry(), lambda: None, stop, reached=reached)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    uvloop.run(main(arguments()))
