"""The pages of gates: every rule with its numbers, what was answered before, and what people say to it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from learn.deciding import settle
from web.test_pages import EVIL, Seen, form_value, sign_in

RELEASE = {"agent": "support-bot", "release": "2026.09.3", "environment": "prod"}
PAGE = f"/gates/promotion?{urlencode(RELEASE)}"
WHY = "The refund tool is mocked in this canary; payments agreed."
RULES = (
    *("kill_switch", "never_override", "override", "incident", "regression_case", "regression_vs_stable", "objective"),
    *("freeze", "trust", "fix_unverified", "evidence", "soft", "insufficient"),
)


@pytest.fixture
async def blocked(site):
    site.incident = await site.book(1, severity="high", ticket="OPS-1", title=EVIL)
    await site.ran(200)
    await site.clock(datetime.now(UTC) - timedelta(seconds=30))
    await site.read()
    return site


async def again(site):
    await settle(site.conn)
    await site.read()


async def test_all_thirteen_rules_are_there_and_the_one_that_decides_says_so(blocked):
    text = (await blocked.client.get(PAGE)).text
    assert [rule for rule in RULES if f"<code>{rule}</code>" not in text] == []
    assert "<strong>decides</strong>" in text
    assert "an override that names its id" in text


async def test_hostile_text_is_text_there_too(blocked):
    for path in (PAGE, "/gates", f"/gates?{urlencode({'agent': EVIL, 'release': EVIL})}"):
        seen = Seen((await blocked.client.get(path)).text)
        assert seen.tags.count("script") == 1 and "img" not in seen.tags
        assert not [name for _, name, _ in seen.attributes if name.startswith("on")]


async def test_people_ask_approve_and_end_on_the_page_of_the_release(blocked):
    await sign_in(blocked)
    form = await form_value(blocked, PAGE)
    covers = {"reasons": blocked.incident.id, "reason": WHY, "lasting": "2h"}
    asked = await blocked.client.post("/gates/promotion/override", data={"form": form, **RELEASE, **covers})
    assert asked.status_code == 303, asked.text
    await again(blocked)
    text = (await blocked.client.get(PAGE)).text
    assert "Approve</button>" in text and WHY in text
    override = (await blocked.client.get("/v1/overrides")).json()["overrides"][0]["override"]["id"]
    await blocked.client.post(f"/overrides/{override}/approve", data={"form": form})
    await again(blocked)
    assert 'class="tag state warn"' in (await blocked.client.get(PAGE)).text
    assert override in (await blocked.client.get("/gates")).text
    away = await blocked.client.get(f"/overrides/{override}")
    assert away.headers["location"].endswith(f"#{override}")
    await blocked.client.post(f"/overrides/{override}/end", data={"form": form})
    await again(blocked)
    assert 'class="box decision block"' in (await blocked.client.get(PAGE)).text


async def test_a_freeze_is_made_and_ended_on_the_page_of_gates(blocked):
    await sign_in(blocked)
    form = await form_value(blocked, "/gates")
    now = datetime.now(UTC)
    edges = {"begins": now.isoformat(), "ends": (now + timedelta(hours=1)).isoformat(), "reason": "holidays"}
    made = await blocked.client.post("/freezes", data={"form": form, **edges, "agents": "*", "environments": "*"})
    assert made.status_code == 303
    await again(blocked)
    assert "holidays" in (await blocked.client.get("/gates")).text
    freeze = (await blocked.client.get("/v1/freezes")).json()["freezes"][0]["freeze"]["id"]
    await blocked.client.post(f"/freezes/{freeze}/end", data={"form": form})
    await again(blocked)
    assert (await blocked.client.get("/v1/freezes")).json()["freezes"][0]["state"] == "ended"


@pytest.mark.parametrize(
    "path",
    ["/gates/promotion/override", "/overrides/o-1/approve", "/overrides/o-1/end", "/freezes", "/freezes/f-1/end"],
)
async def test_forms_need_the_cookie_and_the_value_of_our_own_page(blocked, path):
    assert (await blocked.client.post(path, data={})).status_code == 401
    await sign_in(blocked)
    assert (await blocked.client.post(path, data={"form": "0" * 64})).status_code == 403


async def test_a_decision_has_a_page_of_its_own_that_says_it_can_be_made_again(blocked):
    found = (await blocked.client.get("/v1/gates/promotion/decision", params=RELEASE)).json()
    text = (await blocked.client.get(f"/decisions/{found['decision_id']}")).text
    assert "the same to the byte" in text
    assert found["decision_id"] in (await blocked.client.get(PAGE)).text
    assert (await blocked.client.get("/decisions/none")).status_code == 404


async def test_without_a_release_it_is_the_list_and_an_unknown_gate_is_unknown(blocked):
    assert (await blocked.client.get("/gates/promotion")).headers["location"] == "/gates"
    assert (await blocked.client.get(f"/gates/none?{urlencode(RELEASE)}")).status_code == 404
