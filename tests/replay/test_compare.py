"""Two policies over one file: what only one of them opens, what differs, and that neither disturbs the other."""

from __future__ import annotations

from itertools import islice

import builders as b
import pytest

from streams import policy
from streams.records import contents, differences
from streams.records.timeline import encode
from streams.replay import compare, run
from streams.replaying.columns import side_by_side
from streams.replaying.comparison import Both
from streams.replaying.writing import of_side, written


def lines(*records):
    found = []
    for record in records:
        if hasattr(record, "position"):
            record.position = None
        found.append(encode(record))
    return found


def failures(session, start, *, count=3, tool="refund", agent="billing"):
    given = {"session": session, "agent": agent, "tool": tool, "message": "order 17 is gone"}
    return [b.tool_failed(start + n, **given) for n in range(count)]


@pytest.fixture
def told(shipped):
    """The comparison of the shipped policy with one that says `text` besides."""

    def compared(given, text, now=shipped):
        both, candidate = Both(), policy.parse(text, "candidate.toml")
        for side, record in compare(given, now, candidate):
            both.note(side, record)
        return both.compared(differences(contents(now), contents(candidate)))

    return compared


STRICTER = '[detectors."tool.repeated_error"]\nerrors_min = 4\n'


def test_a_higher_threshold_opens_less_and_pages_less(told):
    found = told(lines(*failures("s1", 0), *failures("s2", 60, count=4, tool="mail")), STRICTER)
    assert [one.title for one in found.only_now] == ["billing: tool refund keeps failing: order * is gone"]
    assert found.only_candidate == ()
    assert (found.now.incidents, found.candidate.incidents) == (2, 1)
    assert (found.now.pages, found.candidate.pages) == (2, 1)
    assert (found.now.tickets, found.candidate.tickets) == (2, 1)
    assert [(one.path, one.before, one.after) for one in found.differences] == [
        ("tool.repeated_error.errors_min", "3", "4")
    ]


def test_a_lower_threshold_opens_more(told):
    found = told(lines(*failures("s1", 0, count=2)), '[detectors."tool.repeated_error"]\nerrors_min = 2\n')
    (opened,) = found.only_candidate
    assert (opened.severity, opened.owner, opened.page, opened.ticket) == ("high", "platform", True, True)
    assert (found.only_now, found.different) == ((), ())


def test_another_severity_and_owner_of_the_same_incident_is_one_difference(told):
    text = '[[owners]]\nname = "payments"\nagents = ["bill*"]\n[detectors."tool.repeated_error"]\nseverity = "medium"\n'
    found = told(lines(*failures("s1", 0)), text)
    (one,) = found.different
    assert one.values == {
        "severity": ("high", "medium"),
        "owner": ("platform", "payments"),
        "page": (True, False),
    }
    assert (found.only_now, found.only_candidate) == ((), ())


def test_grouping_is_part_of_what_is_compared(told):
    given = lines(*(one for n, tool in enumerate("abc") for one in failures("s1", 20 * n, tool=tool)))
    found = told(given, "[grouping]\nmembers_min = 4\n")
    assert (found.now.held, found.candidate.held) == (1, 0)
    assert {key for one in found.different for key in one.values} >= {"held", "ticket"}


def test_a_silence_in_the_file_holds_on_both_sides(told):
    found = told(lines(b.silence(0, until=600), *failures("s1", 0)), '[detectors."tool.repeated_error"]\ncalls = 30\n')
    assert (found.now.pages, found.candidate.pages, found.now.held, found.candidate.held) == (0, 0, 1, 1)
    assert found.different == ()


def test_the_number_of_findings_is_compared(told):
    given = lines(*failures("s1", 0), *failures("s2", 100, count=4), *failures("s3", 200))
    (one,) = told(given, STRICTER).different
    assert one.values == {"findings": (3, 1)}


def test_a_detector_on_trial_is_held_and_opens_the_gate(told):
    started = [b.session_started(10 + n, session=f"x{n}") for n in range(200)]
    found = told(
        lines(*failures("s1", 0), *started, b.heartbeat(300)), '[detectors."tool.repeated_error"]\ndry_run = true\n'
    )
    (one,) = found.different
    assert one.values["held"] == ((), ("dry_run",))
    (gate,) = found.gates
    assert (gate.now.state, gate.candidate.state) == ("block", "allow")
    assert (found.now.gates, found.candidate.gates) == ({"block": 1}, {"allow": 1})


def test_the_same_policy_differs_in_nothing(told):
    found = told(lines(*failures("s1", 0), b.session_started(10), b.heartbeat(200)), "")
    assert (found.differences, found.only_now, found.only_candidate, found.different, found.gates) == ((),) * 5
    assert found.now == found.candidate


def test_each_side_says_what_a_replay_of_its_own_says(shipped):
    given = lines(*failures("s1", 0), b.session_started(10), *failures("s2", 60, count=4), b.heartbeat(200))
    candidate = policy.parse(STRICTER, "x")
    both = list(compare(given, shipped, candidate))
    for side, believed in (("now", shipped), ("candidate", candidate)):
        assert [record for one, record in both if one == side] == list(run(given, believed))


def test_a_file_is_read_once_and_line_by_line(shipped):
    """What comes from a pipe cannot be read twice, and need not fit into memory."""
    read = []

    def watched():
        for number, line in enumerate(lines(*failures("s1", 0), *failures("s2", 60))):
            read.append(number)
            yield line

    records = compare(watched(), shipped, policy.parse(STRICTER, "x"))
    assert [side for side, _ in islice(records, 1)] == ["now"]
    assert len(read) == 3
    assert len(list(records)) > 0 and read == list(range(6))


def test_people_see_the_numbers_side_by_side(told):
    found = told(lines(*failures("s1", 0), *failures("s2", 60, count=4, tool="mail")), STRICTER)
    text = list(side_by_side(found))
    assert "  tool.repeated_error.errors_min  3 -> 4" in text
    assert "incidents                2          1" in text
    assert "  high  platform  page and ticket  billing: tool refund keeps failing: order * is gone" in text
    assert text[-1] == "Gate decisions that differ: none"


def test_people_read_fifty_rows_and_then_a_count(told):
    given = lines(*(one for n in range(60) for one in failures(f"s{n}", 900 * n, tool=f"tool{n}")))
    text = list(side_by_side(told(given, STRICTER)))
    assert "Only now: 60" in text and "  and 10 more" in text
    assert sum("keeps failing" in line for line in text) == 50


def test_columns_stand_under_each_other_and_control_characters_stay_out(told):
    given = lines(*failures("s1", 0, agent="a\u202eb\x1b[31m"), *failures("s2", 60, agent="somebody-else"))
    rows = [line for line in side_by_side(told(given, STRICTER)) if "keeps failing" in line]
    assert len({line.index("page and ticket") for line in rows}) == 1
    assert all(line.isprintable() for line in rows)


def test_no_event_at_all_is_said_so(told):
    assert next(iter(side_by_side(told([], STRICTER)))) == "No events."


def test_a_line_says_its_side_and_is_otherwise_what_it_was(shipped):
    record = next(iter(run(lines(*failures("s1", 0)), shipped)))
    line = of_side("candidate", record)
    assert line.startswith(b'{"side":"candidate","record":')
    assert line.replace(b'"side":"candidate",', b"", 1) == written(record)
