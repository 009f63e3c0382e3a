"""`tocsin prices`: what was taken, what was left out and why, and the price a call would be given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import builders as b
import pytest

from streams.records import Tokens
from streams.records.timeline import encode

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "prices.json"
NOBODY = "127.0.0.1:1"


@pytest.fixture
def tocsin(tmp_path: Path):
    def run(*arguments: str, code: int = 0, stdin: bytes = b"", **settings: str) -> str:
        given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
        given |= {"TOCSIN_DATADIR": str(tmp_path), **settings}
        command = [sys.executable, "-m", "streams", *arguments]
        answer = subprocess.run(command, input=stdin, capture_output=True, env=given, timeout=60, check=False)
        assert answer.returncode == code, answer.stderr.decode()
        assert b"Traceback" not in answer.stderr
        return answer.stdout.decode() + answer.stderr.decode()

    return run


def cheaper(folder: Path) -> str:
    path = folder / "cheaper.json"
    path.write_bytes(EXAMPLE.read_bytes().replace(b"2.5e-06", b"2e-06"))
    return str(path)


def test_an_import_says_what_it_took_and_what_it_left_out(tocsin, tmp_path):
    said = tocsin("prices", "import", str(EXAMPLE), "--from", "2026-03-01").splitlines()
    assert said[0] == "2 models with a price per token, from 2026-03-01: 2 new, 0 changed, 0 same"
    assert said[-1].startswith(f"Written to {tmp_path / 'prices.json'}. Intake reads it when it starts")
    assert "left out, not priced by tokens (image_generation): 1 (example/painter)" in said
    assert "not used: input_cost_per_token_batches (1)" in said
    mistyped = "example/mistyped: input_cost_per_token is more than 1 USD per token"
    assert f"refused: {EXAMPLE}:39: {mistyped}" in said
    assert (tmp_path / "prices.json").exists()


def test_earlier_prices_stay_for_earlier_events(tocsin, tmp_path):
    tocsin("prices", "import", str(EXAMPLE), "--from", "2026-03-01")
    said = tocsin("prices", "import", cheaper(tmp_path), "--from", "2026-06-01", "--json")
    assert {key: json.loads(said)[key] for key in ("models", "new", "changed", "same")} == {
        "models": 2, "new": 0, "changed": 1, "same": 1
    }  # fmt: skip
    march, june = (json.loads(line) for line in tocsin("prices", "show", "example/everyday", "--json").splitlines())
    assert (march["from"], march["input"], june["from"], june["input"]) == ("2026-03-01", "2.5", "2026-06-01", "2")
    [then] = tocsin("prices", "list", "everyday", "--at", "2026-05-31", "--json").splitlines()
    assert json.loads(then) == march
    assert tocsin("prices", "list", "--at", "2026-02-28") == "No model of 2 matches *.\n"
    assert "2026-06-01            2           10" in tocsin("prices", "list", "*/every*")


def test_the_first_import_holds_for_all_times_and_the_next_from_today(tocsin, tmp_path):
    assert "for all times" in tocsin("prices", "import", str(EXAMPLE), "--dry-run")
    assert not (tmp_path / "prices.json").exists()
    tocsin("prices", "import", str(EXAMPLE))
    assert "always" in tocsin("prices", "list", "everyday")
    assert ", from 20" in tocsin("prices", "import", str(EXAMPLE))


def test_importing_twice_is_importing_once(tocsin, tmp_path):
    tocsin("prices", "import", str(EXAMPLE), "--from", "2026-03-01")
    once = (tmp_path / "prices.json").read_bytes()
    tocsin("prices", "import", str(EXAMPLE), "--from", "2026-03-01")
    assert (tmp_path / "prices.json").read_bytes() == once


def test_a_model_is_shown_as_events_name_it(tocsin):
    tocsin("prices", "import", str(EXAMPLE))
    said = tocsin("prices", "show", "example/long-2026-02-03")
    assert said.startswith("example/long (asked for example/long-2026-02-03), sold by example, USD per million tokens")
    assert "calls with more than 200000 input tokens:" in said
    assert tocsin("prices", "show", "example/lonn", code=1) == (
        "example/lonn is not in the price book: its calls stay unpriced; did you mean example/long?\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "no model in it has a price per token"),
        (b"nonsense", "not LiteLLM's price file: JSON is malformed"),
        (b'{"a": {"input_cost_per_token": -1}}', "a: input_cost_per_token is negative"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(tocsin, tmp_path, content, said):
    path = tmp_path / "given.json"
    path.write_bytes(content)
    assert said in tocsin("prices", "import", str(path), code=1)
    assert not (tmp_path / "prices.json").exists()
    assert "does not exist" in tocsin("prices", "import", str(tmp_path / "absent.json"), code=2)
    assert "does not match" in tocsin("prices", "import", str(path), "--from", "March", code=2)


def test_without_a_book_there_is_nothing_to_list(tocsin):
    assert "prices.json: cannot be read: No such file" in tocsin("prices", "list", code=1)


def test_a_broken_book_is_said_before_anything_starts(tocsin, tmp_path):
    (tmp_path / "prices.json").write_text('{"version": 1, "currency": "USD", "models": {\n"m": {"prices": []}}}')
    said = tocsin("run", "intake", code=1, TOCSIN_KAFKA=NOBODY)
    assert "The price book has errors, nothing was started." in said
    assert f"{tmp_path / 'prices.json'}:2: m: prices: Expected `array` of length >= 1" in said
    assert "NO  prices: " in tocsin("check", code=1)
    assert ":2: m: prices: " in tocsin("prices", "import", str(EXAMPLE), code=1)  # not replaced unasked


def test_an_event_without_a_cost_is_priced_in_a_replay(tocsin):
    called = b.llm_called(0, provider="example", model="everyday", tokens=Tokens(1000, 100), cost=None, position=None)
    assert "1 are unpriced" in tocsin("replay", "-", stdin=encode(called))
    tocsin("prices", "import", str(EXAMPLE))
    assert "0 are unpriced" in tocsin("replay", "-", stdin=encode(called))
