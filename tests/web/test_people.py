"""What people say over HTTP reaches the book, and silences are all there to be seen."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from web.serving import BEARER
from web.test_pages import EVIL, Seen, address, form_value, sign_in

from streams.records import Assignment, Hushed, Merge, Silence, Split
from streams.respond import book_rows

NOW = datetime.now(UTC)


def place(incident):
    return f"/v1/incidents/{quote(incident.id, safe='')}"


async def post(site, path, **body):
    return await site.client.post(path, json={"actor": "Ada", **body}, headers=BEARER)


async def told(site, kind):
    return [msgspec.convert(row[0], kind) for row in await site.rows("SELECT record FROM inbox ORDER BY id")]


async def hush(site, name="s-1", ended_at=None, **given):
    known = {"matchers": {"agent": "support-bot"}, "reason": "load test", "actor": "Ada"}
    known |= {"at": NOW - timedelta(hours=1), "until": NOW + timedelta(hours=1), "source": "web"}
    await book_rows.say(site.conn, [Hushed(Silence(name, **{**known, **given}), ended_at)], "incidents")


async def test_an_assignment_a_split_and_a_merge_reach_the_books_inbox(site):
    one, other = await site.book(1), await site.book(2)
    assert (await post(site, f"{place(one)}/assign", to="Bob", source="command")).status_code == 202
    assert (await post(site, f"{place(one)}/split", reason="another trouble")).status_code == 202
    assert (await post(site, f"{place(one)}/merge", parent=other.id)).status_code == 202
    rows = [row[0] for row in await site.rows("SELECT record FROM inbox ORDER BY id")]
    assigned, split, merged = (
        msgspec.convert(row, of) for row, of in zip(rows, (Assignment, Split, Merge), strict=True)
    )
    assert (assigned.incident, assigned.to, assigned.actor, assigned.source) == (one.id, "Bob", "Ada", "command")
    assert (split.incident, split.reason, split.source) == (one.id, "another trouble", "web")
    assert (merged.incident, merged.parent) == (one.id, other.id)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, "no incident of the parent's id"),
        ({"stage": "resolved", "outcome": "fixed"}, "The parent is over"),
        ({"stage": "merged", "parent": "other#1"}, "merge into that one"),
    ],
)
async def test_what_cannot_speak_for_others_is_refused_with_the_reason(site, changes, words):
    one = await site.book(1)
    parent = await site.book(2, **changes) if changes else None
    answer = await post(site, f"{place(one)}/merge", parent=parent.id if parent else "none#1")
    assert answer.status_code == 422 and words in answer.json()["detail"]
    assert (await post(site, f"{place(one)}/merge", parent=one.id)).status_code == 422
    assert await site.rows("SELECT * FROM inbox") == []


async def test_a_silence_says_when_it_ends_and_what_it_hides_now(site):
    await site.book(1, severity="high")
    critical = await site.book(2, severity="critical")
    body = {"matchers": {"agent": "support-*"}, "reason": "load test", "for_s": 3600}
    answer = (await post(site, "/v1/silences", **body)).json()
    assert (answer["hides"], answer["critical"]) == (2, [critical.id])
    assert answer["warning"] == f"It hides a critical incident that is open: {critical.id}."
    (silence,) = await told(site, Silence)
    assert (silence.id, silence.kind, silence.until - silence.at) == (answer["id"], "silence", timedelta(hours=1))
    spared = {**body, "matchers": {"agent": "support-*", "severity": "high"}}
    answer = (await post(site, "/v1/silences", **spared)).json()
    assert (answer["hides"], answer["critical"], answer["warning"]) == (1, [], None)
    answer = (await post(site, "/v1/silences", **{**body, "matchers": {"agent": "other"}})).json()
    assert "Critical incidents are hidden as well" in answer["warning"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "maintenance", "matchers": {"detector": "*"}}, "needs a scope"),
        ({"kind": "rollout", "matchers": {"release": "7"}}, "needs a scope"),
        ({"for_s": None}, "Say when it ends"),
        ({"until": (NOW + timedelta(hours=1)).isoformat()}, "Say when it ends"),
        ({"kind": "weekend"}, ""),
        ({"for_s": -1}, ""),
    ],
)
async def test_a_window_without_scope_or_end_is_refused(site, body, words):
    known = {"matchers": {"agent": "a"}, "reason": "deploy", "for_s": 600}
    answer = await post(site, "/v1/silences", **{**known, **body})
    assert answer.status_code == 422 and words in answer.json()["detail"]
    assert await site.rows("SELECT * FROM inbox") == []


async def test_a_silence_can_be_ended_before_the_book_has_read_it_and_twice(site):
    name = (await post(site, "/v1/silences", matchers={"agent": "a"}, reason="x", for_s=600)).json()["id"]
    assert (await post(site, f"/v1/silences/{name}/end")).status_code == 202
    assert (await post(site, f"/v1/silences/{name}/end")).status_code == 202
    first, second = await told(site, Silence)
    assert second.until == second.at < first.until and second.matchers == first.matchers
    await site.conn.execute("DELETE FROM inbox")
    await hush(site)
    assert (await post(site, "/v1/silences/s-1/end")).status_code == 202
    (ended,) = await told(site, Silence)
    assert (ended.id, ended.until <= datetime.now(UTC)) == ("s-1", True)
    assert (await post(site, "/v1/silences/none/end")).status_code == 404


async def test_all_silences_can_be_seen_with_what_each_hides(site):
    await site.book(1, held=("silenced:s-1",))
    await site.book(2, held=("silenced:s-1",), stage="resolved", outcome="fixed")
    await site.book(3, held=("silenced:s-2",))
    await hush(site)
    await hush(
        site, "s-2", at=NOW - timedelta(hours=3), until=NOW - timedelta(hours=2), ended_at=NOW - timedelta(hours=2)
    )
    await hush(site, "m-1", kind="maintenance", source="ci")
    found = {one["id"]: one for one in (await site.client.get("/v1/silences")).json()["silences"]}
    assert {name: (one["active"], one["hides"]) for name, one in found.items()} == {
        "s-1": (True, 1),
        "m-1": (True, 0),
        "s-2": (False, 0),
    }
    active = (await site.client.get("/v1/silences", params={"active": "true"})).json()["silences"]
    assert {one["id"] for one in active} == {"s-1", "m-1"}
    text = (await site.client.get("/silences")).text
    assert "agent=support-bot" in text and "load test" in text and "End</button>" not in text


async def test_who_is_signed_in_assigns_splits_merges_and_silences(site):
    one, parent = await site.book(1), await site.book(2)
    child = await site.book(3, stage="merged", parent=parent.id)
    await sign_in(site)
    form = await form_value(site, address(one))
    sent = [
        (address(one) + "/assign", {"to": " Bob "}),
        (address(one) + "/merge", {"parent": parent.id}),
        (address(child) + "/split", {}),
        ("/silences", {"matchers": "agent=a*\n\nseverity=high", "reason": "noise", "lasting": "2h", "kind": "silence"}),
    ]
    for path, data in sent:
        assert (await site.client.post(path, data={**data, "form": form})).status_code == 303, path
    records = [row[0] for row in await site.rows("SELECT record FROM inbox ORDER BY id")]
    assert [one["record"] for one in records] == ["assignment", "merge", "split", "silence"]
    assert records[0]["to"] == "Bob" and {record["actor"] for record in records} == {"Ada"}
    assert records[3]["matchers"] == {"agent": "a*", "severity": "high"}


async def test_forms_that_say_too_little_are_refused_and_strangers_say_nothing(site):
    one = await site.book(1)
    paths = [*(f"{address(one)}/{what}" for what in ("assign", "split", "merge")), "/silences", "/silences/s-1/end"]
    for path in paths:
        assert (await site.client.post(path, data={"to": "Bob"})).status_code == 401
    await sign_in(site)
    for path in paths:
        assert (await site.client.post(path, data={"to": "Bob", "form": "0" * 64})).status_code == 403
    form = await form_value(site, address(one))
    for path, data in (
        (address(one) + "/assign", {"to": " "}),
        (address(one) + "/merge", {"parent": ""}),
        ("/silences", {"matchers": "agent", "reason": "x", "lasting": "2h"}),
        ("/silences", {"matchers": "agent=a\nagent=b", "reason": "x", "lasting": "2h"}),
        ("/silences", {"matchers": "agent=a", "reason": "", "lasting": "2h"}),
        ("/silences", {"matchers": "agent=a", "reason": "x", "lasting": "for ever"}),
        ("/silences", {"matchers": "detector=a", "reason": "x", "lasting": "2h", "kind": "rollout"}),
    ):
        assert (await site.client.post(path, data={**data, "form": form})).status_code == 422, data
    assert await site.rows("SELECT * FROM inbox") == []


async def test_hostile_text_of_a_silence_is_shown_and_never_acts(site):
    await hush(site, matchers={"agent": EVIL}, reason=EVIL, actor=EVIL, source=EVIL)
    one = await site.book(1, assigned_to=EVIL, parent=EVIL, apart=(EVIL,), level=2)
    await sign_in(site)
    for path in ("/silences", f"/silences?incident={quote(EVIL)}", address(one)):
        seen = Seen((await site.client.get(path)).text)
        assert seen.tags.count("script") == 1 and "img" not in seen.tags, path
        assert not [one for one in seen.attributes if one[1].startswith("on") or one[1] == "style"], path


async def test_an_expired_page_says_why(site):
    one = await site.book(1, stage="resolved", outcome="fixed", told={"page": 2, "ticket": 1})
    await site.owe(one, kind="page", state="expired", why="resolved as fixed meanwhile")
    text = (await site.client.get(address(one))).text
    assert re.search(r"expired.*resolved as fixed meanwhile", text, re.DOTALL)


async def test_the_page_of_silences_has_labels_and_is_filled_in_from_an_incident(site):
    await sign_in(site)
    text = (await site.client.get("/silences", params={"incident": "v1:x#1"})).text
    seen = Seen(text)
    labels = {value for tag, name, value in seen.attributes if (tag, name) == ("label", "for")}
    fields = {value for tag, name, value in seen.attributes if tag in ("input", "select", "textarea") and name == "id"}
    assert fields == labels == {"kind", "matchers", "reason", "lasting"}
    assert ">incident=v1:x#1<" in text


async def test_a_silence_hides_nothing_from_gates(site):
    await site.ran(25)
    await site.clock(datetime.now(UTC))
    one = await site.book(1, severity="high", held=("silenced:s-1",))
    await hush(site)
    await site.read()
    shown = (await site.client.get(place(one))).json()
    assert [(gate["state"], gate["code"]) for gate in shown["gates"]] == [("block", "incident_open")]
