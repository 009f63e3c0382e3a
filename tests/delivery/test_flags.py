"""What controls mean as flags: the most restrictive scope wins, and flagd's file says the same as we do."""

import itertools
from datetime import timedelta

import jsonschema
import msgspec
import pytest
from delivery.controlling import AT, control
from delivery.flagd_rules import SHAPE, resolve

from streams.learn.controls import flagd
from streams.learn.controls.flags import (
    ENABLED,
    KEYS,
    RATIO,
    STEPS,
    TOOL,
    UNLIMITED,
    Context,
    NoFlag,
    evaluate,
    evaluate_all,
)
from streams.records import Beneath, Limits, Probe, held_back

ASKED = Context("s-1", "support-bot", "2026.09.3", "acme", "refund")


def said(key, *controls, asked=ASKED, at=AT):
    return evaluate(key, controls, asked, at)


def values(*controls, asked=ASKED):
    return [said(key, *controls, asked=asked).value for key in KEYS]


def test_nobody_is_held_back_by_nothing():
    assert values() == [True, 0.0, UNLIMITED, True]
    assert {one.reason for one in evaluate_all((), ASKED, AT)} == {"DEFAULT"}


@pytest.mark.parametrize(
    "stop",
    [
        control("global"),
        control("tenant", name="acme"),
        control("agent"),
        control("release", name="2026.09.3"),
        control("agent", "forced_open"),
    ],
    ids=lambda one: one.scope.key,
)
def test_a_stop_of_any_scope_above_stops_the_agent_and_its_tools(stop):
    assert values(stop) == [False, 1.0, UNLIMITED, False]
    assert said(ENABLED, stop).metadata["scope"] == stop.scope.key


@pytest.mark.parametrize(
    "other",
    [
        control("tenant", name="other"),
        control("agent", agent="billing-bot"),
        control("release", name="2026.09.4"),
        control("release", name="2026.09.3", agent="billing-bot"),
        control("agent_tool", name="search"),
        control("agent_tool", name="refund", agent="billing-bot"),
        control("tool", name="search"),
        control("agent", "closed"),
        control("agent", "disabled"),
        control("agent", "metrics_only"),
        control("agent", not_after=AT),
        control("agent", not_after=AT - timedelta(seconds=1)),
    ],
    ids=lambda one: f"{one.scope.key}-{one.state}",
)
def test_what_is_about_others_closed_or_over_holds_nobody_back(other):
    assert values(other) == [True, 0.0, UNLIMITED, True]


@pytest.mark.parametrize("stop", [control("tool", name="refund"), control("agent_tool", name="refund")])
def test_a_stopped_tool_stops_the_tool_alone(stop):
    assert values(stop) == [True, 0.0, UNLIMITED, False]
    assert said(TOOL, stop).variant == "denied"


def test_a_denied_tool_is_denied_wherever_it_is_denied():
    assert values(control(tool_deny=("refund",)))[3] is False
    assert values(control("global", "forced_open", tool_deny=("refund",)))[3] is False
    assert values(control(tool_deny=("search",)))[3] is True


def test_what_a_person_asked_for_goes_on_when_the_lease_above_it_is_over():
    lease = control(not_after=AT, beneath=Beneath(0.25, Limits(tool_deny=("refund",)), AT + timedelta(hours=1)))
    assert said(RATIO, lease, at=AT - timedelta(seconds=1)).value == 1.0
    assert (said(RATIO, lease).value, said(TOOL, lease).value) == (0.25, False)
    assert said(RATIO, lease, at=AT + timedelta(hours=1)).value == 0.0


def test_of_two_throttles_the_harder_one_holds():
    assert said(RATIO, control(ratio=0.2), control("global", ratio=0.7)).value == 0.7
    assert said(RATIO, control(ratio=0.2), control("global")).value == 1.0


def test_of_two_limits_the_smaller_one_holds():
    assert said(STEPS, control(max_steps=9), control("global", max_steps=4)).value == 4


def test_a_throttle_holds_back_the_sessions_that_the_sdk_holds_back():
    throttle = control(ratio=0.3)
    for number in range(200):
        asked = msgspec.structs.replace(ASKED, session=f"s-{number}")
        found = said(ENABLED, throttle, asked=asked)
        assert found.value is not held_back(asked.session, 0.3)
        assert found.reason == "SPLIT"


def test_half_open_lets_only_the_probes_go():
    probing = control(state="half_open", probe=Probe(0.1, 10))
    going = [said(ENABLED, probing, asked=msgspec.structs.replace(ASKED, session=f"s-{n}")).value for n in range(1000)]
    assert 60 <= sum(going) <= 140


def test_a_throttle_asks_for_the_session():
    found = said(ENABLED, control(ratio=0.3), asked=Context(agent="support-bot"))
    assert isinstance(found, NoFlag) and found.error_code == "TARGETING_KEY_MISSING"


def test_a_tool_flag_asks_for_the_tool():
    found = said(TOOL, asked=Context(agent="support-bot"))
    assert isinstance(found, NoFlag) and found.error_code == "INVALID_CONTEXT"


@pytest.mark.parametrize("key", ["agent.release_pin", "agent.model_override", "agent", "", "agent.enabled "])
def test_a_flag_that_there_is_not_is_not_found(key):
    assert said(key).error_code == "FLAG_NOT_FOUND"


SITUATIONS = {
    "nothing": (),
    "a stop": (control(),),
    "a stop of everything": (control("global"),),
    "limits": (control(max_steps=9), control("global", max_steps=4), control("release", name="2026.09.3", max_steps=6)),
    "denied": (control(tool_deny=("refund", "search")), control("tool", name="mail")),
    "tools": (control("agent_tool", name="refund"), control("tool", name="search")),
    "several": (control(ratio=1.0), control("tenant", name="acme", tool_deny=("mail",)), control("global", "closed")),
    "beneath": (control(not_after=AT, beneath=Beneath(0.0, Limits(7, ("refund",)))),),
    "over": (control(not_after=AT),),
}
CONTEXTS = [
    Context("s-1", agent, release, tenant, tool)
    for agent, release, tenant, tool in itertools.product(
        ("support-bot", "billing-bot"), ("2026.09.3", "x"), ("acme", ""), ("refund", "search", "mail")
    )
]


@pytest.mark.parametrize("controls", SITUATIONS.values(), ids=SITUATIONS)
def test_flagd_answers_from_its_file_what_we_answer(controls):
    document = msgspec.json.decode(msgspec.json.encode(flagd.document(controls, AT)))
    jsonschema.Draft202012Validator(SHAPE).validate(document)
    for asked in CONTEXTS:
        given = {"targetingKey": asked.session, **{key: getattr(asked, key) for key in ("agent", "release", "tenant")}}
        for key in KEYS:
            expected = evaluate(key, controls, asked, AT).value
            assert resolve(document["flags"][key], {**given, "tool": asked.tool}) == expected, (key, asked)


def test_flagd_throttles_about_the_share_that_was_asked_for():
    document = flagd.document((control(ratio=0.3),), AT)
    jsonschema.Draft202012Validator(SHAPE).validate(msgspec.json.decode(msgspec.json.encode(document)))
    found = [
        resolve(document["flags"][ENABLED], {"targetingKey": f"s-{number}", "agent": "support-bot"})
        for number in range(2000)
    ]
    assert 0.25 < found.count(False) / 2000 < 0.35
    assert resolve(document["flags"][RATIO], {"agent": "support-bot"}) == 0.3


def test_numbers_that_are_no_whole_ones_bear_a_decimal_point():
    for controls in ((), (control(),)):
        assert b".0" in msgspec.json.encode(said(RATIO, *controls).value)
        assert b'"none":0.0' in msgspec.json.encode(flagd.document(controls, AT))
