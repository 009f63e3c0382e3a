"""Controls over OpenFeature: with the Python SDK and its provider, against the role as it serves."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from delivery.controlling import control, put
from delivery.gated import served
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from web.serving import AWAY, serving
from web.test_gate_api import close

from streams.database import connect, migrate
from streams.records import held_back

BULK = "/ofrep/v1/evaluate/flags"
ASKED = {"targetingKey": "s-1", "agent": "support-bot", "release": "2026.09.3", "tenant": "acme", "tool": "refund"}
SESSION = EvaluationContext("s-1", {key: value for key, value in ASKED.items() if key != "targetingKey"})


@asynccontextmanager
async def asking(database, port):
    """The SDK's client of the role; its calls go in a thread, as they block."""
    async with served(database, port) as address:
        provider = OFREPProvider(address)
        api.set_provider(provider, domain="tocsin")
        try:
            yield api.get_client(domain="tocsin")
        finally:
            provider.session.close()
            api.clear_providers()


async def test_the_sdk_reads_each_flag_before_and_after_a_control(database, unused_tcp_port):
    migrate(database)
    async with asking(database, unused_tcp_port) as client, await connect(database) as conn:
        on = await asyncio.to_thread(client.get_boolean_details, "agent.enabled", False, SESSION)
        assert (on.value, on.reason, on.variant, on.error_code) == (True, Reason.DEFAULT, "on", None)
        ratio = await asyncio.to_thread(client.get_float_details, "agent.throttle_ratio", 0.5, SESSION)
        assert (ratio.value, ratio.error_code) == (0.0, None)
        await put(
            conn,
            control(ratio=1.0, max_steps=7, seq=4, reason="incident i-1", ticket="OPS-1"),
            control("agent_tool", name="search"),
        )
        await held(client)
        off = await asyncio.to_thread(client.get_boolean_details, "agent.enabled", True, SESSION)
        assert (off.value, off.reason, off.variant) == (False, Reason.TARGETING_MATCH, "off")
        assert off.flag_metadata == {"scope": "agent:support-bot", "seq": 4, "why": "incident i-1", "ticket": "OPS-1"}
        ratio = await asyncio.to_thread(client.get_float_details, "agent.throttle_ratio", 0.5, SESSION)
        assert (ratio.value, ratio.error_code) == (1.0, None)
        steps = await asyncio.to_thread(client.get_integer_details, "agent.max_steps", 99, SESSION)
        assert (steps.value, steps.error_code) == (7, None)
        tool = await asyncio.to_thread(client.get_boolean_details, "agent.tool_allowed", True, SESSION)
        assert (tool.value, tool.error_code) == (False, None)


async def held(client):
    """Until the control has arrived: it is read a few times a second."""
    async with asyncio.timeout(10):
        while await asyncio.to_thread(client.get_boolean_value, "agent.enabled", True, SESSION):
            await asyncio.sleep(0.02)


async def test_the_sdk_falls_back_to_its_default_with_a_reason_where_there_is_no_answer(database, unused_tcp_port):
    migrate(database)
    async with asking(database, unused_tcp_port) as client, await connect(database) as conn:
        for key in ("agent.release_pin", "agent.model_override"):
            found = await asyncio.to_thread(client.get_string_details, key, "mine", SESSION)
            assert (found.value, found.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)
            assert found.error_message == "Nothing pins it."
        nobody = EvaluationContext(attributes={"agent": "support-bot"})
        found = await asyncio.to_thread(client.get_boolean_details, "agent.tool_allowed", True, nobody)
        assert (found.value, found.error_code) == (True, ErrorCode.INVALID_CONTEXT)
        await put(conn, control(ratio=0.5))
        async with asyncio.timeout(10):
            while found.error_code is not ErrorCode.TARGETING_KEY_MISSING:
                found = await asyncio.to_thread(client.get_boolean_details, "agent.enabled", True, nobody)
                await asyncio.sleep(0.02)
        assert found.value is True


async def test_the_sdk_splits_sessions_as_the_breaker_does(database, unused_tcp_port):
    migrate(database)
    async with await connect(database) as conn:
        await put(conn, control(ratio=0.5))
    async with asking(database, unused_tcp_port) as client:
        for number in range(20):
            context = EvaluationContext(f"s-{number}", {"agent": "support-bot"})
            found = await asyncio.to_thread(client.get_boolean_details, "agent.enabled", True, context)
            assert (found.value, found.reason) == (not held_back(f"s-{number}", 0.5), Reason.SPLIT)


async def told(site, path, **given):
    return await site.client.post(path, json={"context": {**ASKED, **given}})


async def fetched(site, *controls):
    """Controls are read anew when what is known is old."""
    await put(site.conn, *controls)
    site.app.state.flags._read_s = 0.0


async def test_all_flags_at_once_have_a_tag_and_are_not_sent_again_while_nothing_changed(site):
    first = await told(site, BULK)
    assert [one["key"] for one in first.json()["flags"]] == [
        "agent.enabled",
        "agent.throttle_ratio",
        "agent.max_steps",
        "agent.tool_allowed",
    ]
    tag = first.headers["etag"]
    for header in (tag, f'W/{tag}, "x"', "*"):
        again = await site.client.post(BULK, json={"context": ASKED}, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await fetched(site, control())
    changed = await site.client.post(BULK, json={"context": ASKED}, headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag
    assert {one["key"]: one["value"] for one in changed.json()["flags"]}["agent.enabled"] is False


async def test_every_answer_has_the_fields_that_providers_index(site):
    for key in ("agent.enabled", "agent.throttle_ratio", "agent.max_steps", "agent.tool_allowed"):
        found = (await told(site, f"{BULK}/{key}")).json()
        assert set(found) == {"key", "value", "reason", "variant", "metadata"} and found["key"] == key
    assert b'"value":0.0' in (await told(site, f"{BULK}/agent.throttle_ratio")).content
    missing = await told(site, f"{BULK}/agent.unknown")
    assert (missing.status_code, set(missing.json())) == (404, {"key", "errorCode", "errorDetails"})


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b'{"context": 1}', b"[" * 20_000])
async def test_a_body_that_is_no_request_is_a_400_with_a_code(site, body):
    for path in (BULK, f"{BULK}/agent.enabled"):
        answer = await site.client.post(path, content=body)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "PARSE_ERROR")
        assert answer.json()["errorDetails"]


async def test_an_empty_context_is_about_everybody(site):
    await fetched(site, control("global"))
    for body in (b"", b"{}", b'{"context": {}}', b'{"context": {"agent": 7, "targetingKey": null}}'):
        answer = await site.client.post(f"{BULK}/agent.enabled", content=body)
        assert (answer.status_code, answer.json()["value"]) == (200, False)


async def test_flagd_polls_its_file_and_hears_304_while_nothing_changed(site):
    first = await site.client.get("/flagd/flags.json")
    assert first.headers["content-type"] == "application/json" and "no-store" not in first.headers["cache-control"]
    again = await site.client.get("/flagd/flags.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await fetched(site, control(not_after=datetime.now(UTC) + timedelta(minutes=5)))
    changed = await site.client.get("/flagd/flags.json", headers={"If-None-Match": first.headers["etag"]})
    assert changed.json()["flags"]["agent.enabled"]["targeting"]


async def test_a_control_that_cannot_be_read_hides_no_other(site):
    await site.conn.execute("INSERT INTO controls VALUES ('agent:x', 'open', 1, NULL, now(), '{\"v\": 9}')")
    await fetched(site, control())
    assert (await told(site, f"{BULK}/agent.enabled")).json()["value"] is False


async def test_a_database_that_goes_away_leaves_what_was_known(site, postgres, database):
    await fetched(site, control())
    assert (await told(site, f"{BULK}/agent.enabled")).json()["value"] is False
    await site.conn.close()
    close(postgres, database)
    site.app.state.flags._read_s = 0.0
    assert (await told(site, f"{BULK}/agent.enabled")).json()["value"] is False


async def test_without_a_database_since_the_start_nobody_is_told_anything():
    async with serving("postgresql://127.0.0.1:1/nowhere", token=AWAY) as site:
        for method, path in (("POST", BULK), ("POST", f"{BULK}/agent.enabled"), ("GET", "/flagd/flags.json")):
            answer = await site.client.request(method, path)
            assert (answer.status_code, json.loads(answer.content)["errorCode"]) == (503, "GENERAL")
            assert answer.headers["retry-after"]
