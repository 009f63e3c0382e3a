"""From events to what people are told: dependencies, providers, fleets, telemetry, and the pipeline itself."""

from __future__ import annotations

from typing import Any

import builders as b
from stories.telling import told, troubles

from streams import records as r

HOUR = 3600.0
SPAN = 300.0


def short(at: float, name: str, agent: str = "billing", *between: Any, **start: Any) -> list[Any]:
    """A session that begins, does something and ends well."""
    given = {"session": name, "agent": agent}
    team = b.attribution(team="everybody")
    return [
        b.session_started(at, attribution=team, **given, **start),
        *between,
        b.llm_called(at + 1, **given),
        b.tool_called(at + 2, args_hash=f"b2:{name}", result_hash=f"b2:r{name}", **given),
        b.session_ended(at + 8, **given),
    ]


def refused(at: float, session: str, agent: str, **given: Any) -> Any:
    tool = r.Tool("stock.check", server="inventory-mcp")
    error = r.Error("HTTPError", f"503 Service Unavailable: warehouse {session}")
    status = r.Status.error
    data = r.ToolCalledData(
        ctx=b.ctx(session, agent), call_id=f"{session}-{at}", tool=tool, status=status, error=error, **given
    )
    return b.r.ToolCalled(specversion="1.0", id=f"x-{session}-{at}", source="/agents", time=b.at(at), data=data)


def test_a_service_that_many_sessions_need_is_one_incident_and_theirs_are_explained_by_it():
    events = []
    for n in range(12):
        agent = ("shop", "mail")[n % 2]
        tries = 3 if agent == "shop" else 1
        events += short(n * 10, f"s{n}", agent, *(refused(n * 10 + k * 0.2, f"s{n}", agent) for k in range(tries)))
    said = told(events)
    assert {name for name, _, _ in troubles(said)} == {"tool.dependency", "tool.repeated_error"}
    (dependency,) = [one for one in said.incident if one.fingerprint.startswith("v1:tool.dependency")]
    (session,) = [one for one in said.incident if one.fingerprint.startswith("v1:tool.repeated_error")]
    assert session.parent == dependency.id
    assert dependency.title.startswith("inventory-mcp: stock.check fails for 2 agents: 503 service unavailable")


def test_a_provider_that_fails_for_everybody_is_one_incident():
    events = []
    for n in range(40):
        agent = f"agent-{n % 5}"
        failed = b.llm_called(
            n * 5 + 0.5,
            session=f"s{n}",
            agent=agent,
            status=r.Status.error,
            error=r.Error("429", "overloaded"),
            cost=None,
            tokens=None,
        )
        events += short(n * 5, f"s{n}", agent, failed)
    assert ("provider.incident", "high", "openai") in {
        (name, severity, about) for name, severity, about in troubles(told(events))
    }


def test_a_session_that_starts_again_and_again_on_two_nodes_pages():
    starts = [
        b.session_started(n * 60, ctx=b.ctx(node=f"n{n % 2}"), attribution=b.attribution(team="everybody"))
        for n in range(5)
    ]
    assert ("agent.crash_loop", "high", "billing") in troubles(told([*starts, b.session_ended(400)]))


def test_agents_that_always_beat_and_stop_all_at_once_page():
    events = [
        b.heartbeat(minute * 60 + n, session=f"s{n}", agent=f"agent-{n}")
        for minute in range(150)
        for n in range(10)
        if minute < 130 or n >= 6
    ]
    assert "fleet.heartbeat" in {name for name, _, _ in troubles(told(events))}


def busy(hours: range, each: int) -> list[Any]:
    """`each` calls in five minutes, by sessions as long."""
    events = []
    for span in range(hours.start * 12, hours.stop * 12):
        given, began = {"session": f"h{span}", "agent": "billing"}, span * SPAN
        events.append(b.session_started(began, attribution=b.attribution(team="everybody"), **given))
        for n in range(each):
            at = began + 1 + n * ((SPAN - 10) / each)
            events.append(b.tool_called(at, args_hash=f"b2:{at}", result_hash=f"b2:r{at}", **given))
        events.append(b.session_ended(began + SPAN - 1, **given))
    return events


def test_an_agent_whose_events_stay_away_is_a_gap():
    said = told([*busy(range(26), 24), *busy(range(26, 27), 1)])
    assert troubles(said) == {("telemetry.gap", "medium", "billing")}
    assert troubles(told(busy(range(26), 24), until=26 * HOUR)) == set()


def test_events_that_arrive_ten_seconds_late_are_told():
    events = [one for n in range(12) for one in short(n * 10, f"s{n}")]
    for event in events:
        event.recordedtime = b.at((event.time - b.EPOCH).total_seconds() + 10)
    assert troubles(told(events)) == {("telemetry.late", "medium", "billing/late")}


def test_five_denials_are_a_spike():
    denials = [
        b.permission_checked(
            n * 60 + 1, session=f"s{n}", result=r.PermissionResult.denied, decided_by=r.Actor("policy", "p")
        )
        for n in range(5)
    ]
    events = [one for n in range(5) for one in short(n * 60, f"s{n}", "billing", denials[n])]
    assert troubles(told(events)) == {("permission.denied_spike", "medium", "billing")}


def test_two_prompts_under_one_release_are_told():
    events = [one for n in range(4) for one in short(n * 30, f"s{n}", prompt_hash=f"b2:{n % 2}")]
    assert troubles(told(events)) == {("config.skew", "medium", "billing/prompt")}


def test_two_agents_that_write_one_file_conflict():
    wrote = [
        b.tool_called(
            n * 20 + 3, session=f"s{n}", agent=f"agent-{n}", resources=[r.Resource("file:///ledger", "write")]
        )
        for n in range(2)
    ]
    events = [one for n in range(2) for one in short(n * 20, f"s{n}", f"agent-{n}", wrote[n])]
    assert "effect.conflict" in {name for name, _, _ in troubles(told(events))}


def test_the_pipeline_tells_about_itself():
    beats = [
        b.heartbeat(
            n * 30, session="tocsin:intake:1", agent="tocsin-intake", numbers={"lag_messages": 5e6, "events": 10.0}
        )
        for n in range(5)
    ]
    end = b.session_ended(160, session="tocsin:intake:1", agent="tocsin-intake")
    assert troubles(told([*beats, end])) == {("pipeline.self", "high", "tocsin-intake/lag_messages")}
