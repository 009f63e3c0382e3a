"""Which releases serve beside each other."""

from __future__ import annotations

from detect.scoped import Scoped

from streams.detect.scope.distribution import KEPT_MAX, VersionDistribution
from streams.records import Finding

HOUR, DAY = 3600, 86_400


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(VersionDistribution())

    def began(self, seconds: float, release: str, n: int = 1, environment: str = "prod") -> None:
        self.fact(seconds, "session", ("billing", release, environment, ""), {"started": n})

    def hours(self, first: int, last: int, **sessions: int) -> list[Finding]:
        """Some sessions of each release, every twenty minutes."""
        found: list[Finding] = []
        for n in range(first * 3, last * 3):
            for release, many in sessions.items():
                self.began(n * 1200, release, many)
            found += self.until(n * 1200 + 60)
        return found


def test_four_releases_at_once_for_hours_are_too_many() -> None:
    bench = Bench()
    assert bench.hours(0, 2, a=5, b=5, c=5, d=5) == []
    found = bench.hours(2, 4, a=5, b=5, c=5, d=5)
    assert found[0].subject == {"agent": "billing", "environment": "prod", "what": "many"}
    assert found[0].observed == "4 in prod: a, b, c, d"
    assert (found[0].severity, found[0].releases) == ("low", ())


def test_a_rollout_that_passes_through_several_releases_is_nothing() -> None:
    bench = Bench()
    found = [one for n in range(6) for one in bench.hours(2 * n, 2 * n + 2, **{f"r{n}": 5, f"r{n + 1}": 5})]
    assert found == []


def test_an_old_release_that_nobody_took_away_is_told_after_a_day() -> None:
    bench = Bench()
    bench.hours(0, 2, old=20)
    assert bench.hours(2, 25, old=1, new=50) == []
    found = bench.hours(25, 32, old=1, new=50)
    assert found[0].subject["what"] == "stray"
    assert found[0].observed == "1 in prod: old"


def test_a_canary_beside_its_predecessor_is_no_stray() -> None:
    bench = Bench()
    bench.hours(0, 2, old=20)
    assert bench.hours(2, 60, old=50, canary=2) == []


def test_environments_are_looked_at_apart() -> None:
    bench = Bench()
    for n in range(30):
        for place, release in enumerate("abcd"):
            bench.began(n * 600, release, environment="prod" if place % 2 else "staging")
    assert bench.until(30 * 600) == []


def test_releases_without_number_are_kept_within_a_bound() -> None:
    bench = Bench()
    for n in range(200):
        bench.began(n * 10, f"build-{n}")
    bench.until(DAY)
    assert len(bench.state.releases) == KEPT_MAX
