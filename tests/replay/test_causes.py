"""From events to people: what names its cause, and what a dependency does to its agents."""

import builders as b
from msgspec.structs import replace
from replay.test_story import lines


def failing(agent, tool, *, start=0.0, server=None, cause=None):
    """Three errors of one tool in a session of its own; the first one names its cause."""
    events = [
        b.tool_failed(start + n, session=f"s-{agent}", agent=agent, tool=tool, id=f"{agent}-{n}-0123456789abcdef")
        for n in range(3)
    ]
    for event in events:
        event.data = replace(event.data, tool=b.r.Tool(tool, server=server))
    events[0].causationid = cause
    return events


def test_an_agent_that_fails_since_another_one_fails_opens_nothing_of_its_own(replayed):
    root = failing("crm-bot", "lookup")
    child = failing("sales-bot", "ask_crm_bot", start=30, cause=root[1].id)
    said = replayed(lines(*root, *child))
    assert [owed.incident for owed in said.obligation if owed.kind in ("page", "ticket") and owed.ordinal == 1] == [
        said.incident[0].id,
        said.incident[0].id,
    ]
    assert said.incident[1].held == (f"explained:{said.incident[0].id}",)


def test_a_dependency_that_fails_for_many_agents_is_one_ticket(replayed):
    events = [
        one for number in range(6) for one in failing(f"bot-{number}", "lookup", start=20 * number, server="mcp-crm")
    ]
    said = replayed(lines(*sorted(events, key=lambda one: one.time)), until=b.at(900))
    (root,) = (one for one in said.incident if one.detector == "tool.dependency")
    rest = [one for one in said.incident if one.detector == "tool.repeated_error"]
    assert len(rest) == 6 and {one.parent for one in rest} == {root.id}
    assert root.agents and {*root.agents} <= {one.about.agent for one in rest}
    left = [one for one in said.incident if one.stage != "merged" and "ticket" in one.told and one.severity == "high"]
    assert left == [root]
