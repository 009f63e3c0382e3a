"""Each entry of the fault menu by its name: what the caller sees, and whether it happened all the same."""

from __future__ import annotations

import aiohttp
import pytest
from respond.faults_table import FAULT_IDS, FAULTS, LATE_S, Case
from sandbox.clients import BASIC, JiraRunning, fields, until

PATH = "/rest/api/*/issue"


@pytest.mark.parametrize("case", FAULTS, ids=FAULT_IDS)
async def test_an_entry_does_what_its_name_says(jira: JiraRunning, http: aiohttp.ClientSession, case: Case) -> None:
    server, url = jira
    server.faults.add(case.fault(PATH, method="POST"))
    what, _, when = case.name.rpartition("-")
    seen = await _asked(http, url, 0.4 if what in ("hang", "late", "stall") else 10.0)
    number = what.partition("-")[0]
    if number.isdecimal():
        status, headers = seen  # type: ignore[misc]
        assert status == int(number)
        assert headers.get("Retry-After") == case.given.get("headers", {}).get("Retry-After")
    elif what == "wrong-type":
        assert seen == "no JSON"
    else:
        assert seen == {"reset": "cut", "close": "cut", "truncated": "cut"}.get(what, "silence")
    happened = when == "after"
    assert len(list(server.book.tickets())) == happened
    if what in ("late", "hang"):
        if what == "hang":
            server.faults.clear()
        await until(lambda: len(list(server.book.tickets())) == 1, LATE_S + 5.0)
    assert isinstance(await _asked(http, url), tuple), "and it strikes once"


async def _asked(http: aiohttp.ClientSession, url: str, seconds: float = 10.0) -> tuple[int, dict[str, str]] | str:
    """Status and headers, or in a word why there are none."""
    try:
        async with http.post(
            f"{url}/rest/api/3/issue", json={"fields": fields()}, headers=BASIC, allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:  # fmt: skip
            raw = await answer.read()
            if answer.status < 300 and not raw.startswith(b"{"):
                return "no JSON"
            return answer.status, dict(answer.headers)
    except TimeoutError:
        return "silence"
    except aiohttp.ClientError:
        return "cut"
