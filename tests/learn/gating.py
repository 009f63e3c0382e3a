"""Gate inputs to start an example from."""

from datetime import UTC, datetime, timedelta

from streams.records import GateIncident, GateInputs, GateQuestion, GateValues

NOW = datetime(2026, 9, 14, 10, 21, 3, tzinfo=UTC)
ASKED = GateQuestion("support-bot", "2026.09.3")
VALUES = GateValues(
    gate="promotion",
    policy="default",
    version="sha256:0123456789abcdef",
    sessions_min=20,
    severities=("critical", "high"),
    inputs_age_s_max=5.0,
    lag_s_max=300.0,
    valid_s=60.0,
    pages="http://127.0.0.1:8080",
)


def incident(number=1, **given):
    known = {
        "id": f"v1:tool.repeated_error:{number:04}|1",
        "title": "support-bot: tool /refund keeps failing",
        "severity": "high",
        "stage": "open",
        "releases": (ASKED.release,),
        "agents": (ASKED.agent,),
        "ticket": f"OPS-{number}",
        "ticket_url": f"https://jira.example/browse/OPS-{number}",
    }
    return GateIncident(**{**known, **given})


def inputs(*incidents, **given):
    known = {
        "question": ASKED,
        "sessions": 60,
        "bad": 0,
        "baseline_sessions": 0,
        "known": True,
        "newer": (),
        "incidents": incidents,
        "watermark": NOW - timedelta(seconds=30),
        "read_at": NOW - timedelta(seconds=1),
    }
    return GateInputs(**{**known, **given})
