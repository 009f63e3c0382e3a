"""A session that was forgotten stays forgotten when its messages come again after a crash."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
from detect.truth import PARTITIONS, Pair

from streams.detect.ports import Message
from streams.records import Exposure, Watermark
from streams.records.timeline import encode, pack, pack_watermarks

SOURCE = "agent.events/1/0"


def message(offset: int, event: Any) -> Message:
    event.position = None
    return Message(0, offset, None, *pack([encode(event)], [(SOURCE, offset)]), 0)


def clocks(offset: int, seconds: float) -> list[Message]:
    """Every timeline partition hears that event time has come to `seconds`."""
    mark = Watermark(b.at(seconds), at_end=True)
    packed = pack_watermarks(b.watermarks(seconds, partitions={"agent.events/1": 1}, sources={SOURCE: mark}))
    return [Message(partition, offset, None, *packed, 0) for partition in range(PARTITIONS)]


def fed(pair: Pair, messages: list[Message]) -> list[Exposure]:
    said = [saying for one in messages for saying in pair.feed([one])]
    return [msgspec.json.decode(saying.value or b"", type=Exposure) for saying in said if saying.to == "exposure"]


def after_a_crash(pair: Pair) -> Pair:
    """A new process over what the old one remembered."""
    anew = Pair()
    anew.sessions_kept.update(pair.sessions_kept)
    anew.scopes_kept.update(pair.scopes_kept)
    anew._offsets = pair._offsets
    anew.sessions.rebuild(anew.sessions_kept)
    anew.scopes.rebuild(anew.scopes_kept)
    return anew


def test_a_forgotten_session_is_not_counted_again() -> None:
    log = [message(1, b.session_started(0)), message(2, b.session_ended(5)), *clocks(3, 7200)]
    pair = Pair()
    assert [(one.minute, one.sessions) for one in fed(pair, log)] == [(b.at(0), 1)]
    assert "s1" not in pair.sessions_kept
    again = after_a_crash(pair)  # the log is read again from its second message
    assert fed(again, [*log[1:], *clocks(4, 14_400)]) == []


def test_what_comes_after_is_not_skipped() -> None:
    pair = Pair()
    fed(pair, [message(1, b.session_started(0)), message(2, b.session_ended(5)), *clocks(3, 7200)])
    again = after_a_crash(pair)
    later = [message(4, b.session_started(7300, session="s2")), *clocks(5, 14_400)]
    assert [(one.minute, one.sessions) for one in fed(again, later)] == [(b.at(7260), 1)]


def test_forgetting_is_written_last_and_says_first_how_far_the_log_was_read() -> None:
    pair = Pair()
    fed(pair, [message(1, b.session_started(0)), message(2, b.session_ended(5))])
    items = pair.sessions.group([message(3, b.session_started(6, session="s2")), *clocks(4, 7200)[:1]]).writes[0]
    assert [key for key, _ in items][-3:] == ["\0clock/0", "\0read/0", "s1"]
    assert items[-2:] == [("\0read/0", b"4"), ("s1", None)]


def test_a_zombies_reading_is_stale() -> None:
    stage = Pair().sessions
    assert stage.stale("\0read/0", b"9", b"10")
    assert not stage.stale("\0read/0", b"10", b"9")
