"""Session and trace go over every boundary and come back; what is malformed is as if it had not come."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import SessionStarted, ToolCalled
from streams.sdk import Carried, extract, extract_environment, extract_mcp
from streams.sdk.carrying import inject, inject_environment, inject_mcp, new_trace

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ids = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)


@given(ids, ids, ids, st.integers(0, 100))
def test_what_goes_out_comes_in(session, root, event, depth):
    carried = Carried(session, root, event, depth, TRACE, "vendor=1", ("user=ann",))
    headers: dict[str, str] = {"Accept": "x"}
    inject(carried, headers)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert extract(headers) == carried
    environ: dict[str, str] = {}
    inject_environment(carried, environ)
    assert extract_environment(environ) == carried
    assert set(environ) == {"TRACEPARENT", "TRACESTATE", "BAGGAGE"}
    assert extract_mcp(inject_mcp(carried, {"name": "refund", "_meta": {"progressToken": 1}})) == carried


def test_what_others_put_there_stays():
    headers = {"Baggage": "user=ann;prop=1, tocsin-session=old", "TraceParent": TRACE}
    inject(Carried("s1", "s1", traceparent=TRACE), headers)
    assert set(headers) == {"Baggage", "TraceParent"}
    assert headers["Baggage"].startswith("tocsin-session=s1")
    assert headers["Baggage"].endswith("user=ann;prop=1")
    assert inject_mcp(Carried("s1"), {"_meta": {"progressToken": 1}})["_meta"]["progressToken"] == 1


@pytest.mark.parametrize(
    "trace",
    [
        "", "x", TRACE.upper(), TRACE[:-1], f"{TRACE}-more", f"ff{TRACE[2:]}", f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", "00-" + "g" * 32 + "-b7ad6b7169203331-01", f"01{TRACE[2:]}" + "-x" * 200,
    ],
)  # fmt: skip
def test_a_malformed_trace_is_none_and_a_new_one_begins(trace):
    assert not extract({"traceparent": trace, "tracestate": "a=b"})
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", new_trace(extract({"traceparent": trace}).traceparent))


@given(
    st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "x"]),
        st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.lists(st.text())),
    )
)
def test_whatever_comes_raises_nothing(headers):
    found = extract(headers)
    assert found.session_id == "" or found.session_id.isprintable()
    extract_mcp({"_meta": headers})
    extract_mcp(headers)


@pytest.mark.parametrize("params", [None, [], "x", {}, {"_meta": None}, {"_meta": []}])
def test_params_without_meta_carry_nothing(params):
    assert not extract_mcp(params)


def test_a_header_for_many_kilobytes_is_cut_and_a_strange_member_left_out():
    baggage = ",".join(
        ["bad member", "=x", "tocsin-session=%00evil", "tocsin-session=s1", *(f"k{n}={'v' * 200}" for n in range(200))]
    )
    found = extract({"baggage": baggage})
    assert found.session_id == "s1"
    headers: dict[str, str] = {}
    inject(found, headers)
    assert len(headers["baggage"]) <= 8192


def test_an_agent_behind_a_header_is_a_subagent_of_who_called(tocsin):
    with tocsin.emitter.session(session_id="caller") as caller, caller.tool("delegate") as call:
        headers: dict[str, str] = {}
        caller.inject(headers)
    with tocsin.emitter.session(carried=extract(headers)) as callee:
        callee.tool_called("x")
    started = tocsin.of(SessionStarted)[-1]
    ctx = started.data.ctx
    assert (ctx.root, ctx.parent.session_id, ctx.parent.event_id, ctx.depth) == ("caller", "caller", call.id, 1)
    assert started.causationid == call.id
    assert started.traceparent[3:35] == caller.trace[3:35]


def test_a_part_of_the_session_in_another_process_joins_it(tocsin):
    with tocsin.emitter.session(session_id="s1") as work:
        environ: dict[str, str] = {}
        work.inject_environment(environ)
    with tocsin.emitter.session(carried=extract_environment(environ), join=True) as part:
        part.tool_called("x")
    assert len(tocsin.of(SessionStarted)) == 1
    (told,) = tocsin.of(ToolCalled)
    assert (told.data.ctx.session_id, told.data.ctx.parent) == ("s1", None)
    assert len({event.id for event in tocsin.events}) == 3
