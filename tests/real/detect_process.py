"""Runs detect as a process of its own that can be told to end badly at a given step. Used by the tests beside it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry, generate_latest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from streams import policy, topics
from streams.detect.engine.limits import Limits, Step
from streams.detect.engine.metrics import Metrics
from streams.detect.worker import engine
from streams.settings import Settings


class Reached:
    """The kill points: at the `nth` time that `step` is reached, do it."""

    def __init__(self, step: str, nth: int, deed: str, slow_s: float) -> None:
        self.step, self.left, self.deed, self.slow_s = step, nth, deed, slow_s

    def __call__(self, step: Step) -> None:
        if step == "folded":
            time.sleep(self.slow_s)
        if step != self.step:
            return
        self.left -= 1
        if self.left == 0:
            if self.deed == "raise":
                raise RuntimeError("a bug in the body")
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}[self.deed])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--generation", type=int, required=True)
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--replica", default="0")
    parser.add_argument("--session-s", type=float, default=6.0)
    parser.add_argument("--gap-s", type=float, default=10.0)
    parser.add_argument("--commit-s", type=float, default=0.3)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--at", default="")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--do", default="kill")
    parser.add_argument("--slow-s", type=float, default=0.0, help="for each group, so that something is always waiting")
    parser.add_argument("--without", default="")
    parser.add_argument("--metrics", type=Path)
    return parser.parse_args()


async def main(given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings(kafka=given.kafka, generation=given.generation, datadir=given.datadir, replica=given.replica)
    limits = Limits(
        session_s=given.session_s,
        heartbeat_s=given.session_s / 5,
        commit_s=given.commit_s,
        gap_s=given.gap_s,
        without=frozenset(filter(None, given.without.split(","))),
        reached=Reached(given.at, given.nth, given.do, given.slow_s),
    )
    registry = CollectorRegistry()
    await topics.ensure(given.kafka, given.generation)
    made = engine(settings, policy.load(given.policy), limits, Metrics(registry), lambda: None)
    if given.at == "starting":
        asyncio.get_running_loop().call_later(0.3, stop.set)
    await made.run(stop)
    if given.metrics:
        given.metrics.write_bytes(generate_latest(registry))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(arguments()))
