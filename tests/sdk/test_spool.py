"""What cannot be sent waits on disk, outlives the process, keeps its order; what finds no room is counted and said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdk.away import Picky, Switched, until

from streams.sdk import Emitter
from streams.sdk.spool import Item, Spool

AGENT = Path(__file__).with_name("agent_away.py")
ROOT = Path(__file__).resolve().parents[2]


def made(sink, folder, **more) -> Emitter:
    return Emitter("bot", "1", sink, spool=folder, heartbeat_s=0.0, **more)


def items(*numbers: int) -> list[Item]:
    return [Item(b"root", f"event {number}".encode() * 20) for number in numbers]


def test_an_outage_loses_nothing_and_keeps_the_order(tmp_path, caplog):
    sink = Switched()
    emitter = made(sink, tmp_path)
    with emitter.session() as work:
        for number in range(2000):
            work.tool_called(f"tool{number}")
    until(lambda: sink.tries > 1)
    assert not emitter.flush(0.05)
    sink.come_back()
    assert emitter.flush()
    assert [event["sequence"] for event in sink.taken] == [f"{n:012d}" for n in range(1, 2003)]
    assert emitter.numbers()[:4] == (2002, 2002, 0, 0)
    assert caplog.text.count("cannot be sent") == caplog.text.count("sent again") == 1
    assert emitter.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_sent_by_the_next_in_its_order(tmp_path):
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    for session in ("first", "second"):
        told = [sys.executable, str(AGENT), str(tmp_path), session, "300"]
        with subprocess.Popen(told, stdout=subprocess.PIPE, env=environ) as agent:
            assert agent.stdout.readline() == b"spooled\n"
            agent.kill()
    sink = Switched(back=True)
    emitter = made(sink, tmp_path)
    with emitter.session(session_id="third"):
        pass
    assert emitter.close(10)
    told = [(event["data"]["ctx"]["session_id"], event["sequence"]) for event in sink.taken]
    expected = [
        (name, f"{n:012d}")
        for name, many in (("first", 301), ("second", 301), ("third", 2))
        for n in range(1, many + 1)
    ]
    assert told == expected
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_bound_events_are_lost_counted_and_said_once_per_span(tmp_path, caplog):
    sink = Switched()
    emitter = made(sink, tmp_path, spool_bytes=50_000)
    with emitter.session() as work:
        for _ in range(500):
            work.tool_called("x")
        until(lambda: not len(emitter._sending.buffer) and not emitter._sending._spooling)
        lost = emitter.numbers().lost
        assert 0 < lost < 501
        assert emitter.numbers().waiting <= 50_000
        assert caplog.text.count("events are lost") == 1
        sink.come_back()
        assert emitter.flush()
        work.heartbeat()
    assert emitter.close()
    assert emitter.numbers().emitted == len(sink.taken) + lost
    (beat,) = [event for event in sink.taken if event["type"] == "agent.heartbeat.v1"]
    assert beat["data"]["numbers"]["emitter_lost"] == lost
    assert f"no more events are lost; {lost} were" in caplog.text


def test_an_agent_that_never_pauses_fills_the_buffer_and_no_more(tmp_path):
    sink = Switched()
    emitter = made(sink, tmp_path, buffer=100)
    with emitter.session() as work:
        for _ in range(5000):
            work.tool_called("x")
        assert len(emitter._sending.buffer) <= 100
    sink.come_back()
    assert emitter.close(10)
    assert emitter.numbers().lost + len(sink.taken) == 5002


def test_what_the_sink_will_never_want_is_counted_and_holds_up_nobody(tmp_path, caplog):
    sink = Picky(back=True)
    emitter = made(sink, tmp_path)
    with emitter.session() as work:
        work.heartbeat()
    assert emitter.close()
    assert emitter.numbers()[:3] == (3, 2, 1)
    assert "refused" in caplog.text


def test_a_torn_end_is_left_out_and_what_follows_it_is_read(tmp_path):
    left = Spool(tmp_path, 10**6)
    left.append(items(1, 2, 3))
    left.abandon()  # as if it had been killed
    (folder,) = tmp_path.iterdir()
    (log,) = folder.glob("*.log")
    log.write_bytes(log.read_bytes()[:-5])
    again = Spool(tmp_path, 10**6)
    again.append(items(4))
    found = []
    while batch := again.read(10):
        found += batch
        again.done(batch)
    assert found == items(1, 2, 4)
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_done_is_not_sent_again_by_the_next_process(tmp_path):
    left = Spool(tmp_path, 10**6)
    left.append(items(*range(10)))
    left.done(left.read(4))
    left.abandon()
    again = Spool(tmp_path, 10**6)
    assert again.read(100) == items(*range(4, 10))
    again.close()


def test_two_processes_share_a_folder_without_taking_each_others_events(tmp_path):
    one, two = Spool(tmp_path, 10**6), Spool(tmp_path, 10**6)
    one.append(items(1))
    two.append(items(2))
    assert (one.read(10), two.read(10)) == (items(1), items(2))
    one.close()
    two.close()


def test_segments_that_were_read_leave_the_disk(tmp_path):
    spool = Spool(tmp_path, 10**9)
    event = Item(b"k", b"x" * 100_000)
    for _ in range(30):
        spool.append([event] * 10)
        while batch := spool.read(500):
            spool.done(batch)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.log"))
    assert size < 10 * 1024 * 1024
    spool.close()


def test_without_a_folder_that_can_be_written_it_waits_in_memory(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    sink = Switched(back=True)
    emitter = made(sink, tmp_path / "file" / "spool")
    with emitter.session():
        pass
    assert emitter.close()
    assert len(sink.taken) == 2
    assert "waits in memory" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_tells_its_own_and_not_its_parents(tmp_path):
    code = """
import os, sys
sys.path[:0] = sys.argv[2:4]
from sdk.away import Switched
from streams.sdk import Emitter, FileSink
class Lasting(FileSink):
    lasting = True
folder = sys.argv[1]
emitter = Emitter("bot", "1", Lasting(folder + "/told.ndjson"), spool=folder + "/spool", heartbeat_s=0.0)
with emitter.session(session_id="parent") as work:
    work.tool_called("before")
    emitter.flush()
    child = os.fork()
    if child == 0:
        work.tool_called("in the child")
        assert emitter.flush()
        emitter.close()
        os._exit(0)
    os.waitpid(child, 0)
    work.tool_called("after")
emitter.close()
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), str(ROOT), str(ROOT / "tests")],
        check=True,
        timeout=60,
    )
    assert ran.returncode == 0
    import json

    told = [json.loads(line) for line in (tmp_path / "told.ndjson").read_text().splitlines()]
    names = [event["data"].get("tool", {}).get("name", event["type"]) for event in told]
    assert sorted(names) == sorted(
        ["agent.session.started.v1", "before", "in the child", "after", "agent.session.ended.v1"]
    )
    assert len({event["id"] for event in told}) == 5


@pytest.mark.parametrize(("how", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGTERM)", 143)])
def test_a_process_that_ends_tells_so(tmp_path, how, code):
    program = f"""
import os, signal, sys, time
sys.path[:0] = sys.argv[2:4]
from streams.sdk import Emitter, FileSink, end_on_sigterm
end_on_sigterm()
emitter = Emitter("bot", "1", FileSink(sys.argv[1]), heartbeat_s=0.0)
with emitter.session() as work, work.tool("long"):
    {how}
    time.sleep(30)
"""
    out = tmp_path / "told.ndjson"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(out), str(ROOT), str(ROOT / "tests")], check=False, timeout=60
    )
    assert ran.returncode == code
    assert '"status":"cancelled","duration_ms"' in out.read_text() or '"status":"cancelled"' in out.read_text()
    assert out.read_text().count("\n") == 3


def test_what_waits_in_memory_when_the_agent_ends_is_lost_and_said(caplog):
    emitter = made(Switched(), None)
    with emitter, emitter.session() as work:
        work.tool_called("x")
    assert emitter.numbers().lost == 3
    assert "events are lost" in caplog.text


def test_an_agent_whose_broker_is_away_ends_in_time_and_its_events_wait(tmp_path, unused_tcp_port):
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from streams.sdk import Emitter, KafkaSink
with Emitter("bot", "1", KafkaSink(sys.argv[2]), spool=sys.argv[3], heartbeat_s=0.0) as emitter:
    with emitter.session():
        pass
"""
    told = [sys.executable, "-c", program, str(ROOT), f"127.0.0.1:{unused_tcp_port}", str(tmp_path)]
    ran = subprocess.run(told, check=False, timeout=30, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("\n") <= 2
    sink = Switched(back=True)
    with made(sink, tmp_path) as emitter:
        with emitter.session():
            pass
        assert emitter.flush()
    assert len(sink.taken) == 4


def test_many_processes_that_begin_at_once_take_nothing_from_each_other(tmp_path):
    program = """
import sys
sys.path[:0] = sys.argv[2:4]
from pathlib import Path
from streams.sdk.spool import Item, Spool
for _ in range(100):
    spool = Spool(Path(sys.argv[1]), 10**6)
    mine = [Item(b"k", b"x" * 50)]
    assert spool.append(mine) == 1
    assert spool.read(10) == mine, "another one's"
    spool.done(mine)
    spool.close()
"""
    told = [sys.executable, "-c", program, str(tmp_path), str(ROOT)]
    agents = [subprocess.Popen(told) for _ in range(4)]
    assert [agent.wait(60) for agent in agents] == [0, 0, 0, 0]
    assert list(tmp_path.iterdir()) == []
