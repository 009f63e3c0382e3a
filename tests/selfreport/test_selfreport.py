"""The pipeline says how it is, as an agent would: numbers since the last beat, and how long something has waited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.detect.catalogue import session_deciders
from streams.detect.fold import Fold
from streams.health import Health
from streams.intake.cloudevents import Reader
from streams.intake.metrics import Metrics as IntakeMetrics
from streams.policy import load
from streams.records import Heartbeat
from streams.records.timeline import encode, partition_of, unpack
from streams.respond.meters import Meters
from streams.roles import ROLES
from streams.selfreport import NUMBERS, SelfReport
from streams.settings import Settings, SettingsError
from streams.settings import load as settings_of

AT = datetime(2026, 9, 1, 12, 0, 30, 250_000, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def numbers(report: SelfReport, registry: CollectorRegistry, at: datetime = AT) -> dict[str, float]:
    samples = [sample for family in registry.collect() for sample in family.samples]
    return report.heartbeat(samples, at).data.numbers or {}


def test_every_role_has_numbers_of_its_own() -> None:
    assert set(NUMBERS) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_every_metric_that_is_looked_at_exists(role: str) -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for sample in SelfReport(role, "0", "1", 30.0).samples:
        assert f"`{sample}`" in reference, sample


def test_intake_says_what_came_since_the_last_beat_and_what_is_left() -> None:
    registry = CollectorRegistry()
    metrics, report = IntakeMetrics(registry), SelfReport("intake", "0", "1", 30.0)
    metrics.polled(100, {"invalid": 2, "not_json": 1}, {})
    metrics.ticked(4, 1.5, 40)
    assert numbers(report, registry) == {"events": 100, "dead_letters": 3, "lag_messages": 40, "lag_s": 1.5}
    metrics.polled(7, {}, {})
    metrics.ticked(4, 0.0, 0)
    assert numbers(report, registry) == {"events": 7, "dead_letters": 0, "lag_messages": 0, "lag_s": 0}


def test_respond_says_what_waits_and_what_nobody_answered() -> None:
    registry = CollectorRegistry()
    meters, report = Meters(registry), SelfReport("respond", "0", "1", 30.0)
    meters.waiting([("jira", "owed", 3, 12.5), ("slack", "attempting", 1, 99.0), ("jira", "refused", 2, 5000.0)])
    meters.missing("slack", missing=True)
    Health(registry, "127.0.0.1", 0, role="respond")
    found = numbers(report, registry)
    assert {name: found[name] for name in ("obligations_waiting", "oldest_waiting_s", "refused", "unknown")} == {
        "obligations_waiting": 4, "oldest_waiting_s": 99, "refused": 2, "unknown": 0
    }  # fmt: skip
    assert found["receivers_missing"] == 1
    assert 0 <= found["progress_age_s"] < 60


def test_detect_says_how_old_the_oldest_clock_is() -> None:
    registry = CollectorRegistry()
    clock = Gauge("tocsin_detect_clock_seconds", "", ["stage", "partition"], registry=registry)
    isolated = Counter("tocsin_detect_isolated", "", ["decider"], registry=registry)
    for stage, age_s in (("timeline", 31.0), ("timeline", 45.0), ("facts", 500.0)):
        clock.labels(stage, str(age_s)).set(AT.timestamp() - age_s)
    isolated.labels("cost.session").inc(2)
    isolated.labels("eval.critical").inc()
    found = numbers(SelfReport("detect", "0", "1", 30.0), registry)
    assert (found["clock_age_s"], found["isolated"], found["records"]) == (45, 3, 0)


def test_what_is_not_known_yet_is_not_said() -> None:
    assert numbers(SelfReport("web", "0", "1", 30.0), CollectorRegistry()) == {}


def test_a_beat_is_a_valid_event_in_the_partition_of_its_session() -> None:
    report = SelfReport("detect", "1", "0.1.0", 30.0)
    beat = report.beat([], AT, 4)
    [event] = unpack(beat.value, beat.headers)
    assert isinstance(event, Heartbeat)
    assert isinstance(Reader().read(encode(event), AT), Heartbeat)
    assert beat.partition == partition_of("tocsin:detect:1", 4)
    assert (event.id, event.data.ctx.agent.id, event.data.ctx.agent.version) == (
        f"tocsin:detect:1:{int(AT.timestamp())}", "tocsin-detect", "0.1.0"
    )  # fmt: skip
    assert (event.data.state, event.data.interval_s, event.recordedtime) == ("serving", 30.0, AT)
    assert str(event.position) == f"tocsin.self/1/detect-1/{int(AT.timestamp())}"
    [last] = unpack(*report.beat([], AT + timedelta(seconds=9), 4, ended=True)[1:])
    assert isinstance(last, Heartbeat)
    assert last.data.state == "idle"
    assert last.position is not None
    assert event.position is not None
    assert last.position.offset == event.position.offset + 9


def beats(hours: float, every_s: float = 30.0) -> list[Heartbeat]:
    report = SelfReport("respond", "0", "1", every_s)
    found = []
    for n in range(int(hours * 3600 / every_s)):
        [event] = unpack(*report.beat([], AT + timedelta(seconds=n * every_s), 1)[1:])
        assert isinstance(event, Heartbeat)
        found.append(event)
    return found


def findings(events: list[Heartbeat], until: datetime) -> list[str]:
    """What the detectors of sessions say to them, on the clock that comes with them."""
    policy = load()
    store: dict[str, bytes] = {}
    fold = Fold(session_deciders(policy.detectors, policy.given), store.get, policy.digest)
    said = []
    for event in events:
        said += [*fold.event(event, 0), *fold.tick(0, event.time.timestamp() - 30)]
    said += fold.tick(0, until.timestamp())
    return sorted({each.detector for each in said if hasattr(each, "detector")})


def test_a_role_that_is_well_for_hours_is_no_trouble_of_any_session() -> None:
    well = beats(3)
    assert findings(well, well[-1].time + timedelta(seconds=30)) == []


def test_a_role_that_falls_silent_is_one_and_one_that_ended_is_not() -> None:
    well = beats(0.1)
    later = well[-1].time + timedelta(hours=1)
    assert findings(well, later) == ["session.stuck"]
    report = SelfReport("respond", "0", "1", 30.0)
    [last] = unpack(*report.beat([], well[-1].time + timedelta(seconds=30), 1, ended=True)[1:])
    assert isinstance(last, Heartbeat)
    assert findings([*well, last], later) == []


def test_the_interval_is_a_setting_and_nought_is_never() -> None:
    assert Settings().self_report_s == 30.0
    assert settings_of({"TOCSIN_SELF_REPORT_S": "0"}).self_report_s == 0
    for wrong in ("-1", "nan", "86401", "often"):
        with pytest.raises(SettingsError, match="TOCSIN_SELF_REPORT_S"):
            settings_of({"TOCSIN_SELF_REPORT_S": wrong})
