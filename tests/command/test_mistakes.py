"""What people get wrong is answered in a sentence, never with a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import builders as b
import pytest

from streams.command.stage import StageError, port_is_free
from streams.policy import PolicyError, load, parse
from streams.records.timeline import encode
from streams.settings import Settings, SettingsError
from streams.settings import load as settings_of

NOBODY = "127.0.0.1:1"


def tocsin(*arguments: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    command = [sys.executable, "-m", "streams", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env={**given, **settings}, timeout=60, check=False)


@pytest.mark.parametrize(
    "text",
    [
        "[time]\nlateness_s = nan",
        "[time]\nlateness_s = inf",
        "[time]\nbucket_s = 1.0",
        '[routing.priorities]\nurgent = "High"',
        "name = " + "[" * 5000,
    ],
    ids=["nan", "inf", "1.0", "priorities", "deep"],
)
def test_a_policy_that_cannot_be_is_a_policy_error(text: str) -> None:
    with pytest.raises(PolicyError, match=r"policy\.toml"):
        parse(text, "policy.toml")


def test_files_that_are_not_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(PolicyError, match="UTF-8"):
        load(path)
    with pytest.raises(SettingsError, match="UTF-8"):
        settings_of({"TOCSIN_TOKEN_FILE": str(path)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_PORT", "99999"),
        ("METRICS_PORT", "-1"),
        ("GENERATION", "0"),
        ("CALL_TIMEOUT_S", "nan"),
        ("REPLICATION", "0"),
    ],
)
def test_a_number_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings_of({f"TOCSIN_{name}": value})


def test_a_token_that_is_no_text_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    answer = tocsin("incidents", "list", TOCSIN_DATADIR=str(tmp_path))
    assert (answer.returncode, b"Traceback" in answer.stderr) == (2, False)
    assert b"TOCSIN_TOKEN" in answer.stderr


def test_a_secret_that_came_with_the_end_of_its_line_is_the_secret() -> None:
    assert settings_of({"TOCSIN_SLACK_TOKEN": "xoxb-1\n"}).slack_token.reveal() == "xoxb-1"


def test_dead_letters_of_a_kafka_that_does_not_answer() -> None:
    answer = tocsin("deadletters", "list", TOCSIN_KAFKA=NOBODY)
    assert (answer.returncode, b"Traceback" in answer.stderr) == (1, False)
    assert b"Kafka does not answer" in answer.stderr


def test_a_kafka_address_that_is_none_is_not_blamed_on_the_database() -> None:
    answer = tocsin("run", "intake", TOCSIN_KAFKA="a:b:c")
    assert (answer.returncode, b"Traceback" in answer.stderr) == (1, False)
    assert b"Cannot reach Kafka" in answer.stderr


def test_an_import_of_odd_files(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"info": {"environment_info": [1], "agent_info": "x"}, "simulations": [{"id": "a"}]}')
    answer = tocsin("import", "tau2", str(path))
    assert (answer.returncode, b"Traceback" in answer.stderr) == (0, False)
    answer = tocsin("import", "tau2", str(path), "--send", TOCSIN_KAFKA=NOBODY)
    assert (answer.returncode, b"Traceback" in answer.stderr) == (1, False)
    path.write_bytes(b"\x1f\x8b\x08\x00" + b"x" * 21)
    answer = tocsin("import", "tau2", str(path))
    assert (answer.returncode, b"Traceback" in answer.stderr) == (1, False)


def test_a_replay_over_the_end_of_time() -> None:
    answer = tocsin("replay", "-", "--until", "9999-12-31T23:59:59+0000")
    assert (answer.returncode, b"Traceback" in answer.stderr) == (2, False)
    scored = encode(b.eval_scored(0, passed=False, position=None))
    started = encode(b.session_started(0, position=None)).replace(b"2026-", b"9999-", 1)
    answer = tocsin("replay", "-", "--json", stdin=scored + b"\n" + started)
    assert (answer.returncode, b"Traceback" in answer.stderr) == (0, False)
    assert b'"reason":"time_out_of_range"' in answer.stdout


def test_a_demo_does_not_remove_what_another_one_runs_on(tmp_path: Path) -> None:
    kept = tmp_path / "demo" / "kept"
    kept.parent.mkdir()
    kept.touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StageError, match=str(port)):
            port_is_free(Settings(web_port=port))
        answer = tocsin("demo", "--exit", TOCSIN_WEB_PORT=str(port), TOCSIN_DATADIR=str(tmp_path))
    assert (answer.returncode, kept.exists()) == (1, True)
