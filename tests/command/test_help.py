"""Every command explains itself, and refuses wrong input in words before it starts anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from streams.__main__ import COMMANDS, main


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*path, name))
    else:
        yield path, group


def tocsin(*arguments: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    command = [sys.executable, "-m", "streams", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env={**given, **settings}, timeout=60, check=False)


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_every_command_has_an_example_in_its_help(path: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    assert "Example: " in (command.help or "")
    assert "tocsin " in (command.help or "").split("Example: ")[1]


def test_the_help_lists_every_command() -> None:
    answer = tocsin("--help")
    assert answer.returncode == 0
    assert all(name.encode() in answer.stdout for name in COMMANDS)


def test_an_unknown_setting_is_named_before_anything_starts() -> None:
    answer = tocsin("run", "intake", TOCSIN_KAFAK="localhost:9092")
    assert answer.returncode == 1
    assert b"TOCSIN_KAFAK is not a setting of Tocsin" in answer.stderr


def test_a_role_without_kafka_says_what_to_set() -> None:
    answer = tocsin("run", "detect")
    assert answer.returncode == 1
    assert b"TOCSIN_KAFKA" in answer.stderr


def test_policy_errors_come_all_at_once_with_lines_and_a_suggestion(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[time]\nlatenes_s = 3\n[detectors."cost.session"]\nfloor = "much"\n', encoding="utf-8")
    answer = tocsin("run", "intake", TOCSIN_KAFKA="localhost:1", TOCSIN_POLICY=str(policy))
    text = " ".join(answer.stderr.decode().replace("│", " ").split())
    assert answer.returncode == 1
    assert "2:" in text
    assert "did you mean `lateness_s`?" in text
    assert "4:" in text


def test_a_kafka_that_does_not_answer_is_one_sentence() -> None:
    answer = tocsin("run", "intake", TOCSIN_KAFKA="127.0.0.1:1")
    assert answer.returncode == 1
    assert b"Cannot reach Kafka at 127.0.0.1:1" in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_usage_errors_exit_with_2() -> None:
    assert tocsin("gate", "check", "--agent", "a").returncode == 2
    assert tocsin("run", "nonsense").returncode == 2


def test_a_gate_that_cannot_be_reached_exits_with_4() -> None:
    answer = tocsin("gate", "check", "--agent", "a", "--release", "1", "--url", "http://127.0.0.1:1")
    assert answer.returncode == 4
    assert answer.stderr
