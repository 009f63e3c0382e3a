"""README's example output is what the command prints, and its links lead somewhere. Run as a script, it writes it anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


SHOWN = re.compile(r"<!-- output of: tocsin ([^>]+) -->\n```\n(.*?)```", re.DOTALL)


def printed(arguments: str) -> str:
    command = [sys.executable, "-m", "streams", *arguments.split()]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60).stdout


def test_the_example_output_is_what_is_printed(tmp_path: Path) -> None:
    """In an empty data directory, without settings."""
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    given["TOCSIN_DATADIR"] = str(tmp_path)
    shown = SHOWN.findall(README)
    assert shown
    for arguments, output in shown:
        assert printed(arguments) == output, "`make readme` writes it anew"


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_command_it_shows_exists() -> None:
    from streams.__main__ import COMMANDS

    for name in set(re.findall(r"\btocsin ([a-z]+)", README)):
        if name not in {"is", "reads"}:
            assert name in COMMANDS, name


if __name__ == "__main__":
    fresh = SHOWN.sub(lambda at: f"<!-- output of: tocsin {at[1]} -->\n```\n{printed(at[1])}```", README)
    (ROOT / "README.md").write_text(fresh, encoding="utf-8")
