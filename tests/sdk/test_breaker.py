"""What an agent may still do, as its breaker says."""

import pickle
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from streams.records import Beneath, Control, ControlBeat, Limits, Probe, Scope, held_back
from streams.records.signing import signed
from streams.sdk.breaker import AgentHalted, Breaker, LocalLimits
from streams.sdk.feeds import StaticFeed
from streams.sdk.rules import Given

NOW = datetime.now(UTC)
BOT = Scope("agent", "bot")
SESSIONS = [f"s-{number}" for number in range(2000)]


def control(scope=BOT, state="open", seq=1, **given):
    return Control(scope=scope, state=state, seq=seq, issued_at=NOW, **given)


def told(*controls, **given):
    feed = StaticFeed(controls)
    return Breaker(feed, **given).start(), feed


def halted(breaker, session="s-1", agent="bot", release="7", **given):
    try:
        breaker.check(session, agent, release, **given)
    except AgentHalted as halt:
        return halt
    return None


@pytest.mark.parametrize(
    ("scope", "hits", "spares"),
    [
        (Scope("global"), {}, None),
        (Scope("tenant", id="acme"), {"tenant": "acme"}, {"tenant": "other"}),
        (BOT, {}, {"agent": "other"}),
        (Scope("release", "bot", "7"), {}, {"release": "8"}),
        (Scope("tool", id="refund"), {"tool": "refund"}, {"tool": "search"}),
        (Scope("agent_tool", "bot", "refund"), {"tool": "refund"}, {"tool": "refund", "agent": "other"}),
    ],
    ids=lambda one: getattr(one, "key", ""),
)
def test_a_control_holds_in_its_scope_and_nowhere_else(scope, hits, spares):
    breaker, _ = told(control(scope, reason="because", ticket="OPS-1", seq=42))
    halt = halted(breaker, **hits)
    assert (halt.scope, halt.reason, halt.ticket, halt.control_seq) == (scope.key, "because", "OPS-1", 42)
    if spares is not None:
        assert halted(breaker, **spares) is None


@pytest.mark.parametrize("state", ["closed", "disabled", "metrics_only"])
def test_these_states_hold_nobody_back(state):
    breaker, _ = told(control(state=state))
    assert halted(breaker) is None


def test_the_most_restrictive_scope_wins():
    breaker, _ = told(control(BOT, ratio=0.1), control(Scope("release", "bot", "7"), seq=9))
    assert all(halted(breaker, one) for one in SESSIONS[:50])


def test_a_throttle_holds_back_the_same_share_of_sessions_everywhere():
    breaker, _ = told(control(ratio=0.3))
    back = {one for one in SESSIONS if halted(breaker, one)}
    assert 0.26 < len(back) / len(SESSIONS) < 0.34
    assert back == {one for one in SESSIONS if held_back(one, 0.3)}
    wider, _ = told(control(ratio=0.6))
    assert back < {one for one in SESSIONS if halted(wider, one)}, "who is held back stays so when it grows"


def test_half_open_lets_few_sessions_try():
    breaker, _ = told(control(state="half_open", probe=Probe(0.05, 10)))
    ahead = [one for one in SESSIONS if not halted(breaker, one)]
    assert 0.03 < len(ahead) / len(SESSIONS) < 0.07


def test_a_denied_tool_stops_no_session():
    breaker, _ = told(control(ratio=0.0, limits=Limits(tool_deny=("refund",))))
    assert halted(breaker, tool="refund")
    assert halted(breaker, tool="search") is None
    assert halted(breaker) is None


def test_a_lease_ends_by_itself_and_leaves_what_a_person_asked_for():
    over = NOW - timedelta(seconds=1)
    breaker, _ = told(control(not_after=over, beneath=Beneath(ratio=0.3)))
    back = [one for one in SESSIONS if halted(breaker, one)]
    assert 0.26 < len(back) / len(SESSIONS) < 0.34
    breaker, _ = told(control(not_after=over))
    assert halted(breaker) is None


def test_what_would_be_held_back_is_counted_and_told_where_it_is_only_measured():
    seen = []
    breaker, _ = told(control(state="metrics_only"), on_refused=seen.append)
    assert halted(breaker) is None
    assert [(one.measured, one.agent, one.session) for one in seen] == [(True, "bot", "s-1")]
    assert (breaker.status.measured, breaker.status.refused) == (1, 0)


def test_every_refusal_is_told_with_the_number_of_its_control():
    seen = []
    breaker, _ = told(control(seq=7), on_refused=seen.append)
    assert halted(breaker, tool="refund")
    assert [(one.control_seq, one.tool, one.release) for one in seen] == [(7, "refund", "7")]


def test_who_hears_of_refusals_and_fails_lets_nobody_through():
    def broken(_):
        raise RuntimeError("no")

    breaker, _ = told(control(), on_refused=broken)
    assert halted(breaker)


# -- order, echoes, ends ----------------------------------------------------------------------------------------------


def test_of_two_controls_of_one_scope_the_newer_holds_however_they_arrive():
    breaker, feed = told(control(seq=5))
    feed.say(control(state="closed", seq=4))
    assert halted(breaker)
    assert breaker.status.ignored == 1
    feed.say(control(state="closed", seq=6))
    assert halted(breaker) is None


def test_a_repeat_changes_nothing():
    breaker, feed = told(control(seq=5))
    feed.say(control(seq=5))
    assert breaker.status.ignored == 0


def test_a_tombstone_ends_it():
    breaker, feed = told(control())
    feed.say(None, key=BOT.key)
    assert halted(breaker) is None


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b"[]", b'{"record":"control"}', b"\xff\xfe", b'{"record":"x"}'])
def test_what_is_no_control_changes_nothing(junk):
    breaker, _ = told(control())
    breaker.apply([Given(BOT.key, junk)])
    assert halted(breaker)
    assert breaker.status.ignored == 1


# -- nobody there -----------------------------------------------------------------------------------------------------


class Clock:
    """A breaker whose last beat is long ago: the clock itself goes its own way."""

    def __init__(self, *controls, ago_s, **given):
        self.breaker, self.feed = told(*controls, **given)
        self.breaker._beat_s -= ago_s


def test_a_controller_that_is_silent_for_half_a_minute_makes_it_stale():
    fresh, stale = Clock(ago_s=20).breaker, Clock(ago_s=31).breaker
    assert (fresh.stale, stale.stale) == (False, True)
    assert (fresh.seen.split()[1], stale.seen.split()[1]) == ("fresh", "stale")


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({"on_stale": "keep"}, True),
        ({"on_stale": "close"}, False),
        ({"on_stale": "expire"}, False),
        ({"on_stale": "expire", "not_after": NOW + timedelta(days=1)}, True),
        ({"on_stale": "keep", "not_after": NOW - timedelta(seconds=1)}, False),
    ],
    ids=["keep", "close", "expire", "expire later", "keep, over"],
)
def test_each_rule_says_what_becomes_of_it_then(given, holds):
    breaker = Clock(control(**given), ago_s=31).breaker
    assert bool(halted(breaker)) is holds


def test_before_the_first_word_everything_is_allowed_but_what_must_not_be():
    breaker = Breaker(fail_closed_tools=("wire.transfer",))
    assert halted(breaker, tool="search") is None
    assert breaker.status.unsynced == 1
    assert "waits for it" in halted(breaker, tool="wire.transfer").reason
    breaker.ready()
    assert halted(breaker, tool="wire.transfer") is None
    assert breaker.wait_ready(0)


async def test_tasks_may_wait_for_the_first_word():
    breaker = Breaker()
    assert not await breaker.ready_soon(0.01)
    breaker.ready()
    assert await breaker.ready_soon(1)


# -- clocks that differ -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [timedelta(hours=-2), timedelta(0), timedelta(hours=2)], ids=str)
def test_a_lease_is_judged_by_the_controllers_clock(skew):
    theirs = datetime.now(UTC) + skew
    breaker, feed = told()
    feed.beat(theirs)  # after the feed's own: a number that is no larger is an echo
    if skew < timedelta(0):
        breaker = Breaker()
        breaker.ready()
        breaker.beat(1, theirs.timestamp())
    lasting, over = (control(seq=2, not_after=theirs + timedelta(seconds=span)) for span in (60, -1))
    breaker.apply([Given(BOT.key, msgspec.json.encode(lasting))])
    assert halted(breaker)
    breaker.apply([Given(BOT.key, msgspec.json.encode(msgspec.structs.replace(over, seq=3)))])
    assert halted(breaker) is None


def test_a_beat_that_was_long_on_its_way_does_not_turn_the_clock_back():
    breaker = Breaker()
    breaker.beat(1, 1_000_000.0)
    before = breaker.now_s()
    breaker.beat(2, 999_000.0)
    assert breaker.now_s() >= before


def test_an_old_beat_proves_nothing():
    clock = Clock(ago_s=31)
    last = clock.breaker._beat_seq
    clock.breaker.beat(last, NOW.timestamp())
    assert clock.breaker.stale
    clock.breaker.beat(last + 1, NOW.timestamp())
    assert not clock.breaker.stale


# -- signatures -------------------------------------------------------------------------------------------------------

KEY = b"of the deployment"


def signed_breaker(*controls):
    breaker = Breaker(key=KEY)
    breaker.apply(Given(one.scope.key, signed(one, KEY)) for one in controls)
    breaker.ready()
    return breaker


def test_with_a_key_only_what_is_signed_counts():
    breaker = signed_breaker(control(seq=5))
    assert halted(breaker)
    forged = [
        msgspec.json.encode(control(state="closed", seq=6)),
        signed(control(state="closed", seq=6), b"another key"),
        signed(control(seq=6), KEY).replace(b'"open"', b'"closed"'),
    ]
    breaker.apply([Given(BOT.key, one) for one in forged])
    assert halted(breaker)
    assert breaker.status.ignored == 3


def test_an_old_message_said_again_is_ignored_although_it_is_signed():
    closed = signed(control(state="closed", seq=4), KEY)
    breaker = signed_breaker(control(seq=5))
    breaker.apply([Given(BOT.key, closed)])
    assert halted(breaker)
    assert breaker.status.ignored == 1


def test_a_forged_tombstone_lifts_no_stop():
    breaker = signed_breaker(control(seq=5))
    breaker.apply([Given(BOT.key, None)])
    assert halted(breaker)
    assert breaker.status.ignored == 1


def test_a_forged_beat_is_no_sign_of_life():
    breaker = signed_breaker()
    breaker._beat_s -= 31
    breaker.apply([Given("heartbeat", msgspec.json.encode(ControlBeat(NOW, 99)))])
    assert breaker.stale
    breaker.apply([Given("heartbeat", signed(ControlBeat(NOW, 99), KEY))])
    assert not breaker.stale


def test_a_signature_covers_fields_that_this_version_does_not_know():
    document = msgspec.json.decode(msgspec.json.encode(control(seq=5)))
    breaker = Breaker(key=KEY)
    breaker.apply([Given(BOT.key, signed({**document, "newer": [1, {"b": 2, "a": 1.5}]}, KEY))])
    breaker.ready()
    assert halted(breaker)


# -- on disk ----------------------------------------------------------------------------------------------------------


def test_the_last_word_survives_a_restart(tmp_path):
    file = tmp_path / "controls.json"
    told(key=KEY, snapshot=file)
    breaker = Breaker(key=KEY, snapshot=file)
    breaker.apply([Given(BOT.key, signed(control(), KEY))])
    breaker.ready()
    assert halted(Breaker(key=KEY, snapshot=file))
    assert halted(Breaker(key=b"another", snapshot=file)) is None


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b'{"at_s":1,"controls":[],"sig":"x"}'])
def test_a_file_that_is_not_ours_is_not_believed(tmp_path, junk):
    file = tmp_path / "controls.json"
    file.write_bytes(junk)
    assert not Breaker(key=KEY, snapshot=file).status.synced


def test_an_old_file_is_not_believed(tmp_path):
    from streams.sdk.snapshot import Saved

    file = tmp_path / "controls.json"
    for age_s, believed in ((3500, True), (3700, False), (-600, False)):
        file.write_bytes(signed(Saved(datetime.now(UTC).timestamp() - age_s, (control(),)), KEY))
        assert bool(halted(Breaker(key=KEY, snapshot=file))) is believed


def test_a_file_without_a_key_is_refused():
    with pytest.raises(ValueError, match="key"):
        Breaker(snapshot="controls.json")


# -- the session's own last resort ------------------------------------------------------------------------------------


def test_the_same_call_over_and_over_ends_a_session_without_anybody_else():
    guard = Breaker(limits=LocalLimits(same_calls=3)).guard("s-1", "bot")
    for _ in range(3):
        guard.tool("search", {"q": "x", "n": 1})
        guard.tool("search", {"q": "y"})
    with pytest.raises(AgentHalted, match="4 times with the same arguments"):
        guard.tool("search", {"n": 1, "q": "x"})


@pytest.mark.parametrize(
    ("limits", "spent", "why"),
    [
        (LocalLimits(steps=2), {}, "steps"),
        (LocalLimits(tokens=100), {"tokens": 60}, "tokens"),
        (LocalLimits(cost=1.0), {"cost": 0.6}, "cost"),
    ],
    ids=["steps", "tokens", "cost"],
)
def test_a_session_has_limits_of_its_own(limits, spent, why):
    guard = Breaker().guard("s-1", "bot", limits=limits)

    def work():
        for _ in range(3):
            guard.model()
            guard.spent(**spent)

    with pytest.raises(AgentHalted) as raised:
        work()
    assert raised.value.scope == f"session:s-1/{why}"


def test_a_guard_asks_the_breaker_too():
    breaker, _ = told(control())
    with pytest.raises(AgentHalted, match="agent:bot"):
        breaker.guard("s-1", "bot").model()


def test_arguments_that_are_no_json_are_compared_as_well():
    guard = Breaker(limits=LocalLimits(same_calls=1)).guard("s-1", "bot")
    value = object()
    guard.tool("x", value)
    with pytest.raises(AgentHalted):
        guard.tool("x", value)


# -- what else ---------------------------------------------------------------------------------------------------------


def test_what_is_raised_says_where_to_look_and_travels_between_processes():
    halt = AgentHalted("agent:bot", "over its budget", "OPS-1", 7)
    assert str(halt) == "halted by agent:bot: over its budget (OPS-1)"
    assert str(pickle.loads(pickle.dumps(halt))) == str(halt)


def test_who_asks_never_sees_half_of_a_change():
    breaker, feed = told()
    wrong, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            one, other = (halted(breaker, agent=name) for name in ("bot", "bot"))
            if one and other and one.control_seq > other.control_seq:
                wrong.append((one.control_seq, other.control_seq))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for seq in range(2, 500):
        feed.say(control(seq=seq))
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
