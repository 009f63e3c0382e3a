"""Sessions that succeed, but in numbers or at a price that nobody has asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..facts import SUM_MAX
from ..methods.novelty import HOURS, hour_of_week
from ..session.amounts import NANO, money
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

SPAN_S, HOUR_S = 60, 3600
UNKNOWN = -1.0
WEEK = 7  # days that are remembered
DAYS_MIN = 3  # until anything is known
STRAYS_MIN, STRAYS_MAX = 2, 4  # of a week: then an agent has no norm of the hour
NEIGHBOURS = (-1, 0, 1)  # work that comes an hour earlier or later than last week is no more work
LEARNED = 0.5  # of what is new about an hour of the week
CLIP = 3.0  # times the norm: what an hour may be learned as
CLIP_MIN = 10.0
DEAREST = 1.25  # times the dearest day of the week: a day that comes once a week is no runaway
Ratio = Annotated[float, Meta(gt=1, le=1e6)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sessions_ratio: Ratio = 5.0  # times the norm of the hour of the week
    sessions_min: Annotated[int, Meta(ge=1, le=10**9)] = 20  # in the hour
    spend_ratio: Ratio = 2.0  # times the mean of the last seven days
    floor: Annotated[float, Meta(gt=0, le=1e9)] = 10.0  # currency units above the norm


class Working(Struct, frozen=True, array_like=True, gc=False):
    """Succeeded sessions, and what all cost, in this calendar hour and day (UTC); and what was usual before."""

    since: int = -1  # the first hour, since the epoch
    hour: int = -1
    sessions: int = 0
    hour_nano: int = 0
    day_nano: int = 0
    norms: tuple[float, ...] = (UNKNOWN,) * HOURS  # sessions by hour of the week
    days: tuple[int, ...] = ()  # nano of the last days, the newest last
    strays: tuple[int, ...] = ()  # last hours of the times when there were far more sessions than the norm


class SuccessRunaway(Bucketed[Thresholds, Working]):
    """Succeeded sessions of an hour beyond 5 times their norm, or their cost of a day beyond twice the mean of seven.

    Subject: the agent, and sessions or spending. Both only grow within their hour and day, so nothing is taken back.
    """

    name, version, state = "cost.success_runaway", 1, Working
    kinds = ("session",)
    by_sums = ("ended",)
    severity: Severity = "high"
    runbook = (
        "See who starts the sessions: a schedule, a retry that takes success for failure, another agent?\n"
        "Compare a few sessions: do they do the same work again?\n"
        "Throttle the agent; set a budget of the day in [[agents]], which holds whatever is usual."
    )
    limits = Thresholds
    minimum = "three days; before that nothing (cost.rate and cost.session have absolute limits)"
    false_alarms = "1 day in 170 weeks of healthy agents, 0.05 to 20 sessions a minute (seeded simulation)"

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "ended" in fact.sums else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        sums = fact.sums
        return {"sessions": sums.get("succeeded", 0), "nano": sums.get("nano", 0)}

    def closed(self, state: Working, bucket: Bucket, words: Words) -> tuple[Working, tuple[Finding, ...]]:
        limits, sums = self.limits_for(words[1]), bucket.sums
        state = _turned(state, bucket.at_s // HOUR_S)
        state = replace(
            state,
            sessions=min(state.sessions + sums.get("sessions", 0), SUM_MAX),
            hour_nano=min(state.hour_nano + sums.get("nano", 0), SUM_MAX),
            day_nano=min(state.day_nano + sums.get("nano", 0), SUM_MAX),
        )
        norm, found = _norm(state), []
        if norm is not None and state.sessions >= max(limits.sessions_min, limits.sessions_ratio * norm):
            state = replace(state, strays=_strayed(state))
            excess = state.hour_nano * (1 - norm / state.sessions)
            if excess >= limits.floor * NANO and not _irregular(state):
                found.append(self._many(state, norm, bucket, words))
        mean = _mean(state, limits)
        if mean is not None:
            found.append(self._dear(state, mean, bucket, words))
        return state, tuple(found)

    def _many(self, state: Working, norm: float, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        return self.found(
            {"agent": agent, "what": "sessions"},
            f"{agent}: far more sessions than usual, and they succeed",
            identity=(agent, environment, "sessions"),
            at=self.when(bucket, words),
            count=state.sessions,
            observed=f"{state.sessions} in this hour, for {money(state.hour_nano)}",
            expected=f"about {norm:.0f} at this hour of the week",
        )

    def _dear(self, state: Working, mean: float, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        return self.found(
            {"agent": agent, "what": "spending"},
            f"{agent}: spends far more than in the week before",
            identity=(agent, environment, "spending"),
            at=self.when(bucket, words),
            observed=f"{money(state.day_nano)} today, by sessions that ended",
            expected=f"about {money(round(mean))}, the mean of {len(state.days)} days",
        )


def _turned(state: Working, hour: int) -> Working:
    """The hour and the day in which this moment is. Those that are over are learned, empty ones too."""
    if state.since < 0:
        return replace(state, since=hour, hour=hour)
    if hour == state.hour:
        return state
    norms, days, usual = list(state.norms), state.days, _norm(state)
    most = max(CLIP * usual, usual + CLIP_MIN) if usual is not None else state.sessions
    for past in (state.hour, *range(max(state.hour + 1, hour - HOURS), hour)):
        place = hour_of_week(past * HOUR_S)
        norms[place] = _learned(norms[place], min(state.sessions, most) if past == state.hour else 0)
    today, before = hour // 24, state.hour // 24
    if today != before:
        days = (*days, state.day_nano, *(0,) * min(WEEK, today - before - 1))[-WEEK:]
    day_nano = state.day_nano if today == before else 0
    return Working(state.since, hour, 0, 0, day_nano, tuple(norms), days, state.strays)


def _learned(norm: float, sessions: float) -> float:
    return float(sessions) if norm < 0 else norm + LEARNED * (sessions - norm)


def _norm(state: Working) -> float | None:
    """Sessions that are usual at this hour; of the other days too, since one of them may have been an outage."""
    if state.hour - state.since < DAYS_MIN * 24:
        return None
    hour = hour_of_week(state.hour * HOUR_S)
    own = [norm for apart in NEIGHBOURS if (norm := state.norms[(hour + apart) % HOURS]) >= 0]
    others = [norm for norm in state.norms[hour % 24 :: 24] if norm >= 0]
    usual = sum(others) / len(others) if others else 0.0
    if not own:
        return usual if others else None
    return max(*own, usual / 2)


def _strayed(state: Working) -> tuple[int, ...]:
    before = state.strays[:-1] if state.strays and state.strays[-1] >= state.hour - 1 else state.strays
    return (*before, state.hour)[-STRAYS_MAX:]


def _irregular(state: Working) -> bool:
    """An agent that works at any hour has no norm of the hour."""
    return sum(stray > state.hour - HOURS for stray in state.strays[:-1]) >= STRAYS_MIN


def _mean(state: Working, limits: Thresholds) -> float | None:
    """Of the last days, when today is far beyond it."""
    if len(state.days) < DAYS_MIN:
        return None
    mean = sum(state.days) / len(state.days)
    far = state.day_nano > limits.spend_ratio * mean and state.day_nano > DEAREST * max(state.days)
    return mean if far and state.day_nano - mean >= limits.floor * NANO else None
