"""What an agent gets wrong is in its log and counted; its work goes on."""

from __future__ import annotations

import os
import uuid

import pytest

from streams.records import SessionEnded, ToolCalled
from streams.sdk import Emitter, FileSink, current, extract
from streams.sdk.spool import Spool

NESTED: list[object] = []
for _ in range(5000):
    NESTED = [NESTED]

WRONG = {
    "a status that there is none of": lambda work: work.llm_called("openai", "gpt-5", 7),
    "an answer that there is none of": lambda work: work.permission_checked("refund", None, "ann"),
    "numbers that are none": lambda work: work.heartbeat(numbers=7),
    "a field that there is none of": lambda work: work.tool_called("refund", colour="red"),
    "a failure that is no text": lambda work: work.tool("refund").failed(None, 7),
    "an effect with strange fields": lambda work: work.tool("refund").effect("refund", colour="red"),
    "arguments too deep to read": lambda work: work.tool("refund", NESTED).result(NESTED),
    "an end that there is none of": lambda work: work.end(7),
}


@pytest.fixture
def emitter(tmp_path):
    with Emitter("bot", "1", FileSink(tmp_path / "events.ndjson"), heartbeat_s=0.0) as made:
        yield made


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_agent_goes_on_whatever_it_says_wrongly(emitter, wrong, caplog):
    with emitter.session() as work:
        wrong(work)
    assert emitter.numbers().invalid >= 1
    assert "the agent goes on" in caplog.text


def test_an_end_in_strange_words_ends_nothing_else(emitter):
    before = current()
    with emitter.session() as work:
        work.fail(status=7)
    assert current() is before


def test_names_may_be_something_else_than_text(tocsin):
    name = uuid.uuid4()
    with tocsin.emitter.session(session_id=name) as work, work.tool(7):
        pass
    assert [one.data.tool.name for one in tocsin.of(ToolCalled)] == ["7"]
    assert [one.data.ctx.session_id for one in tocsin.of(SessionEnded)] == [str(name)]


def test_headers_that_are_lists_of_lists_are_as_if_they_had_not_come():
    assert not extract({"traceparent": NESTED, "baggage": NESTED})


def test_a_spool_of_another_user_is_not_used(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(tmp_path, 4242, 4242)
    with pytest.raises(OSError, match="another user"):
        Spool(tmp_path, 1000)
