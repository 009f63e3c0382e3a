"""Event -> Slack call with every role on this machine: a critical evaluator's single failure among ordinary events.

    python benchmarks/latency.py [--rate 2000] [--seconds 60] [--sessions 100000]

Prints p50, p90 and p99 in milliseconds, and each role's CPU and resident memory.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec
import psutil

from streams.command.stage import Stage
from streams.settings import Settings

POLICY = """
name = "bench"
[storm]
per_minute_max = 100000
[detectors."eval.critical"]
critical = ["safety"]
"""
CHANNEL = "C0B5YFEQWO"
PROBE = re.compile(r"probe-\d{5}")
SETTLE_S = 8.0
WAIT_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=400, help="open at a time")
    parser.add_argument("--probes", type=float, default=4.0, help="per second")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.toml"
        policy.write_text(POLICY, encoding="utf-8")
        settings = msgspec.structs.replace(Settings(), datadir=Path(folder), policy=policy)
        overrides = {"TOCSIN_POLICY": str(policy)}
        with Stage(settings, token="bench", sandbox=True, say=print, overrides=overrides) as stage:
            measure(stage, given)


def measure(stage: Stage, given: argparse.Namespace) -> None:
    processes = {role: psutil.Process(process.pid) for role, process in stage.processes.items()}
    run_load(
        stage.kafka, given.rate, SETTLE_S, (1.0, 0, given.sessions)
    )  # every connection is open, every loop has turned
    before = {role: cpu_s(process) for role, process in processes.items()}
    lines = run_load(stage.kafka, given.rate, given.seconds, (given.probes, 10_000, given.sessions))
    asked = {name: float(at) for name, at in lines if name.startswith("probe-")}
    told = wait_for(stage, set(asked))
    latencies = sorted((told[name] - asked[name]) * 1000 for name in asked if name in told)
    sent = next(int(n) for name, n in lines if name == "sent")
    print(f"{sent} events at {given.rate}/s, {len(asked)} probes, {len(asked) - len(latencies)} without a page")
    for share in (0.5, 0.9, 0.99):
        print(f"event -> Slack call p{share * 100:.0f}: {latencies[int(share * (len(latencies) - 1))]:.0f} ms")
    for role, process in processes.items():
        used = cpu_s(process) - before[role]
        print(
            f"{role:8} {used / sent * 1e6:6.1f} µs CPU per event, {process.memory_info().rss / 2**20:5.0f} MiB resident"
        )


def run_load(kafka: str, rate: int, seconds: float, rest: tuple[float, int, int]) -> list[tuple[str, str]]:
    load = Path(__file__).with_name("load.py")
    command = [sys.executable, str(load), kafka, str(rate), str(int(seconds)), *map(str, rest)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return [(line.split()[0], line.split()[1]) for line in answer.stdout.splitlines()]


def wait_for(stage: Stage, names: set[str]) -> dict[str, float]:
    """When the sandbox Slack was called for each probe."""
    deadline = time.monotonic() + WAIT_S
    told: dict[str, float] = {}
    while time.monotonic() < deadline and not names <= set(told):
        told = pages(stage)
        time.sleep(0.5)
    return told


def pages(stage: Stage) -> dict[str, float]:
    """Slack stamps each message with the moment it took it."""
    found: dict[str, float] = {}
    cursor = ""
    while True:
        query = f"channel={CHANNEL}&limit=200&cursor={cursor}"
        request = urllib.request.Request(f"{stage.sandbox_urls['Slack']}/api/conversations.history?{query}")
        request.add_header("Authorization", "Bearer xoxb-sandbox")
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = json.load(answer)
        for message in body["messages"]:
            for name in PROBE.findall(message["text"]):
                found[name] = min(found.get(name, float("inf")), float(message["ts"]))
        cursor = (body.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return found


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
