"""The pages: what people see, and that nothing they see can act."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import msgspec
import pytest
from learn.booking import SEEN
from web.serving import TOKEN, serving

from streams.database import migrate
from streams.records import Acknowledgement, Excerpt, Outcome

EVIL = "</td><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}\u202e'\"&"
PAGES = ("/", "/gates", "/health", "/token")


class Seen(HTMLParser):
    """Elements, and every attribute of theirs."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def address(incident):
    return f"/incidents/{quote(incident.id, safe='')}"


async def sign_in(site, **given):
    form = {"name": "Ada", "token": TOKEN, "to": "/gates", **given}
    return await site.client.post("/token", data=form)


async def form_value(site, path):
    found = re.search(r'name="form" value="([0-9a-f]+)"', (await site.client.get(path)).text)
    assert found
    return found.group(1)


@pytest.mark.parametrize("path", PAGES)
async def test_an_empty_system_says_what_to_do(site, path):
    answer = await site.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    hints = {
        "/": "agent.events",
        "/gates": "No release is known yet",
        "/health": "Send one to the topic",
        "/token": "Your name",
    }
    assert hints[path] in answer.text


async def test_what_needs_somebody_comes_first(site):
    await site.book(1, severity="medium", title="a medium one")
    await site.book(2, severity="critical", title="a critical one")
    await site.book(3, severity="critical", stage="resolved", title="a resolved one")
    text = (await site.client.get("/")).text
    assert text.index("a critical one") < text.index("a medium one") < text.index("a resolved one")


async def test_hostile_text_is_shown_and_never_acts(site):
    incident = await site.book(
        title=EVIL,
        subject={"agent": EVIL, EVIL: EVIL},
        owner=EVIL,
        releases=(EVIL,),
        held=(EVIL,),
        hint=EVIL,
        observed=EVIL,
        ticket="OPS-1",
        ticket_url="javascript:alert(1)",
        evidence=(Excerpt(EVIL, EVIL, SEEN, EVIL, EVIL, EVIL, EVIL),),
        stage="resolved",
        outcome="fixed",
    )
    await site.owe(incident, state="refused", reference=EVIL, url="javascript:alert(1)", why=EVIL)
    await site.ran(3, release=EVIL, agent=EVIL)
    await site.read()
    asked = f"/gates?agent={quote(EVIL)}&release={quote(EVIL)}"
    assert (await sign_in(site, name=EVIL)).status_code == 303
    for path in (
        "/",
        f"/?agent={quote(EVIL)}",
        address(incident),
        "/gates",
        asked,
        "/health",
        f"/token?to={quote(EVIL)}",
    ):
        answer = await site.client.get(path)
        assert answer.status_code == 200, path
        seen = Seen(answer.text)
        assert seen.tags.count("script") == 1, path
        assert "img" not in seen.tags, path
        assert not [one for one in seen.attributes if one[1].startswith("on") or one[1] == "style"], path
        assert not [one for one in seen.attributes if one[2].strip().lower().startswith("javascript:")], path
        assert "49" not in answer.text or "{{7*7}}" in answer.text


async def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline(site):
    incident = await site.book()
    for path in (*PAGES, address(incident)):
        seen = Seen((await site.client.get(path)).text)
        loaded = [value for tag, name, value in seen.attributes if (tag, name) in (("script", "src"), ("link", "href"))]
        assert loaded and all(value.startswith("/static/") for value in loaded)
        assert "style" not in seen.tags
        for value in loaded:
            assert (await site.client.get(value)).status_code == 200


async def test_every_field_has_a_label_and_every_time_a_datetime(site):
    incident = await site.book()
    await sign_in(site)
    for path in (*PAGES, address(incident)):
        text = (await site.client.get(path)).text
        seen = Seen(text)
        labels = {value for tag, name, value in seen.attributes if (tag, name) == ("label", "for")}
        fields = {
            value for tag, name, value in seen.attributes if tag in ("input", "select", "textarea") and name == "id"
        }
        hidden = text.count('type="hidden"')
        assert fields == labels, path
        assert sum(tag in ("input", "select", "textarea") for tag in seen.tags) == len(fields) + hidden, path
        assert seen.tags.count("time") == len([one for one in seen.attributes if one[:2] == ("time", "datetime")])
        assert seen.tags.count("h1") == 1 and seen.tags.count("main") == 1


async def test_an_incident_shows_evidence_attempts_and_what_gates_make_of_it(site):
    await site.ran(25)
    incident = await site.book(ticket="OPS-1", ticket_url="https://jira.example/browse/OPS-1", held=("silence:s-1",))
    await site.owe(incident, kind="page", state="attempting", answer="unknown", why="timed out")
    await site.read()
    text = (await site.client.get(address(incident))).text
    for wanted in (
        "3 errors of /refund in the last 5 calls",
        "agent.events/1/0/7",
        "People were not told: silence:s-1",
        "timed out",
        "incident_open",
        'href="https://jira.example/browse/OPS-1"',
        "payments",
    ):
        assert wanted in text, wanted
    assert "Acknowledge</button>" not in text


async def test_gates_show_state_and_progress(site):
    await site.ran(12)
    await site.clock(datetime.now(UTC))
    await site.read()
    text = (await site.client.get("/gates")).text
    assert "12 of about" in text
    asked = (await site.client.get("/gates", params={"agent": "support-bot", "release": "2026.09.3"})).text
    assert "insufficient_evidence" in asked


async def test_who_has_the_token_signs_in_and_decides(site):
    incident = await site.book()
    answer = await sign_in(site, to=address(incident))
    assert (answer.status_code, answer.headers["location"]) == (303, address(incident))
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
    form = await form_value(site, address(incident))
    await site.client.post(address(incident) + "/acknowledge", data={"form": form})
    decided = {"form": form, "outcome": "fixed", "fixed_in": " 2026.09.4 ", "reason": "prompt repaired"}
    answer = await site.client.post(address(incident) + "/outcome", data=decided)
    assert answer.status_code == 303
    first, second = [row[0] for row in await site.rows("SELECT record FROM inbox ORDER BY id")]
    assert msgspec.convert(first, Acknowledgement).actor == "Ada"
    told = msgspec.convert(second, Outcome)
    assert (told.outcome, told.fixed_in, told.actor, told.reason) == ("fixed", "2026.09.4", "Ada", "prompt repaired")
    assert "prompt repaired" in (await site.client.get(address(incident))).text


async def test_who_signs_in_from_an_incident_comes_back_to_it(site):
    incident = await site.book()
    shown = (await site.client.get(address(incident))).text
    (link,) = re.findall(r'href="(/token\?to=[^"]+)">sign in<', shown)
    (to,) = re.findall(r'name="to" value="([^"]*)"', (await site.client.get(link)).text)
    assert (await sign_in(site, to=to)).headers["location"] == address(incident)


async def test_an_address_that_no_header_can_hold_leads_to_the_first_page(site):
    answer = await sign_in(site, to="/?agent=\u4e2d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_decision_can_be_taken_back(site):
    incident = await site.book(stage="resolved", outcome="fixed")
    await sign_in(site)
    form = await form_value(site, address(incident))
    await site.client.post(address(incident) + "/outcome", data={"form": form, "outcome": "reopen"})
    ((told,),) = await site.rows("SELECT record FROM inbox")
    assert msgspec.convert(told, Outcome).reopened


async def test_a_wrong_token_opens_nothing(site):
    for given in ({"token": "wrong"}, {"token": ""}, {"name": " "}):
        answer = await sign_in(site, **given)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


async def test_forms_need_the_cookie_the_value_and_our_own_page(site):
    incident = await site.book()
    where, fields = address(incident) + "/outcome", {"outcome": "fixed"}
    assert (await site.client.post(where, data=fields)).status_code == 401
    await sign_in(site)
    form = await form_value(site, address(incident))
    elsewhere = [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
    assert (await site.client.post(where, data=fields)).status_code == 403
    assert (await site.client.post(where, data={**fields, "form": "0" * 64})).status_code == 403
    for headers in elsewhere:
        assert (await site.client.post(where, data={**fields, "form": form}, headers=headers)).status_code == 403
        assert (
            await site.client.post("/token", data={"name": "a", "token": TOKEN}, headers=headers)
        ).status_code == 403
    assert await site.rows("SELECT * FROM inbox") == []


async def test_a_cookie_made_up_or_grown_old_opens_nothing(site):
    keys = site.app.state.door
    old = keys.cookie("Ada", datetime.now(UTC).timestamp() - timedelta(hours=9).total_seconds())
    good = keys.cookie("Ada", datetime.now(UTC).timestamp())
    body, _, signature = good.rpartition(".")
    for cookie in (old, "x", ".", f"{body}x.{signature}", f"{body}.{signature[::-1]}", "ü.ü"):
        assert keys.visitor(cookie, datetime.now(UTC).timestamp()) is None
    assert keys.visitor(good, datetime.now(UTC).timestamp()).name == "Ada"


async def test_signing_in_leads_nowhere_else(site):
    for to in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert (await sign_in(site, to=to)).headers["location"] == "/"


async def test_what_is_not_there_is_a_page_that_says_so(site):
    for path in ("/nowhere", "/incidents/none"):
        answer = await site.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "<h1>Not Found</h1>" in answer.text


async def test_without_a_token_the_page_says_how_to_set_one(database):
    migrate(database)
    async with serving(database, token="") as site:
        assert "TOCSIN_TOKEN" in (await site.client.get("/token")).text
        assert (await sign_in(site, token="")).status_code == 401
