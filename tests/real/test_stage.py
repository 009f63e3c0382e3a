"""`tocsin up`: all roles on one machine, nothing left behind, the same data at the second start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

READY_S, GONE_S = 90.0, 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up(datadir: Path, port: int) -> subprocess.Popen[bytes]:
    settings = {"TOCSIN_DATADIR": str(datadir), "TOCSIN_WEB_PORT": str(port)}
    command = [sys.executable, "-m", "streams", "up"]
    with (datadir.parent / "up.log").open("ab") as output:
        return subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)


def wait_until_ready(process: subprocess.Popen[bytes], datadir: Path, times: int) -> None:
    """Until it has said for the `times`-th time how to end it."""
    log = datadir.parent / "up.log"
    deadline = time.monotonic() + READY_S
    while log.read_text(encoding="utf-8").count("Ctrl-C ends it.") < times:
        assert process.poll() is None
        assert time.monotonic() < deadline, "it did not start in time"
        time.sleep(0.1)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    return not alive


@pytest.mark.slow
def test_it_starts_twice_on_the_same_data_and_leaves_nothing_behind(tmp_path: Path) -> None:
    datadir, port = tmp_path / "data", free_port()
    first = up(datadir, port)
    wait_until_ready(first, datadir, 1)
    started = family(first)
    assert len(started) >= 7  # five roles, Kafka, PostgreSQL
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 0
    assert gone(started)
    second = up(datadir, port)
    wait_until_ready(second, datadir, 2)
    started = family(second)
    second.kill()
    second.wait()
    assert gone(started), "killed with -9, it left processes behind"


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = up(tmp_path / "data", port)
        assert process.wait(30) == 1
    said = (tmp_path / "up.log").read_text(encoding="utf-8")
    assert f"Port {port} on 127.0.0.1 is in use" in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said
