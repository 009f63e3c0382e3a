"""Sessions that fail more often than they did."""

from __future__ import annotations

import random

import builders as b
from detect.scoped import Scoped

from streams.detect.scope.session_failures import SessionFailures


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(SessionFailures())

    def sessions(self, seconds: float, release: str = "7", env: str = "prod", **statuses: int) -> None:
        subject, samples = ("billing", release, env, "refund"), (b.excerpt(seconds, status="failed"),)
        self.fact(seconds, "session", subject, {"ended": sum(statuses.values()), **statuses}, samples=samples)

    def healthy(self, sessions: int, release: str = "7", rate: float = 0.05, start: float = 0) -> float:
        chance, seconds = random.Random(2), start
        for _ in range(sessions // 5):
            failed = sum([chance.random() < rate for _ in range(5)])
            self.sessions(seconds, release, succeeded=5 - failed, failed=failed)
            seconds += 60
        return seconds


def test_failed_and_timed_out_sessions_count_and_others_do_not() -> None:
    bench = Bench()
    now = bench.healthy(600)
    assert [one for one in bench.until(now) if one.severity == "high"] == []
    bench.sessions(now, cancelled=40, halted=10, unknown=10)
    assert bench.until(now + 10) == []
    bench.sessions(now + 10, timed_out=6, failed=6, succeeded=1)
    (found,) = bench.until(now + 20)
    assert (found.severity, found.subject, found.releases) == ("high", {"agent": "billing"}, ("7",))
    assert found.evidence


def test_a_session_that_only_started_is_not_looked_at() -> None:
    bench = Bench()
    bench.fact(0, "session", ("billing", "7", "prod", ""), {"started": 5})
    assert bench.memories == {}


def test_a_new_release_that_fails_is_found_within_ten_sessions_and_named() -> None:
    bench = Bench()
    now = bench.healthy(600)
    bench.until(now)
    bench.sessions(now, "8", failed=6, succeeded=4)
    (found,) = bench.until(now + 10)
    assert found.releases == ("8",)
    assert found.observed == "6 of 10 failed (60%) in release 8"


def test_environments_do_not_share_a_baseline_or_an_incident() -> None:
    bench = Bench()
    bench.sessions(0, env="prod", failed=7)
    bench.sessions(0, env="staging", failed=7)
    assert len({found.fingerprint for found in bench.until(10)}) == 2


def test_the_five_in_a_hundred_that_always_fail_are_no_trouble() -> None:
    bench = Bench()
    now = bench.healthy(8000)
    assert [one for one in bench.until(now) if one.severity == "high"] == []
