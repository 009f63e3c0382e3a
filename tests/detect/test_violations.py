"""What was denied and done all the same, and what is outside an agent's rule."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
import pytest
from detect.listening import heard, ruled

from streams import records as r
from streams.detect.session.outside import host_of, path_of, top
from streams.detect.session.violations import PermissionViolation

PAID = r.Effect("refund.paid")


def denied(at: float, **given: Any) -> Any:
    return b.permission_checked(at, result=r.PermissionResult.denied, **given)


def granted(at: float, **given: Any) -> Any:
    return b.permission_checked(at, **{"decided_by": r.Actor("human", "ann"), **given})


def said(*events: Any, **rule: Any) -> list[r.Finding]:
    return heard(PermissionViolation(given=ruled(**rule) if rule else None), list(events), until=600)


def test_a_denied_call_that_was_made_is_critical() -> None:
    [found] = said(denied(1, call_id="c1"), b.tool_called(2, tool="refund", call_id="c1"))
    assert (found.severity, found.subject) == ("critical", {"agent": "billing", "tool": "refund"})


@pytest.mark.parametrize(
    ("denial", "call"),
    [
        (denied(1, request_id="p1"), b.tool_called(2, permission_id="p1")),
        (denied(1, call_id="c1"), b.tool_called(2, call_id="c1", effect=PAID)),
        (
            denied(1, action="delete", resource="db://orders"),
            b.tool_called(2, tool="delete", resources=[r.Resource("db://orders", "write")]),
        ),
        (
            denied(1, action="refund.paid", resource="crm://17"),
            b.tool_called(2, effect=r.Effect("refund.paid", target="crm://17")),
        ),
    ],
)
def test_a_denial_holds_for_its_request_its_call_and_its_action_on_the_same_thing(denial: Any, call: Any) -> None:
    assert len(said(denial, call)) == 1


@pytest.mark.parametrize(
    "events",
    [
        [denied(1, call_id="c1"), b.tool_called(2, call_id="c1", status=r.Status.denied)],
        [denied(1, call_id="c1"), b.tool_failed(2, call_id="c1", message="permission denied")],
        [denied(1, call_id="c1"), granted(2, call_id="c1"), b.tool_called(3, call_id="c1", effect=PAID)],
        [b.tool_called(1, call_id="c1", effect=PAID), denied(2, call_id="c1")],
        [denied(1, action="search"), b.tool_called(2, tool="search", effect=PAID)],
        [denied(1, action="search", resource="db://a"), b.tool_called(2, resources=[r.Resource("db://b")])],
    ],
    ids=["obeyed", "refused", "allowed later", "denied later", "denied once, asked otherwise", "another thing"],
)
def test_no_violation(events: list[Any]) -> None:
    assert said(*events) == []


def test_a_decision_that_arrives_late_counts_by_its_time() -> None:
    events = [denied(1, request_id="p1"), granted(2, request_id="p1"), b.tool_called(3, permission_id="p1")]
    assert all(said(*order) == [] for order in permutations(events))
    events = [granted(1, request_id="p1"), denied(2, request_id="p1"), b.tool_called(3, permission_id="p1")]
    assert all(len(said(*order)) == 1 for order in permutations(events))


@pytest.mark.parametrize(
    ("rule", "call", "subject"),
    [
        ({"tools": ["search", "crm/*"]}, b.tool_called(1, tool="refund"), {"tool": "refund"}),
        ({"effects": ["note.*"]}, b.tool_called(1, effect=PAID), {"effect": "refund.paid"}),
        (
            {"paths": ["/srv/shop/*"]},
            b.tool_called(1, resources=[r.Resource("file:///srv/shop/../../etc/cron.d/x", "write")]),
            {"path": "/etc/cron.d"},
        ),
        (
            {"hosts": ["*.example.com"]},
            b.tool_called(1, resources=[r.Resource("https://Evil.example.net:8443/x", "net")]),
            {"host": "evil.example.net"},
        ),
    ],
)
def test_what_is_outside_an_agents_rule_is_critical_unless_somebody_granted_it(
    rule: dict[str, Any], call: Any, subject: dict[str, str]
) -> None:
    [found] = said(call, **rule)
    assert (found.severity, found.subject) == ("critical", {"agent": "billing", **subject})
    assert said(granted(0.5, call_id=call.data.call_id), call, **rule) == []
    assert said(granted(0.5, action=call.data.tool.name), call, **rule) == []
    assert len(said(granted(0.5, action="another"), call, **rule)) == 1
    by_default = granted(0.5, call_id=call.data.call_id, decided_by=r.Actor("default"))
    assert len(said(by_default, call, **rule)) == 1


def test_what_is_inside_and_what_the_policy_does_not_speak_of_is_fine() -> None:
    rule = {"tools": ["search", "crm/*"], "paths": ["/srv/shop/*", "src/*"], "hosts": ["*.example.com"]}
    resources = [
        r.Resource("file:///srv/shop/a.py", "write"),
        r.Resource("src/b.py", "write"),
        r.Resource("/etc/passwd", "read"),
        r.Resource("https://api.example.com/x", "net"),
        r.Resource("s3://bucket/key", "write"),
    ]
    assert said(b.tool_called(1, resources=resources, effect=PAID), **rule) == []
    crm = r.Tool("update", server="crm")
    assert heard(PermissionViolation(given=ruled(**rule)), [b.tool_called(2, tool="x", agent="other")], 600) == []
    call = b.tool_called(3)
    call.data = b.r.ToolCalledData(ctx=call.data.ctx, call_id="c", tool=crm, status=r.Status.ok)
    assert said(call, **rule) == []


def test_a_call_outside_that_did_not_happen_is_no_violation() -> None:
    assert said(b.tool_failed(1, tool="made_up"), tools=["search"]) == []


def test_a_hundred_files_of_one_directory_are_one_trouble() -> None:
    calls = [b.tool_called(n, resources=[r.Resource(f"/etc/app/{n}", "write")]) for n in range(30)]
    assert len({one.fingerprint for one in said(*calls, paths=["/srv/*"])}) == 1


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b/../c", "/a/c"),
        ("file://host/a", "/a"),
        ("file:/a/%2e%2e/etc", "/etc"),
        ("/a//b/", "/a/b"),
        ("src/./x.py", "src/x.py"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\Users\\x", "C:/Users/x"),
        ("https://host/a", ""),
        ("s3://bucket/a", ""),
        ("mailto:ann@example.com", ""),
        ("", ""),
    ],
)
def test_the_path_of_a_file(uri: str, path: str) -> None:
    assert path_of(uri) == path


def test_places_and_hosts() -> None:
    assert [top(path) for path in ("/etc/passwd", "/home/ann/x/y", "/x", "src/a.py", "a.py")] == [
        "/etc",
        "/home/ann",
        "/x",
        "src",
        "a.py",
    ]
    assert [host_of(uri) for uri in ("https://a.B.c./x", "db:5432", "http://[::1]:80/", "http://[::1", "")] == [
        "a.b.c",
        "db",
        "::1",
        "http://[::1",
        "",
    ]


def test_plain_calls_of_a_session_without_denials_remember_nothing() -> None:
    assert PermissionViolation().step(None, b.tool_called(1)).remember is None
    decider = PermissionViolation()
    memory = decider.step(None, granted(1)).remember
    assert decider.step(memory, b.tool_called(2)).remember is memory
