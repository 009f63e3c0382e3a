"""What the commands that speak to the API share: where it is, who speaks, how an answer is shown."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import rich_click as click

from ..apicall import DONE, FORBIDDEN, Answered, Api
from .start import settings_or_exit


def api(url: str | None) -> Api:
    settings = settings_or_exit()
    token, own = settings.token.reveal(), settings.datadir / "token"
    try:
        if not token and own.is_file():
            token = own.read_text(encoding="utf-8").strip()  # of the embedded parts
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read the token in {own}: {type(error).__name__}; set TOCSIN_TOKEN") from None
    return Api(url or settings.pages, token)


def myself() -> str:
    """Who the pipeline or the shell says it is."""
    try:
        return os.environ.get("GITHUB_ACTOR") or os.environ.get("GITLAB_USER_LOGIN") or getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that all of them have."""
    where = "Where Tocsin's pages are; default from TOCSIN_WEB_URL or TOCSIN_WEB_HOST and _PORT."
    command = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(command)
    return click.option("--url", help=where)(command)


def signed(command: Callable[..., Any]) -> Callable[..., Any]:
    who = "Who says so; default: the pipeline's or the shell's user."
    return click.option("--actor", default=myself, show_default=False, help=who)(shared(command))


def ended(answered: Answered, text: str, *, as_json: bool) -> NoReturn:
    """Shows it and ends the command with the answer's code."""
    if answered.code != DONE:
        click.echo(plain(answered.message), err=True)
        if answered.code == FORBIDDEN:
            click.echo(
                "The token: TOCSIN_TOKEN, or TOCSIN_TOKEN_FILE; of the demo it is in .tocsin/demo/token", err=True
            )
    elif not as_json:
        click.echo(text)
    if as_json:
        click.echo(json.dumps(answered.document, indent=2))
    sys.exit(answered.code)


def plain(text: object) -> str:
    """One line; what others wrote does nothing to a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))
