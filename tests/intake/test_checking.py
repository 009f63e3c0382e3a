"""`check` says of each line what intake would, and shows a line that is right."""

from __future__ import annotations

import msgspec
import pytest
from intake.sample import NOW, TOOL, raw

from streams.intake.check import Checked, check, corrected
from streams.intake.cloudevents import Reader
from streams.intake.reasons import Rejection


def checked(*lines: bytes) -> list[Checked]:
    return list(check([line + b"\n" for line in lines], NOW))


def test_a_good_line_says_what_it_was_taken_for() -> None:
    [answer] = checked(raw())
    assert answer == Checked(line=1, ok=True, type=TOOL, session="s-7f3a", agent="checkout-assistant")


def test_a_secret_is_named_by_its_kind_alone() -> None:
    [answer] = checked(raw(data={"retry_reason": "password=hunter2"}))
    assert answer.redacted == ("assigned",)
    assert b"hunter2" not in msgspec.json.encode(answer)


def test_a_bad_line_has_every_error_and_an_example_that_is_right() -> None:
    [answer] = checked(raw("agent.heartbeat.v1", {"interval_s": -1, "state": 5}))
    assert (answer.ok, answer.reason, answer.agent) == (False, "invalid", "checkout-assistant")
    assert [error.partition(": ")[0] for error in answer.errors] == ["/data/state", "/data/interval_s"]
    assert msgspec.json.decode(answer.example)["type"] == "agent.heartbeat.v1"


@pytest.mark.parametrize("line", [b"nonsense", b"[]", raw(time="1999-01-01T00:00:00Z"), raw(type="x"), raw()[:-9]])
def test_the_example_itself_would_be_taken(line: bytes) -> None:
    [answer] = checked(line)
    assert not isinstance(Reader().read(answer.example.encode(), NOW), Rejection)


def test_blank_lines_are_skipped_and_lines_keep_their_numbers() -> None:
    assert [answer.line for answer in checked(raw(), b"", b"  ", raw())] == [1, 4]


def test_the_example_is_of_the_type_that_a_broken_line_mentions() -> None:
    assert msgspec.json.decode(corrected(raw("agent.eval.scored.v1")[:-5]))["type"] == "agent.eval.scored.v1"


def test_the_policys_sources_are_asked() -> None:
    [answer] = check([raw()], NOW, [("/elsewhere", ["*"])])
    assert answer.reason == "source_not_allowed"
