"""README's example output is what the command prints, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_output_is_what_is_printed() -> None:
    shown = re.findall(r"<!-- output of: tocsin ([^>]+) -->\n```\n(.*?)```", README, re.DOTALL)
    assert shown
    for arguments, output in shown:
        command = [sys.executable, "-m", "streams", *arguments.split()]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
        assert answer.stdout == output


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
