"""What is missing in Slack is said in words before the first page, and nothing is written to find out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from respond.outside import CANARY, CHANNEL, SLACK_CANARY

from streams.respond.receivers import slack_wire
from streams.respond.receivers.slack_preflight import NEEDED, Found, preflight
from streams.sandbox.faults import Fault
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret

Running = tuple[SandboxSlack, str]


async def looked(slack: Running, *, token: str = SLACK_CANARY, app: str = "", **given: Any) -> dict[str, Found]:
    wires = [slack_wire.Wire(f"{slack[1]}/api/", Secret(one), timeout_s=1.0) for one in (token, app or "-")]
    channels, mentions = given.pop("channels", (CHANNEL,)), given.pop("mentions", ())
    found = await preflight(wires[0], channels, mentions, app=wires[1] if app else None, **given)
    for wire in wires:
        await wire.close()
    assert CANARY not in repr(found)
    assert not [one for one in slack[0].workspace.channels.values() if list(one.newest(0, 2**62))]
    return {one.what: one for one in found}


async def test_all_is_well(slack: Running) -> None:
    server, _ = slack
    server.sockets.app_token = "xapp-1"
    ada = next(one.id for one in server.workspace.people.values() if one.name == "ada")
    group = next(iter(server.workspace.groups.values()))
    mentions = (ada, group.id, "@oncall", "bruno@example.com", ada)
    found = await looked(slack, mentions=mentions, app="xapp-1")
    assert all(one.ok for one in found.values()), found
    assert set(found) == {
        "credentials",
        "scopes",
        "clock",
        f"channel {CHANNEL}",
        *(f"mention {one}" for one in mentions),
        "buttons",
    }
    assert "Sandbox" in found["credentials"].says


async def test_a_wrong_token_ends_it(slack: Running) -> None:
    found = await looked(slack, token="xoxb-wrong")
    assert list(found) == ["credentials"] and not found["credentials"].ok
    assert "invalid_auth" in found["credentials"].says


async def test_each_missing_scope_is_named_with_what_it_is_for(slack: Running) -> None:
    slack[0].limits.scopes = ("chat:write",)
    found = await looked(slack, mentions=("@oncall", "ada@example.com"))
    assert not found["scopes"].ok and not any("chat:write" in one for one in found["scopes"].says.split("; "))
    assert all(scope in found["scopes"].says for scope in set(NEEDED) - {"chat:write"})
    assert not found[f"channel {CHANNEL}"].ok and "missing" in found[f"channel {CHANNEL}"].says
    assert not found["mention @oncall"].ok and not found["mention ada@example.com"].ok


async def test_channels_and_mentions_that_nobody_can_reach(slack: Running) -> None:
    server, _ = slack
    server.workspace.channels[CHANNEL].is_member = False
    found = await looked(
        slack, channels=(CHANNEL, "C0NOWHERE"), mentions=("S0NOBODY", "U0NOBODY", "nobody", "no@example.com")
    )
    assert "invite" in found[f"channel {CHANNEL}"].says and "not there" in found["channel C0NOWHERE"].says
    assert [found[f"mention {one}"].ok for one in ("S0NOBODY", "U0NOBODY", "nobody", "no@example.com")] == [False] * 4


@pytest.mark.parametrize(("minutes", "ok"), [(0, True), (-10, False), (10, False)])
async def test_clocks_that_differ_are_noticed(slack: Running, minutes: int, ok: bool) -> None:
    found = await looked(slack, now=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    assert found["clock"].ok is ok


async def test_an_app_token_that_opens_nothing(slack: Running) -> None:
    slack[0].sockets.app_token = "xapp-another"
    found = await looked(slack, app="xapp-1")
    assert not found["buttons"].ok and "connections:write" in found["buttons"].says


@pytest.mark.parametrize("kind", ["reset", "close", "truncated", "wrong_content_type"])
@pytest.mark.parametrize(
    "path", ["auth.test", "conversations.history", "usergroups.list", "users.lookupByEmail", "apps.connections.open"]
)
async def test_an_exchange_that_breaks_off_is_said_and_raises_nothing(slack: Running, path: str, kind: Any) -> None:
    slack[0].faults.add(Fault(path=path, kind=kind, times=None))
    found = await looked(slack, mentions=("@oncall", "ada@example.com"), app="xapp-1")
    assert not all(one.ok for one in found.values())
