"""What is kept for ever, and what goes after 90 days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from respond.outside import comment, evidence, page, promise, rows, ticket

from streams.database import connect
from streams.respond.book_rows import tidy

OLD = datetime.now(UTC) - timedelta(days=90)


async def history(uri: str, name: str, stage: str, days: int) -> None:
    """An incident whose page, ticket, evidence and comment were done that long ago."""
    await promise(uri, page(name), ticket(name), evidence(name), comment(name))
    async with await connect(uri) as conn:
        await conn.execute(
            "INSERT INTO incidents (id, fingerprint, episode, stage, severity, owner, detector, agent, first_seen, last_seen,"
            " opened_at, count, body, updated_at) VALUES (%s, %s, 1, %s, 'high', 'o', 'd', 'a', now(), now(), now(), 1, '{}',"
            " now() - make_interval(days => %s))",
            [name, name, stage, days],
        )
        await conn.execute(
            "INSERT INTO attempts (obligation, attempt, step, started)"
            " SELECT id, 1, 'call', now() - make_interval(days => %s) FROM obligations WHERE incident = %s",
            [days, name],
        )
        await conn.execute(
            "UPDATE obligations SET state = 'done', settled_at = now() - make_interval(days => %s) WHERE incident = %s",
            [days, name],
        )


async def left(uri: str) -> dict[str, set[str]]:
    kept: dict[str, set[str]] = {}
    for incident, kind in await rows(uri, "SELECT incident, kind FROM obligations"):
        kept.setdefault(incident, set()).add(kind)
    return kept


async def test_what_was_done_for_incidents_long_over_goes_and_nothing_of_open_ones(book: str) -> None:
    all_of_it = {"page", "ticket", "evidence", "comment"}
    for name, stage, days in (("old", "resolved", 91), ("young", "resolved", 89), ("open", "open", 200)):
        await history(book, name, stage, days)
    async with await connect(book) as conn:
        assert not await tidy(conn, OLD, OLD)
    assert await left(book) == {"old": {"page", "ticket"}, "young": all_of_it, "open": all_of_it}
    attempts = await rows(book, "SELECT DISTINCT o.incident FROM attempts a JOIN obligations o ON o.id = a.obligation")
    assert {name for (name,) in attempts} == {"young", "open"}


async def test_what_somebody_still_waits_for_stays(book: str) -> None:
    await history(book, "old", "resolved", 91)
    late = comment("old", "later")
    async with await connect(book) as conn:
        await conn.execute("UPDATE obligations SET state = 'owed' WHERE id = %s", [late.id])
        await tidy(conn, OLD, OLD)
    assert await left(book) == {"old": {"page", "ticket", "comment"}}


async def test_a_great_deal_of_it_goes_in_portions(book: str) -> None:
    for n in range(3):
        await history(book, f"old{n}", "closed", 91)
    async with await connect(book) as conn:
        assert [await tidy(conn, OLD, OLD, limit=5) for _ in range(2)] == [True, False]
    assert all(kinds == {"page", "ticket"} for kinds in (await left(book)).values())
