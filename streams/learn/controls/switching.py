"""One record at one agent's switches: what holds a scope back from now on, what ends, what is only tried."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from ...records import (
    ApprovalAnswered,
    ApprovalAsked,
    ApprovalEnded,
    Control,
    ControlAsked,
    ControlGone,
    ControlRefused,
    Decided,
    Notice,
    Probe,
    Probed,
    Scope,
)
from .desks import CLOSED_KEPT, MUTED_KEPT, Desk, Values, all_of, desk_of
from .holds import Hold, Mode, Probing, Switch, said
from .radius import fitting
from .wording import approved, changed, denied, wanted

ASKED_MAX = 200
MUTED_MAX = 20
HALF_OPEN_MAX = timedelta(hours=1)  # an agent that nobody calls is no reason to hold it back for days
APPROVAL = "control:"


class Turn:
    """One record at one desk."""

    def __init__(self, values: Values, desk: Desk, at: datetime) -> None:
        self.values, self.probe = values, Probe(values.probe_share, values.probe_ok_min)
        self.desk, self.at = desk, at
        self.say: list[Any] = []

    def asked(self, ask: ControlAsked) -> None:
        if ask.id in self.desk.asked:
            return
        self.desk = replace(self.desk, asked=(*self.desk.asked, ask.id)[-ASKED_MAX:])
        if ask.want == "close":
            self._put(self._lifted(ask), ask.reason, ask.actor)
        elif self._wants_approval(ask):
            self._ask(ask)
        else:
            self._do(ask)

    def answered(self, answer: ApprovalAnswered) -> None:
        waiting = dict(self.desk.waiting)
        question = waiting.pop(answer.id, None)
        if question is None or question.control is None or answer.at >= question.until:
            return
        self.desk = replace(self.desk, waiting=waiting)
        if answer.answer == "approved":
            self._do(replace(question.control, at=answer.at, reason=approved(question.control, answer)))
        elif question.incident:
            if question.control.automatic:
                self._mute(question.control.scope, question.incident)
            self._tell(question.incident, denied(question.control, answer))

    def decided(self, record: Decided) -> None:
        """A decision ends what a detector began. Where the cause is elsewhere, the lease runs out by itself."""
        if record.outcome.reopened:
            self._unmute(record.incident.id)
            return
        incident, why = record.incident.id, f"{record.incident.id} is {record.outcome.outcome}"
        moot = [key for key, one in self.desk.waiting.items() if one.incident == incident]
        self.say += [ApprovalEnded(key, self.at, why) for key in moot]
        self.desk = replace(
            self.desk,
            waiting={key: one for key, one in self.desk.waiting.items() if key not in moot},
            refused={key: one for key, one in self.desk.refused.items() if key != incident},
        )
        if record.outcome.outcome == "external_cause":
            return
        for switch in [*self.desk.switches.values()]:
            leases = tuple(hold for hold in switch.leases if hold.incident != incident)
            probing = switch.probing if switch.probing and switch.probing.hold.incident != incident else None
            if (leases, probing) != (switch.leases, switch.probing):
                self._put(replace(switch, leases=leases, probing=probing), why)

    def probed(self, record: Probed) -> None:
        switch = self.desk.switches.get(record.scope.key)
        if switch is None or switch.probing is None or record.since != switch.probing.since:
            return
        probing = replace(switch.probing, sessions=max(record.sessions, switch.probing.sessions))
        if probing.sessions >= self.probe.min_ok:
            why = f"{probing.sessions} sessions went ahead without it"
            self._put(replace(switch, probing=None), why)
        else:
            self._keep(replace(switch, probing=probing))

    def ticked(self) -> None:
        for key, question in [*self.desk.waiting.items()]:
            if question.until <= self.at:
                self.desk = replace(self.desk, waiting={k: v for k, v in self.desk.waiting.items() if k != key})
                if question.incident and question.control:
                    self._tell(question.incident, denied(question.control, None))
        for switch in [*self.desk.switches.values()]:
            self._aged(switch)

    def _aged(self, switch: Switch) -> None:
        over = tuple(hold for hold in switch.leases if hold.until and hold.until <= self.at)
        person = switch.person if not _over(switch.person, self.at) else None
        mode_by = switch.mode_by if not _over(switch.mode_by, self.at) else None
        after = replace(switch, leases=tuple(hold for hold in switch.leases if hold not in over), person=person)
        after = replace(after, mode=after.mode if mode_by else "", mode_by=mode_by)
        after = self._probing(after, over)
        if after.closed_at and self.at >= after.closed_at + (CLOSED_KEPT if after.said else MUTED_KEPT):
            self._gone(after)
        elif after != switch:
            self._put(after, "" if after.probing or after.leases else "its time is over")

    def _gone(self, switch: Switch) -> None:
        """Agents forget it; that a person has said no is remembered for as long as it is asked for."""
        if switch.said:
            self.say.append(ControlGone(switch.scope, self.at))
        others = {key: one for key, one in self.desk.switches.items() if key != switch.scope.key}
        self.desk = replace(self.desk, switches=others)
        if switch.said and switch.muted:
            self._keep(replace(switch, said=None))

    def _probing(self, switch: Switch, over: tuple[Hold, ...]) -> Switch:
        """A lease that ran out is tried; one that let most sessions through anyway has been tried all the time."""
        stopped = [hold for hold in over if hold.want != "throttle"]
        if stopped and not switch.leases and not switch.person:
            hold = replace(stopped[-1], until=self._lease_end())
            return replace(switch, probing=Probing(self.at, hold))
        probing = switch.probing
        if probing is None or not _over(probing.hold, self.at):
            return switch
        if self.at - probing.since >= HALF_OPEN_MAX:
            return replace(switch, probing=None)
        return replace(switch, probing=replace(probing, hold=replace(probing.hold, until=self._lease_end())))

    def _wants_approval(self, ask: ControlAsked) -> bool:
        detector = ask.source.removeprefix("detector:")
        named = ask.automatic and any(fnmatchcase(detector, glob) for glob in self.values.approve)
        return ask.approve or (named and not self._standing(ask))

    def _standing(self, ask: ControlAsked) -> bool:
        """Its lease stands already, or is tried: a repeat renews what a person has approved."""
        switch = self.desk.switches.get(ask.scope.key)
        return switch is not None and any(hold.incident == ask.incident for hold in all_of(switch))

    def _ask(self, ask: ControlAsked) -> None:
        same_trouble = [one for one in self.desk.waiting.values() if one.incident and one.incident == ask.incident]
        if same_trouble or ask.incident in self._switch(ask.scope).muted:
            return
        mark = blake2b(ask.id.encode(), digest_size=8).hexdigest()
        question = ApprovalAsked(
            id=f"{APPROVAL}{mark}:{desk_of(ask.scope)}",
            action=wanted(ask),
            at=self.at,
            until=self.at + timedelta(seconds=self.values.approve_s),
            agent=ask.scope.agent,
            reason=ask.reason,
            resource=ask.scope.key,
            incident=ask.incident,
            control=replace(ask, approve=False),
        )
        self.desk = replace(self.desk, waiting={**self.desk.waiting, question.id: question})
        self.say.append(question)
        if ask.incident:
            what = f"{wanted(ask)}: waits for a person's approval until {question.until:%H:%M} UTC"
            self._tell(ask.incident, what)

    def _do(self, ask: ControlAsked) -> None:
        switch = self._switch(ask.scope)
        if ask.automatic:
            self._lease(switch, ask)
        elif _over(_hold(ask), self.at):
            return
        elif ask.want in ("disable", "measure"):
            mode: Mode = "disabled" if ask.want == "disable" else "metrics_only"
            leases = () if ask.want == "disable" else switch.leases
            cleared = replace(switch, person=None, probing=None, leases=leases)
            self._put(replace(cleared, mode=mode, mode_by=_hold(ask)))
        else:
            hold = _hold(ask)
            if ask.want == "throttle" and ask.ratio is None:
                hold = replace(hold, ratio=self.values.throttle_share)
            self._put(replace(switch, person=hold, mode="", mode_by=None, probing=None))

    def _lease(self, switch: Switch, ask: ControlAsked) -> None:
        before = next((hold for hold in switch.leases if hold.incident == ask.incident), None)
        if ask.incident in switch.muted:
            return
        if switch.mode == "disabled":
            self._refused(switch, ask, "a person has switched automatic controls off here")
            return
        ratio = ask.ratio if ask.ratio is not None else self.values.throttle_share
        hold = replace(_hold(ask), until=self._lease_end(), ratio=ratio if ask.want == "throttle" else None)
        others = [
            one for key, other in self.desk.switches.items() for one in all_of(other) if one.incident != ask.incident
        ]
        fit = fitting(self.values.blast_radius_max, hold, ask.affected, others)
        if fit.hold is None and before is None:
            self._refused(switch, ask, fit.why)
            return
        hold = fit.hold or replace(before or hold, until=hold.until)
        leases = tuple(one for one in switch.leases if one.incident != ask.incident)
        self._put(replace(switch, leases=(*leases, hold), probing=None))

    def _refused(self, switch: Switch, ask: ControlAsked, why: str) -> None:
        """Said once: history gets the state as it is, with the reason why it stays."""
        if self.desk.refused.get(ask.incident) == why:
            return
        self.desk = replace(self.desk, refused={**dict([*self.desk.refused.items()][-ASKED_MAX:]), ask.incident: why})
        told = said(switch, self.at, self.probe, f"not done: {wanted(ask)}: {why}")
        told = replace(told, seq=switch.seq, incident=ask.incident, automatic=True)
        self.say.append(ControlRefused(told, ask.source))
        if ask.incident:
            self._tell(ask.incident, f"{wanted(ask)}: not done, {why}")

    def _lifted(self, ask: ControlAsked) -> Switch:
        """A person lifts everything, and is not contradicted; a detector lifts what it asked for."""
        switch = self._switch(ask.scope)
        if ask.automatic:
            return replace(switch, leases=tuple(hold for hold in switch.leases if hold.incident != ask.incident))
        incidents = {hold.incident for hold in all_of(switch) if hold.incident}
        muted = tuple(sorted({*switch.muted, *incidents}))[-MUTED_MAX:]
        return replace(switch, person=None, leases=(), mode="", mode_by=None, probing=None, muted=muted)

    def _mute(self, scope: Scope, incident: str) -> None:
        switch = self._switch(scope)
        muted = tuple(sorted({*switch.muted, incident}))[-MUTED_MAX:]
        self._keep(replace(switch, muted=muted, closed_at=switch.closed_at if switch.said else self.at))

    def _unmute(self, incident: str) -> None:
        for switch in [*self.desk.switches.values()]:
            if incident in switch.muted:
                self._keep(replace(switch, muted=tuple(one for one in switch.muted if one != incident)))

    def _switch(self, scope: Scope) -> Switch:
        return self.desk.switches.get(scope.key) or Switch(scope)

    def _lease_end(self) -> datetime:
        return self.at + timedelta(seconds=self.values.lease_s)

    def _keep(self, switch: Switch) -> None:
        self.desk = replace(self.desk, switches={**self.desk.switches, switch.scope.key: switch})

    def _put(self, switch: Switch, why: str = "", actor: str = "") -> None:
        """Agents are told, and those who read the incidents that it is about, unless it is a mere renewal."""
        before = self._switch(switch.scope)
        told = said(switch, self.at, self.probe, why)
        told = replace(told, actor=actor) if actor else told
        if told.state == "closed" and (before.said is None or before.said.state == "closed"):
            if before.said is not None:
                self._keep(switch)
            return
        closed_at = self.at if told.state == "closed" else None
        self._keep(replace(switch, said=told, closed_at=closed_at))
        self.say.append(told)
        if before.said is not None and (before.said.like(told) or _on_trial(before.said, told)):
            return
        incidents = {hold.incident for hold in (*all_of(before), *all_of(switch)) if hold.incident}
        for incident in sorted(incidents):
            self._tell(incident, changed(told))

    def _tell(self, incident: str, what: str) -> None:
        """Those who read the incident: what was done to agents for it, or why nothing was."""
        mark = blake2b(f"{incident}|{what}|{self.at.isoformat()}".encode(), digest_size=8).hexdigest()
        headline = f"Control: {what}"
        self.say.append(
            Notice(id=f"control-{mark}", at=self.at, headline=headline, incident=incident, link="/controls")
        )


def _over(hold: Hold | None, at: datetime) -> bool:
    return hold is not None and hold.until is not None and hold.until <= at


def _hold(ask: ControlAsked) -> Hold:
    return Hold(
        want=ask.want,
        reason=ask.reason,
        actor="" if ask.automatic else ask.actor or "somebody",
        source=ask.source,
        incident=ask.incident,
        ticket=ask.ticket,
        ratio=ask.ratio if ask.want == "throttle" else None,
        tools=ask.tools if ask.want == "deny_tool" and ask.scope.kind not in ("tool", "agent_tool") else (),
        until=ask.until,
    )


def _on_trial(before: Control, after: Control) -> bool:
    """A trial, and that it failed, is for the history: under a ticket it would be said every few minutes."""
    return after.state == "half_open" or (before.state == "half_open" and after.state == "open" and after.automatic)
