"""What an agent may spend in a day and in a month, against what it spends."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..facts import SUM_MAX
from ..methods import burn
from ..session.amounts import NANO, money
from ..shelf import moment
from .banks import lowered
from .bucketed import Bucket, Bucketed, Held, Words

DAY_S, HOUR_S = 86_400, 3600
NANO_MAX = 2**52  # of one bucket: millions; so that sums can be stored
DAYS_MIN = 3  # until it is known how a day's spending spreads over its hours
FORGET = 4  # each day, that part of what is known about that
PAIRS = ((HOUR_S, 300), (6 * HOUR_S, 1800))  # windows that must both burn: the long one counts, the short one ends it
DAY_PACE = 3.0  # times the month's pace, over a day
SLOW = (3 * DAY_S, 6 * HOUR_S)
NO_HOURS = (0,) * 24
Share = Annotated[float, Meta(gt=0, le=1)]
Rate = Annotated[float, Meta(ge=1, le=1e6)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    warn_share: Share = 0.8  # of the budget: a ticket; all of it: a page
    projected_from: Share = 0.2  # of the period: from then on it is asked whether the rest will last
    burn_fast: Rate = 14.4  # times the month's pace, over an hour and 5 minutes
    burn_middle: Rate = 6.0  # over 6 hours and 30 minutes
    burn_slow: Rate = 1.5  # times the pace at which the rest would last, over 3 days and 6 hours
    ahead_share: Share = 0.1  # of the budget: so far ahead of the calendar fast burning must be


class Period(Struct, frozen=True, array_like=True, gc=False):
    begin_s: int = 0
    nano: int = 0
    told: tuple[str, ...] = ()


class Spent(Struct, frozen=True, array_like=True, gc=False):
    day: Period = Period()
    month: Period = Period()
    hours: tuple[int, ...] = NO_HOURS  # nano by hour of the day, today
    usual: tuple[int, ...] = ()  # the same of the days before, fading
    days: int = -1  # that were seen from their beginning
    ring: burn.Ring = burn.Ring()  # spent by time, where there is a budget of the month


class Asked(NamedTuple):
    """A budget, and how far it is."""

    name: str  # day, month
    period: Period
    nano: int  # of the budget
    end_s: int
    passed: float  # share of the period, by what it usually costs, the current hour or day included; 0: not known


class Reached(NamedTuple):
    level: str  # said once in a period; none: said as long as it holds
    page: bool
    what: str
    why: str = ""


class AgentBudget(Bucketed[Thresholds, Spent]):
    """Sums of calendar days and months (UTC) against `budget_day` and `budget_month` of the agent's [[agents]] rule.

    Subject: the agent, and day or month. All environments together: it is one purse.
    """

    name, version, state = "cost.agent_budget", 1, Spent
    kinds = ("model", "tool")
    by_sums = ("nano",)
    severity: Severity = "high"
    runbook = (
        "See what is left and at which pace it goes: is there more work, or does the same work cost more?\n"
        "Look for cost.rate, cost.peers and cost.session of this agent: they name hours, sessions and calls.\n"
        "Throttle the agent until the period ends, or raise the budget on purpose in [[agents]]."
    )
    limits = Thresholds
    minimum = "a budget in [[agents]]; projections of a day need three days, those of a month a fifth of it"
    false_alarms = "rule: no statistics; none for 60 days at 90 % of a budget in weekly cycles (tests)"

    def words(self, fact: Fact) -> Words | None:
        if "nano" not in fact.sums or not self.given.agents:
            return None
        rules = self.rules(fact.subject[0])
        return ("budget", fact.subject[0]) if rules.budget_day or rules.budget_month else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        """By hours: what comes late counts where it belongs, and nowhere if that is over."""
        return {str(int(fact.bucket.timestamp()) // HOUR_S): fact.sums["nano"]}

    def closed(self, state: Spent, bucket: Bucket, words: Words) -> tuple[Spent, tuple[Finding, ...]]:
        now_s, limits = bucket.at_s + self.span_s(words), self.limits_for(words[1])
        after = _turned(state, bucket.at_s)
        for name, nano in sorted(bucket.sums.items()):
            if name.isdigit():
                after = _added(after, int(name), bucket.at_s, min(nano, NANO_MAX))
        said: list[Finding] = []
        for asked in self._asked(after, now_s, words[1]):
            reached = [*_levels(asked, limits), *_burning(asked, after.ring, now_s, limits)]
            news = [one for one in reached if one.level not in asked.period.told]
            said += [self._finding(asked, one, bucket, words) for one in news]
            told = tuple(one.level for one in news if one.level)
            after = replace(after, **{asked.name: replace(asked.period, told=(*asked.period.told, *told))})
        return after, tuple(said)

    def _asked(self, state: Spent, now_s: int, agent: str) -> list[Asked]:
        rules, found = self.rules(agent), []
        if rules.budget_day:
            end_s = state.day.begin_s + DAY_S
            found.append(Asked("day", state.day, round(rules.budget_day * NANO), end_s, _passed(state, now_s)))
        if rules.budget_month:
            begin_s, end_s = state.month.begin_s, _month_end_s(state.month.begin_s)
            passed = min(1.0, ((now_s - begin_s) // DAY_S + 1) * DAY_S / (end_s - begin_s))
            found.append(Asked("month", state.month, round(rules.budget_month * NANO), end_s, passed))
        return found

    def _finding(self, asked: Asked, reached: Reached, bucket: Bucket, words: Words) -> Finding:
        agent, severity = words[1], self.chosen(words[1]).severity
        share = round(100 * asked.period.nano / asked.nano)
        return self.found(
            {"agent": agent, "budget": asked.name},
            f"{agent}: the {asked.name}'s budget {reached.what}",
            severity=severity if reached.page else lowered(severity),
            at=self.when(bucket, words),
            observed=f"{money(asked.period.nano)} of {money(asked.nano)} ({share} %){reached.why}",
            expected=f"at most {money(asked.nano)} until {moment(asked.end_s):%Y-%m-%d %H:%M} UTC",
        )

    def _wake(self, held: Held[Spent]) -> datetime | None:
        """What was spent is remembered until the month is over, however long nothing more is spent."""
        wake = super()._wake(held)
        if wake is not None or not held.state.month.nano:
            return wake
        end_s = _month_end_s(held.state.month.begin_s)
        return moment(end_s) if end_s > held.closed_s else None


def _turned(state: Spent, at_s: int) -> Spent:
    """The periods in which this moment is. A day that was seen whole is learned from."""
    day_s, month_s = at_s // DAY_S * DAY_S, _month_begin_s(at_s)
    if day_s != state.day.begin_s:
        usual = state.usual or NO_HOURS
        if state.days >= 0 and any(state.hours):
            pairs = zip(usual, state.hours, strict=True)
            usual = tuple(min(was - was // FORGET + now, SUM_MAX) for was, now in pairs)
        state = replace(state, day=Period(day_s), hours=NO_HOURS, usual=usual, days=state.days + 1)
    return state if month_s == state.month.begin_s else replace(state, month=Period(month_s))


def _added(state: Spent, hour: int, at_s: int, nano: int) -> Spent:
    begin_s = hour * HOUR_S
    day, month, hours = state.day, state.month, state.hours
    if begin_s >= day.begin_s:
        place = min(23, (begin_s - day.begin_s) // HOUR_S)
        hours = (*hours[:place], min(hours[place] + nano, SUM_MAX), *hours[place + 1 :])
        day = replace(day, nano=min(day.nano + nano, SUM_MAX))
    if begin_s >= month.begin_s:
        month = replace(month, nano=min(month.nano + nano, SUM_MAX))
    ring = burn.add(state.ring, at_s if begin_s <= at_s < begin_s + HOUR_S else begin_s, nano, 1)
    return replace(state, day=day, month=month, hours=hours, ring=ring)


def _passed(state: Spent, now_s: int) -> float:
    """The share of a usual day's spending that is due by the end of this hour: whose work is done by noon has not spent
    twice as much."""
    total, hour = sum(state.usual), (now_s - state.day.begin_s) // HOUR_S
    return sum(state.usual[: hour + 1]) / total if total and state.days >= DAYS_MIN else 0.0


def _levels(asked: Asked, limits: Thresholds) -> list[Reached]:
    spent = asked.period.nano / asked.nano
    if spent >= 1:
        return [Reached("spent", page=True, what="is spent")]
    if spent >= limits.warn_share:
        return [Reached("warned", page=False, what="is nearly spent")]
    if asked.passed >= limits.projected_from and spent > asked.passed:
        by_end = money(round(asked.period.nano / asked.passed))
        return [Reached("projected", page=False, what="will not last", why=f"; at this pace {by_end} by its end")]
    return []


def _burning(asked: Asked, ring: burn.Ring, now_s: int, limits: Thresholds) -> list[Reached]:
    """Multiwindow burn rates (SRE Workbook), of money. What works for an hour each night burns fast and makes do: fast
    burning must be ahead of the calendar, and that not by an hour but by a day's spending."""
    left, spent = asked.nano - asked.period.nano, asked.period.nano / asked.nano
    length_s, left_s = asked.end_s - asked.period.begin_s, asked.end_s - now_s
    if asked.name != "month" or left <= 0 or left_s <= 0:
        return []
    ahead = spent >= asked.passed + limits.ahead_share
    ahead = ahead and _pace(ring, now_s, DAY_S) * length_s >= DAY_PACE * asked.nano
    for pair, rate in zip(PAIRS, (limits.burn_fast, limits.burn_middle), strict=True):
        paces = [_pace(ring, now_s, window_s) for window_s in pair]
        if ahead and min(paces) * length_s >= rate * asked.nano:
            why = (
                f"; {money(round(paces[0] * HOUR_S))} an hour, the rest is gone in {left / paces[0] / HOUR_S:.0f} hours"
            )
            return [Reached("", page=True, what="burns too fast", why=why)]
    slow = [_pace(ring, now_s, window_s) for window_s in SLOW]
    if slow[0] * left_s >= limits.burn_slow * left and slow[1] * left_s >= left and spent < limits.warn_share:
        why = f"; {money(round(slow[0] * DAY_S))} a day, for three days"
        return [Reached("projected", page=False, what="will not last", why=why)]
    return []


def _pace(ring: burn.Ring, now_s: int, window_s: int) -> float:
    """Nano a second."""
    return burn.window(ring, now_s, window_s)[0] / window_s


def _month_begin_s(at_s: int) -> int:
    at = moment(at_s)
    return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp())


def _month_end_s(begin_s: int) -> int:
    at = moment(begin_s)
    return begin_s + monthrange(at.year, at.month)[1] * DAY_S
