"""Sessions that write to very many places, or where they should not."""

from __future__ import annotations

from typing import Any

import builders as b
from detect.listening import below, heard, ruled

from streams import records as r
from streams.detect.session.blast_radius import BlastRadius, Thresholds


def wrote(at: float, *paths: str, **given: Any) -> Any:
    return b.tool_called(at, tool="write", resources=[r.Resource(path, "write") for path in paths], **given)


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(BlastRadius(Thresholds(**limits)), list(events))


def test_the_thirty_first_file_is_a_ticket() -> None:
    calls = [wrote(n, f"src/{n}.py") for n in range(31)]
    assert said(*calls[:30]) == []
    [found] = said(*calls)
    assert (found.severity, found.subject, found.at) == ("medium", {"agent": "billing"}, b.at(30))


def test_the_same_file_counts_once_however_it_is_spelt() -> None:
    spellings = ("file:///srv/a.py", "/srv/a.py", "/srv/x/../a.py", "file:///srv/%61.py")
    effect = r.Effect("file.written", target="file:///srv/a.py")
    assert said(wrote(1, *spellings), b.tool_called(2, effect=effect), targets_max=1) == []
    assert len(said(wrote(1, *spellings, "/srv/b.py"), targets_max=1)) == 1


def test_reading_and_what_failed_touches_nothing() -> None:
    reads = [b.tool_called(n, resources=[r.Resource(f"src/{n}.py")]) for n in range(100)]
    failed = [b.tool_failed(n, resources=[r.Resource(f"src/{n}.py", "write")]) for n in range(100)]
    assert said(*reads, *failed) == []


def test_targets_of_effects_and_what_subagents_wrote_count_together() -> None:
    mails = [b.tool_called(n, effect=r.Effect("mail", target=f"crm:{n}")) for n in range(16)]
    files = [wrote(n, f"src/{n}.py", ctx=below()) for n in range(15)]
    assert len(said(*mails, *files)) == 1
    assert said(*mails, *(wrote(n, f"src/{n}.py", session="another") for n in range(1))) == []


def test_a_limit_of_one_agent_is_its_own() -> None:
    calls = [wrote(n, f"src/{n}.py") for n in range(60)]
    assert said(*calls, targets_max=60) == []


def test_a_directory_outside_the_agents_paths_is_told_even_if_it_is_one_file() -> None:
    decider = BlastRadius(given=ruled(paths=["/srv/shop/*"]))
    [found] = heard(decider, [wrote(1, "/srv/shop/a.py"), wrote(2, "/etc/cron.d/x", "/etc/cron.d/y")])
    assert found.subject == {"agent": "billing", "directory": "/etc/cron.d"}


def test_what_is_remembered_stays_small() -> None:
    decider, memory = BlastRadius(), None
    for n in range(1000):
        memory = decider.step(memory, wrote(n, f"src/{n}.py")).remember
    assert memory is not None
    assert len(memory.targets) == 31 * 8
    step = decider.step(memory, wrote(1001, "src/new.py"))
    assert (step.remember is memory, len(step.say)) == (True, 1)
