"""What agents do that they should not: each story a whole replay with the shipped policy, missing and unexpected are failures."""

from typing import Any

import builders as b
from stories.telling import session, told, troubles

from streams import policy
from streams import records as r
from streams.records.timeline import encode
from streams.replay import run

WHO = {"session": "billing/odd", "agent": "billing"}
RULE = '[[agents]]\nmatch = ["billing"]\n'
HUMAN = r.Actor("human", "ann")


def work(
    *events: Any, status: Any = r.SessionStatus.succeeded, ended: dict[str, Any] | None = None, **start: Any
) -> Any:
    """An odd session of a minute among healthy ones, before and after."""
    begun = b.session_started(100, attribution=b.attribution("everybody"), **start, **WHO)
    odd = [begun, *events, b.session_ended(160, status=status, **(ended or {}), **WHO)]
    return [*session(0, "before"), *odd, *session(300, "after")]


def call(at: float, tool: str = "search", **given: Any) -> Any:
    return b.tool_called(100 + at, tool=tool, args_hash=f"b2:{at}", result_hash=f"b2:{at}", **given, **WHO)


def failed(at: float, tool: str = "search", **given: Any) -> Any:
    return b.tool_failed(100 + at, tool=tool, args_hash=f"b2:{at}", **given, **WHO)


def owed(said: Any) -> list[tuple[str, str]]:
    firsts = [one for one in said.obligation if one.kind in ("page", "ticket") and one.ordinal == 1]
    return sorted({(one.kind, one.incident.split(":")[1]) for one in firsts})


def test_healthy_sessions_say_nothing():
    assert troubles(told(work(call(1), call(2, "refund")))) == set()


def test_a_refund_that_nobody_allowed_pages_and_one_that_was_allowed_does_not():
    paid = r.Effect("refund.paid", reversible=False, customer_data=True)
    asked = b.permission_checked(105, action="refund", decided_by=HUMAN, **WHO)
    saved = b.checkpoint_recorded(101, **WHO)
    said = told(work(saved, call(10, "refund", effect=paid)))
    assert troubles(said) == {("approval.missing", "critical", "billing/refund/refund.paid")}
    assert owed(said) == [("page", "approval.missing"), ("ticket", "approval.missing")]
    assert troubles(told(work(saved, asked, call(10, "refund", effect=paid)))) == set()


def test_a_call_that_was_denied_and_made_all_the_same_pages():
    denied = b.permission_checked(105, action="drop", call_id="c9", result=r.PermissionResult.denied, **WHO)
    assert troubles(told(work(denied, call(6, "drop", call_id="c9")))) == {
        ("permission.violation", "critical", "billing/drop")
    }
    assert troubles(told(work(denied, call(6, "drop", call_id="c9", status=r.Status.denied)))) == set()


def test_an_agent_that_writes_outside_its_paths_is_told_unless_somebody_granted_it():
    wrote = call(10, "write", call_id="c1", resources=[r.Resource("file:///etc/hosts", "write")])
    rules = RULE + 'paths = ["/srv/shop/*"]\n'
    outside = ("permission.violation", "critical", "billing//etc")
    elsewhere = ("blast.radius", "medium", "billing//etc")
    assert troubles(told(work(wrote), rules)) == {outside, elsewhere}
    grant = b.permission_checked(105, action="write", call_id="c1", decided_by=HUMAN, **WHO)
    assert troubles(told(work(grant, wrote), rules)) == {elsewhere}


def test_a_rollback_is_a_ticket_one_that_failed_pages_and_one_to_nowhere_is_two_troubles():
    made = b.checkpoint_recorded(101, checkpoint_id="c1", **WHO)
    back = {"op": "restore", "initiated_by": HUMAN, **WHO}
    said = told(work(made, b.checkpoint_recorded(120, checkpoint_id="c1", **back)))
    assert troubles(said) == {("rollback.performed", "medium", "billing/done")}
    assert owed(said) == [("ticket", "rollback.performed")]
    broken = b.checkpoint_recorded(120, checkpoint_id="c1", **{**back, "result": r.Status.error})
    assert troubles(told(work(made, broken))) == {("rollback.performed", "high", "billing/failed")}
    assert troubles(told(work(b.checkpoint_recorded(120, checkpoint_id="c7", **back)))) == {
        ("rollback.performed", "medium", "billing/done"),
        ("rollback.without_checkpoint", "high", "billing"),
    }


def test_a_mail_that_cannot_be_taken_back_wants_a_checkpoint():
    sent = call(10, "mail", effect=r.Effect("mail.sent", reversible=False))
    allowed = b.permission_checked(105, action="mail", decided_by=HUMAN, **WHO)
    wanted = ("effect.no_checkpoint", "low", "billing/mail/mail.sent")
    assert troubles(told(work(allowed, sent))) == {wanted}
    assert troubles(told(work(b.checkpoint_recorded(101, **WHO), allowed, sent))) == set()


def test_a_session_that_writes_forty_files_is_told_once():
    writes = [call(n, "write", resources=[r.Resource(f"src/{n}.py", "write")]) for n in range(1, 41)]
    said = told(work(*writes))
    assert troubles(said) == {("blast.radius", "medium", "billing")}
    assert troubles(told(work(*writes[:30]))) == set()


def test_tools_that_were_invented_and_tools_that_were_left_out():
    declared = {"tools": ["search", "refund"], "expected_tools": ["refund"]}
    assert troubles(told(work(call(1, "serch"), call(2, "refnd"), call(3, "refund"), **declared))) == {
        ("tool.unknown", "medium", "billing")
    }
    assert troubles(told(work(call(1), **declared))) == {("tool.skipped", "medium", "billing/refund")}
    assert troubles(told(work(call(1), call(2, "refund"), **declared))) == set()


def test_an_agent_that_does_not_do_what_it_decides():
    decided = [b.decision_made(100 + 2 * n, chosen="refund", **WHO) for n in range(1, 4)]
    others = [call(2 * n + 1, "search") for n in range(1, 4)]
    assert troubles(told(work(*decided, *others))) == {("decision.mismatch", "low", "billing")}
    followed = [call(2 * n + 1, "refund") for n in range(1, 4)]
    assert troubles(told(work(*decided, *followed))) == set()


def test_a_success_that_its_last_call_its_check_and_its_evaluator_contradict():
    wrong = failed(30, "refund")
    assert troubles(told(work(call(1), wrong))) == {("outcome.contradiction", "medium", "billing/refund")}
    assert troubles(told(work(call(1), wrong, status=r.SessionStatus.failed))) == set()
    assert troubles(told(work(call(1), ended={"verified": False}))) == {
        ("outcome.contradiction", "medium", "billing/verified")
    }
    late = b.eval_scored(400, evaluator="task_success", passed=False, **WHO)
    assert troubles(told([*work(call(1)), late])) == {("outcome.contradiction", "medium", "billing/task_success")}


def test_a_success_that_left_nothing_behind():
    expected = {"expected_effects": ["refund.paid"]}
    assert troubles(told(work(call(1), **expected))) == {("session.silent_failure", "medium", "billing/refund.paid")}
    paid = call(2, "refund", effect=r.Effect("refund.paid", reversible=True))
    assert troubles(told(work(paid, **expected))) == set()
    empty = [call(n, hits=0) for n in range(1, 4)]
    assert troubles(told(work(*empty))) == {("session.silent_failure", "low", "billing/results")}


def test_an_agent_that_nobody_owns_is_platforms_ticket_once():
    names = [(60 * n, {"session": f"s{n}", "agent": "stray"}) for n in range(10)]
    events = [one for at, who in names for one in (b.session_started(at, **who), b.session_ended(at + 9, **who))]
    for event in events:
        event.position = None
    found = list(run(map(encode, events), policy.parse('[[owners]]\nname = "platform"\n', "story")))
    tickets = [one for one in found if isinstance(one, r.Obligation) and one.kind == "ticket"]
    assert [one.incident.split(":")[1] for one in tickets] == ["owner.missing"]
    assert {one.owner for one in found if isinstance(one, r.Incident)} == {"platform"}
    assert troubles(told(events)) == set()
