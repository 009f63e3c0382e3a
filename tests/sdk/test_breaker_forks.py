"""A server that forks its workers: each of them goes on hearing of controls."""

import subprocess
import sys

FORKING = """
import os, sys, time
from streams.sdk.breaker import AgentHalted, Breaker
from streams.sdk.feeds import Pausing, Threaded
from streams.sdk.rules import Given

STOP = b'{"record":"control","scope":{"kind":"global"},"state":"open","seq":1,"issued_at":"2026-01-01T00:00:00Z"}'

class Feed(Threaded):
    def session(self, breaker):
        breaker.ready()
        if os.getpid() != parent:
            breaker.apply([Given("global", STOP)])
        self._stopping.wait()

parent = os.getpid()
breaker = Breaker(Feed(Pausing(0.01, 0.01))).start()
assert breaker.wait_ready(20)
child = os.fork()
if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    breaker.check("s", "bot")  # the parent was told nothing
    sys.exit(code)
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        breaker.check("s", "bot")
    except AgentHalted:
        os._exit(0)
    time.sleep(0.01)
os._exit(1)
"""


def test_a_forked_child_hears_of_controls_by_itself():
    assert subprocess.run([sys.executable, "-c", FORKING], timeout=60, check=False).returncode == 0


ALONE = """
import sys
import streams.sdk.breaker, streams.sdk.feeds
wrong = {"faust", "psycopg", "litestar", "aiokafka", "prometheus_client", "confluent_kafka"} & set(sys.modules)
assert not wrong, wrong
"""


def test_the_breaker_needs_nothing_of_the_pipeline():
    assert subprocess.run([sys.executable, "-c", ALONE], timeout=60, check=False).returncode == 0
