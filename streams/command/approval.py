"""`tocsin approval`: what waits for a person, and the person's answer."""

from __future__ import annotations

from typing import Any, NoReturn

import rich_click as click

from . import desk


@click.group()
def approval() -> None:
    """Questions that a person answers before something is done."""


@approval.command("list")
@click.option("--pending", is_flag=True, help="Only those that wait for an answer.")
@desk.shared
def list_(pending: bool, url: str | None, as_json: bool) -> None:
    """Every question, those that wait first.

    0 done, 4 Tocsin could not be reached.

    Example: tocsin approval list --pending
    """
    answered = desk.api(url).get("approvals", pending="true" if pending else None)
    rows = (answered.document or {}).get("approvals", ())
    desk.ended(answered, "\n".join(_line(row) for row in rows) or "None.", as_json=as_json)


@approval.command()
@click.argument("name", metavar="ID")
@desk.signed
def approve(name: str, **given: Any) -> None:
    """It may be done. The first answer counts.

    0 done, 2 wrong usage, 3 the token is missing or wrong, 4 Tocsin could not be reached, or somebody was first,
    5 there is none of this id.

    Example: tocsin approval approve agent-0123456789abcdef --actor ann
    """
    _answer(name, "approved", given)


@approval.command()
@click.argument("name", metavar="ID")
@desk.signed
def refuse(name: str, **given: Any) -> None:
    """It may not be done. The first answer counts.

    0 done, 2 wrong usage, 3 the token is missing or wrong, 4 Tocsin could not be reached, or somebody was first,
    5 there is none of this id.

    Example: tocsin approval refuse agent-0123456789abcdef --actor ann
    """
    _answer(name, "refused", given)


def _answer(name: str, answer: str, given: dict[str, Any]) -> NoReturn:
    said = {"answer": answer, "actor": given["actor"], "source": "command"}
    answered = desk.api(given["url"]).post("approvals", name, "answer", **said)
    desk.ended(answered, f"{answer} {desk.plain(name)}", as_json=given["as_json"])


def _line(row: dict[str, Any]) -> str:
    words = (
        row.get("id"),
        row.get("state"),
        row.get("agent") or "-",
        row.get("action"),
        f"until {row.get('expires_at')}",
    )
    return desk.plain("  ".join(str(word) for word in (*words, row.get("actor") or "", row.get("reason") or "")))
