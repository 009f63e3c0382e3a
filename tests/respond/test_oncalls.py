"""Whose turn it is, names that nobody can be asked by, and owners whose pages wake nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import policy
from streams.beliefs import Rota
from streams.respond.oncalls import Outside, asked, asleep, on_duty, rotas
from streams.respond.routing import BookValues, Level, Owner, Routing

PEOPLE = ["U0ADA", "U0BRUNO", "U0CHEN"]
WEEKLY = Rota(name="payments", people=PEOPLE, begins="2026-01-05T09:00:00+01:00")
BERLIN = ZoneInfo("Europe/Berlin")


def test_people_take_turns_from_the_moment_it_begins() -> None:
    begins = datetime(2026, 1, 5, 8, tzinfo=UTC)
    weeks = [on_duty(WEEKLY, begins + timedelta(weeks=n)) for n in range(4)]
    assert weeks == ["U0ADA", "U0BRUNO", "U0CHEN", "U0ADA"]
    assert on_duty(WEEKLY, begins + timedelta(weeks=1, microseconds=-1)) == "U0ADA"


def test_a_shift_is_as_long_in_the_week_in_which_clocks_change() -> None:
    before, after = datetime(2026, 3, 23, 8, tzinfo=UTC), datetime(2026, 3, 30, 8, tzinfo=UTC)  # clocks: 29 March
    assert on_duty(WEEKLY, before) != on_duty(WEEKLY, after)
    assert on_duty(WEEKLY, after - timedelta(seconds=1)) == on_duty(WEEKLY, before)
    assert after.astimezone(BERLIN).hour == 10, "by the wall it ends an hour later from then on"


@given(
    at=st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2060, 1, 1)),  # noqa: DTZ001
    shift_h=st.floats(min_value=0.25, max_value=2000),
    zone=st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")]),
)
def test_there_is_always_somebody_and_the_same_wherever_one_asks(at: datetime, shift_h: float, zone: ZoneInfo) -> None:
    rota = Rota(name="r", people=PEOPLE, begins="2026-01-05T09:00:00+01:00", shift_h=shift_h)
    moment = at.replace(tzinfo=UTC)
    assert on_duty(rota, moment) in PEOPLE
    assert on_duty(rota, moment.astimezone(zone)) == on_duty(rota, moment)


def test_a_rota_that_is_not_there_has_nobody() -> None:
    found = rotas([WEEKLY])
    assert found("payments", datetime(2026, 1, 6, tzinfo=UTC)) == "U0ADA"
    assert found("strange", datetime(2026, 1, 6, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('[[owners]]\nname = "a"\noncall = "rota:nights"', 3, "unknown rota `nights`; known: payments"),
        ('[[owners]]\nname = "a"\noncall = "ada"', 3, "`ada` is not rota:<name>, pagerduty:<schedule>"),
        ('[[owners]]\nname = "a"\noncall = "phone:1"', 3, "`phone:1` is not rota:<name>"),
        ('[[owners]]\nname = "a"\noncall = "group:"', 3, "is not the handle of a user group"),
        ('[[owners]]\nname = "a"\noncall = "email:ada"', 3, "`ada` is not an e-mail address"),
        ('[[owners]]\nname = "a"\noncall = "pagerduty:x y"', 3, "is not the id of a schedule"),
        ('[[escalation]]\noncall = "rota:x"', 2, "escalation.0.oncall: unknown rota `x`"),
        (
            '[[owners]]\nname = "a"\n[[owners.escalation]]\n[[owners.escalation]]\noncall = "rota:x"\n[[owners]]\nname = "b"',
            5,
            "owners.0.escalation.1.oncall: unknown rota `x`",
        ),
    ],
)
def test_a_name_that_nobody_can_be_asked_by_is_an_error_with_its_line(text: str, line: int, why: str) -> None:
    rota = '\n[[rotas]]\nname = "payments"\npeople = ["U0ADA"]\nbegins = "2026-01-05T09:00:00+01:00"\n'
    with pytest.raises(policy.PolicyError) as error:
        policy.parse(text + rota, "mine.toml")
    assert str(error.value).startswith(f"mine.toml:{line}: ")
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ('people = ["ada"]\nbegins = "2026-01-05T09:00:00+01:00"', "`ada` is not a Slack id"),
        ('people = ["U0ADA"]\nbegins = "2026-01-05T09:00:00"', "is not a moment with its offset"),
        ('people = ["U0ADA"]\nbegins = "monday"', "is not a moment with its offset"),
    ],
)
def test_a_rota_that_cannot_be_followed_is_an_error(given: str, why: str) -> None:
    with pytest.raises(policy.PolicyError, match=why):
        policy.parse(f'[[rotas]]\nname = "r"\n{given}\n', "mine.toml")


def values(*owners: Owner, escalation: tuple[Level, ...] = ()) -> BookValues:
    return BookValues(owners=owners, routing=Routing(fallback=owners[0].name), escalation=escalation)


@pytest.mark.parametrize(
    "given",
    [
        {"mention": "U0ADA"},
        {"mention": "S0ONCALL"},
        {"mention": "@oncall"},
        {"mention": "ada@example.com"},
        {"oncall": "rota:payments"},
        {"pagerduty": "payments"},
        {"webhook": "desk"},
    ],
)
def test_an_owner_who_names_anybody_is_woken(given: dict[str, str]) -> None:
    assert asleep(values(Owner(name="a", **given))) == []


def test_an_owner_who_names_nobody_sleeps_on() -> None:
    assert asleep(values(Owner(name="a"))) == [
        ("a", "its pages wake nobody: name a mention, oncall, pagerduty or webhook")
    ]
    late = (Level(after_s=900), Level(after_s=600, mention="U0BOSS"))
    ((_, why),) = asleep(values(Owner(name="a"), escalation=late))
    assert "before the escalation after 1500 s" in why


def test_the_fallback_is_an_owner_too() -> None:
    found = asleep(BookValues(owners=(Owner(name="a", mention="U0ADA"),), routing=Routing(fallback="platform")))
    assert [name for name, _ in found] == ["platform"]


@pytest.mark.parametrize(
    ("given", "outside", "whys"),
    [
        ({"mention": "#oncall"}, Outside(), ["is a channel", "wake nobody"]),
        ({"mention": "C0B5YFEQWO"}, Outside(), ["is a channel", "wake nobody"]),
        ({"mention": "@here"}, Outside(), ["is everybody", "wake nobody"]),
        ({"mention": "<!channel>"}, Outside(), ["neither an id", "wake nobody"]),
        ({"oncall": "group:nights"}, Outside(nobody={"group:nights"}), ["comes to nobody", "wake nobody"]),
        ({"pagerduty": "x"}, Outside(services={"y"}), ["no key in TOCSIN_PAGERDUTY_KEYS", "wake nobody"]),
        ({"webhook": "x"}, Outside(hooks={}), ["no address in TOCSIN_WEBHOOKS", "wake nobody"]),
        ({"webhook": "x", "mention": "U0ADA"}, Outside(hooks={}), ["no address in TOCSIN_WEBHOOKS"]),
    ],
)
def test_what_wakes_nobody_is_said_with_its_reason(given: dict[str, str], outside: Outside, whys: list[str]) -> None:
    found = asleep(values(Owner(name="a", **given)), outside)
    assert len(found) == len(whys)
    assert all(why in said for why, (_, said) in zip(whys, found, strict=True))


def test_every_name_is_asked_once() -> None:
    owner = Owner(name="a", oncall="group:x", escalation=(Level(oncall="email:a@b.c"), Level(oncall="group:x")))
    assert asked(values(owner, Owner(name="b"), escalation=(Level(oncall="rota:r"),))) == [
        "group:x",
        "rota:r",
        "email:a@b.c",
    ]


def test_the_shipped_policy_is_judged_too() -> None:
    shipped = msgspec.convert(policy.load(), BookValues, from_attributes=True)
    assert [name for name, _ in asleep(shipped)] == [shipped.routing.fallback]
