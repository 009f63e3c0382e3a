"""Run files of tau2-bench as events: what the nine real ones hold, and what odd ones may not do."""

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from streams.importing.merge import Unreadable, read
from streams.importing.send import keyed, keyed_line
from streams.records import AgentEvent, EvalScored, LlmCalled, SessionEnded, SessionStarted, ToolCalled
from streams.records.timeline import encode

TIMES = [f"2025-08-01T10:00:{second:02d}.000000" for second in range(60)]


@pytest.fixture(scope="module")
def files(tocsin_data):
    return sorted((tocsin_data / "data" / "tau2").glob("*.json.gz"))


@pytest.fixture(scope="module")
def imported(files):
    events, report = read(files)
    return list(events), report


def a_run(**over):
    """A run file with one simulation: a greeting, a call of the user, a failing call of the agent."""
    simulation = {
        "id": "s1",
        "task_id": "t1",
        "start_time": TIMES[0],
        "end_time": TIMES[30],
        "termination_reason": "user_stop",
        "agent_cost": 0.25,
        "user_cost": 9.0,
        "reward_info": {"reward": 0.0, "reward_basis": ["DB"], "reward_breakdown": {"DB": 0.0, "ACTION": 1.0}},
        "messages": [
            {"role": "assistant", "content": "Hi!", "usage": None, "cost": 0.0, "timestamp": TIMES[0]},
            {
                "role": "user",
                "usage": _usage(7),
                "cost": 9.0,
                "timestamp": TIMES[1],
                "tool_calls": [_call("u1", "user")],
            },
            {"role": "tool", "id": "u1", "requestor": "user", "content": "on", "error": False, "timestamp": TIMES[2]},
            {
                "role": "assistant",
                "usage": _usage(5),
                "cost": 0.25,
                "timestamp": TIMES[3],
                "tool_calls": [_call("a1", "assistant")],
            },
            {"role": "tool", "id": "a1", "content": "Error: no", "error": True, "timestamp": TIMES[4]},
        ],
    }
    return {"info": {"environment_info": {"domain_name": "telecom"}}, "simulations": [{**simulation, **over}]}


def _usage(tokens):
    return {"prompt_tokens": tokens, "completion_tokens": 1}


def _call(call, requestor):
    return {"id": call, "name": f"tool_of_{requestor}", "arguments": {"b": 1, "a": 2}, "requestor": requestor}


def written(folder: Path, run, name="candidate_telecom.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(run))
    return path


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_the_nine_files_hold_what_was_counted_independently(imported):
    _, report = imported
    assert (report.files, report.sessions) == (9, 330)
    assert report.sessions_failed == 128
    assert report.evaluations_failed == 117
    assert report.sessions_unevaluated == 16
    assert (report.tool_errors, report.tool_calls, report.tool_calls_by_user) == (128, 4210, 902)
    assert report.sessions_unpriced == 190
    assert report.skipped == {}


def test_every_event_of_the_nine_files_is_valid_and_has_an_id_of_its_own(imported):
    events, report = imported
    decoder = msgspec.json.Decoder(AgentEvent)
    ids = {decoder.decode(encode(event)).id for event in events}
    assert len(ids) == len(events) == report.events


def test_events_of_all_files_come_in_time_order_and_in_utc(imported):
    events, _ = imported
    assert all(one.time <= other.time for one, other in itertools.pairwise(events))
    assert str(events[0].time) == "2025-07-29 22:42:15.699352+00:00"


def test_a_session_starts_first_and_no_session_is_in_two_files(imported):
    events, _ = imported
    seen: dict[str, list] = {}
    for event in events:
        seen.setdefault(event.data.ctx.session_id, []).append(event)
    assert len(seen) == 330
    assert all(isinstance(of[0], SessionStarted) and len(only(of, SessionEnded)) == 1 for of in seen.values())
    assert all(len({event.source for event in of}) == 1 for of in seen.values())


def test_releases_come_from_the_file_names_and_agents_from_the_domain(imported):
    sessions = Counter(
        (start.data.ctx.agent.id, start.data.ctx.agent.version) for start in only(imported[0], SessionStarted)
    )
    assert sessions == {
        ("airline", "baseline"): 20,
        ("airline", "candidate"): 20,
        ("airline", "qwen2.5-7b"): 50,
        ("retail", "baseline"): 40,
        ("retail", "candidate"): 40,
        ("telecom", "baseline"): 80,
        ("telecom", "candidate"): 80,
    }


def test_what_could_not_be_mapped_is_counted_by_path(imported):
    _, report = imported
    assert report.unmapped["messages[user].cost"] == 3077
    assert report.unmapped["reward_info.nl_assertions"] == 314
    assert "not mapped: messages[assistant].errors (150)" in report.lines()


def test_importing_twice_says_the_very_same(files):
    chosen = [path for path in files if "no-user" in path.name]
    once, again = ([encode(event) for event in read(chosen)[0]] for _ in range(2))
    assert once == again


def test_the_simulated_user_costs_the_agent_nothing_but_its_tool_calls_count(tmp_path):
    events, report = read([written(tmp_path, a_run())])
    events = list(events)
    (model,) = only(events, LlmCalled)  # neither the greeting without usage nor the user's own call
    assert (model.data.tokens.input, str(model.data.cost.amount)) == (5, "0.25")
    assert [(call.data.tool.name, call.data.by) for call in only(events, ToolCalled)] == [
        ("tool_of_user", "user"),
        ("tool_of_assistant", "agent"),
    ]
    (end,) = only(events, SessionEnded)
    assert (end.data.totals.cost.nano, end.data.totals.tool_calls) == (250_000_000, 2)
    assert report.tool_calls_by_user == 1


def test_a_cost_of_zero_beside_tokens_is_unpriced_and_not_free(tmp_path):
    run = a_run(agent_cost=0.0)
    run["simulations"][0]["messages"][3]["cost"] = 0.0
    events, report = read([written(tmp_path, run)])
    events = list(events)
    assert only(events, LlmCalled)[0].data.cost is None
    assert only(events, SessionEnded)[0].data.totals.cost is None
    assert report.sessions_unpriced == 1


def test_a_session_without_breakdown_is_an_evaluator_that_broke(tmp_path):
    reward = {"reward": 0.0, "reward_basis": ["DB"], "reward_breakdown": None, "info": {"note": "ended early"}}
    events, report = read([written(tmp_path, a_run(reward_info=reward, termination_reason="max_steps"))])
    (score,) = only(events, EvalScored)
    assert (score.data.status, score.data.passed, score.data.evaluator.name) == ("error", None, "DB")
    assert (score.data.error.type, score.data.error.template) == ("max_steps", "ended early")
    assert (report.evaluations_failed, report.sessions_unevaluated, report.sessions_failed) == (0, 1, 1)


def test_arguments_and_results_leave_only_hashes_behind(tmp_path):
    run = a_run()
    other = a_run()
    other["simulations"][0]["messages"][1]["tool_calls"][0]["arguments"] = {"a": 2, "b": 1}
    first, same = (
        only(read([written(tmp_path, each, name)])[0], ToolCalled)[0]
        for each, name in ((run, "x_y.json"), (other, "z_y.json"))
    )
    assert first.data.args_hash == same.data.args_hash
    assert b'"on"' not in encode(first)
    assert first.data.result_bytes == 2


def test_equal_arguments_and_equal_results_have_equal_hashes_and_nothing_is_called_empty(tmp_path):
    answers = ["[]", " null ", "[1]", "[]", None]
    run = a_run()
    messages = run["simulations"][0]["messages"]
    for n, content in enumerate(answers):
        call = _call(f"x{n}", "assistant")
        call["arguments"] = {"c": n // 4}
        messages.append({"role": "assistant", "timestamp": TIMES[5], "tool_calls": [call]})
        messages.append({"role": "tool", "id": f"x{n}", "content": content, "error": False, "timestamp": TIMES[6]})
    calls = only(read([written(tmp_path, run)])[0], ToolCalled)
    assert [call.data.empty for call in calls] == [False, None, True, True, False, True, None]  # the second one failed
    calls = calls[2:]
    assert len({call.data.args_hash for call in calls[:4]}) == 1
    assert calls[0].data.args_hash != calls[4].data.args_hash
    assert calls[0].data.result_hash == calls[3].data.result_hash != calls[2].data.result_hash
    assert (calls[4].data.result_hash, calls[4].data.args_hash is None) == (None, False)


def test_every_tool_call_of_the_nine_files_has_a_hash_of_its_arguments(imported):
    calls = only(imported[0], ToolCalled)
    assert sum(call.data.args_hash is None for call in calls) == 0
    assert sum(call.data.empty is True for call in calls) == 55


def test_an_error_whose_text_was_removed_is_still_an_error(tmp_path):
    run = a_run()
    run["simulations"][0]["messages"][4]["content"] = None
    failed = only(read([written(tmp_path, run)])[0], ToolCalled)[1]
    assert (failed.data.status, failed.data.error.type, failed.data.error.template) == ("error", "tool_error", None)
    assert failed.data.result_hash is None


def test_files_of_one_name_hold_different_sessions(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [written(tmp_path, a_run()), written(tmp_path / "other", a_run())]
    events = list(read(paths)[0])
    assert len({event.data.ctx.session_id for event in events}) == 2
    assert {event.data.ctx.agent.version for event in events} == {"candidate"}


def test_a_broken_simulation_is_skipped_by_name_and_the_others_stay(tmp_path):
    run = a_run()
    run["simulations"].append({"id": "s2"})
    events, report = read([written(tmp_path, run)])
    assert {event.data.ctx.session_id for event in events} == {"candidate_telecom:s1"}
    assert report.skipped == {"candidate_telecom simulation 1": "KeyError: 'start_time'"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a tau2-bench run file"),
        (gzip.compress(b'{"simulations": []}', mtime=0)[:20], "cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_reason(tmp_path, content, why):
    path = tmp_path / "baseline_retail.json"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=why) as refused:
        read([path])
    assert str(path) in str(refused.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(Unreadable, match=r"absent\.json: cannot be read"):
        read([tmp_path / "absent.json"])


def test_progress_is_told_file_by_file(tmp_path):
    told = []
    read([written(tmp_path, a_run())], lambda name, events: told.append((name, events)))
    assert told == [("candidate_telecom.json", 7)]


def test_a_session_keeps_one_partition_whether_sent_as_event_or_as_line(imported):
    event = imported[0][0]
    key, value = keyed(event)
    assert keyed_line(value) == (key, value)
    assert keyed_line(b"not JSON") == (None, b"not JSON")
