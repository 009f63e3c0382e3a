"""Keeps one server process and stops it when its owner is gone, however the owner went; run as a script of its own.

    guard.py STOP_SIGNAL GRACE_SECONDS USER LOCK_FD COMMAND...

The owner holds the other end of stdin and never writes: end of file means the owner is gone. The server's process id
is the only line on stdout. The server inherits LOCK_FD, so its data directory stays locked for as long as it lives.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import select
import signal
import subprocess
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def bound_to_this_process(stop: int) -> Callable[[], None] | None:
    """The last net, on Linux: the server is told to stop even when this guard is killed outright."""
    if sys.platform != "linux":
        return None
    libc, guard = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, stop)
        if os.getppid() != guard:
            os._exit(1)

    return bind


def launch(stop: int, user: str, lock: int, command: list[str]) -> subprocess.Popen[bytes]:
    account = pwd.getpwnam(user) if user else None
    return subprocess.Popen(  # noqa: S603 - the owner's own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,  # stdout belongs to the one line with the process id
        pass_fds=(lock,),
        preexec_fn=bound_to_this_process(stop),  # noqa: PLW1509 - this process has one thread
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )


def wait_for_an_end(server: subprocess.Popen[bytes], wake: int, asked: list[int]) -> None:
    """Returns when the server has ended, or its owner has, or somebody asked this guard to end."""
    owner = os.getppid()
    while server.poll() is None:
        # The second look at the owner is for a fork of it that kept our stdin open.
        ready, _, _ = select.select([0, wake], [], [], 1.0)
        if 0 in ready or asked or os.getppid() != owner:
            return
        if wake in ready:
            os.read(wake, 512)


def main() -> int:
    stop, grace, user, lock, *command = sys.argv[1:]
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: asked.append(received))
    signal.signal(signal.SIGCHLD, lambda *_: None)

    server = launch(int(stop), user, int(lock), command)
    os.write(1, f"{server.pid}\n".encode())
    os.close(1)
    wait_for_an_end(server, wake, asked)
    if server.poll() is None:
        server.send_signal(int(stop))
        try:
            server.wait(float(grace))
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


if __name__ == "__main__":
    sys.exit(main())
