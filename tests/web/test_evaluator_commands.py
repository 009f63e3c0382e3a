"""`tocsin evaluator`: everything that the pages say, for terminals and pipelines."""

import json

import psycopg
import pytest
from psycopg.types.json import Jsonb
from web.test_commands import desk, tocsin

__all__ = ["desk"]
JUDGE = "LLM:ragas/grounded@4"
WORTH = {
    "evaluator": JUDGE,
    "power": "page",
    "since": "2026-09-14T10:00:00Z",
    "confirmed": 9.0,
    "decisions": 9,
    "low": 0.77,
    "mean": 0.95,
    "high": 1.0,
    "next": ["3 rejections in a row: page is lost, then ticket"],
    "proposed": "block",
}
PROPOSAL = {
    "record": "threshold_proposed",
    "incident": "v1:x#1",
    "detector": "tool.repeated_error",
    "agent": "bot",
    "threshold": "errors_min",
    "value": 6,
    "now": 3,
    "observed": "5 errors of \x1b[31m/refund",
    "at": "2026-09-14T10:00:00Z",
    "stanza": '[detectors."tool.repeated_error"]\nerrors_min = 6',
    "command": "tocsin replay events.ndjson --set tool.repeated_error.errors_min=6",
    "dropped": 2,
}


@pytest.fixture
def known(desk, database):
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("INSERT INTO worths (evaluator, body) VALUES (%s, %s)", [JUDGE, Jsonb(WORTH)])
        conn.execute("INSERT INTO proposals VALUES ('v1:x#1', 'tool.repeated_error', now(), %s)", [Jsonb(PROPOSAL)])
        conn.execute("INSERT INTO audits VALUES (%s, 's-1', 'bot', now())", [JUDGE])
    return desk[0]


def told(database):
    with psycopg.connect(database) as conn:
        return [row[0] for row in conn.execute("SELECT record FROM learn_inbox ORDER BY id").fetchall()]


async def test_evaluators_are_listed_and_shown_with_bounds_and_what_it_would_take(known):
    listed = await tocsin(known, "evaluator", "list")
    line = next(one for one in listed.stdout.splitlines() if JUDGE in one)
    assert (listed.returncode, line.split()[0]) == (0, "ticket")  # nobody has changed what it began with
    assert "between 0.77 and 1.00" in line and "95%" not in line and "proposed: block" in line
    shown = await tocsin(known, "evaluator", "show", JUDGE)
    assert shown.returncode == 0 and "3 rejections in a row" in shown.stdout
    document = json.loads((await tocsin(known, "evaluator", "show", JUDGE, "--json")).stdout)
    assert document["evidence"]["sample"][0]["session"] == "s-1"


async def test_a_grant_and_labels_are_written_down(known, database, tmp_path):
    reason = ("--reason", "nine of nine were right", "--actor", "ada")
    assert (await tocsin(known, "evaluator", "grant", JUDGE, "page", *reason)).returncode == 0
    assert (await tocsin(known, "evaluator", "label", JUDGE, "s-1", "--bad", "--actor", "ada")).returncode == 0
    labels = tmp_path / "set.jsonl"
    labels.write_text(
        '{"session": "a", "bad": true, "flagged": [true, true, false]}\n\n{"session": "b", "bad": false}\n'
    )
    answer = await tocsin(known, "evaluator", "label", JUDGE, "--file", str(labels), "--actor", "ada")
    assert (answer.returncode, answer.stdout) == (0, "2 sessions labelled\n"), answer
    rows = told(database)
    assert [(row["record"], row.get("session"), row.get("flagged")) for row in rows] == [
        ("granted", None, None),
        ("labelled", "s-1", False),
        ("labelled", "a", True),
        ("labelled", "a", True),
        ("labelled", "a", False),
        ("labelled", "b", False),
    ]
    assert [row.get("offline", False) for row in rows[1:]] == [False, True, True, True, True]
    assert {row["actor"] for row in rows} == {"ada"}


async def test_proposals_are_what_one_can_paste_and_nothing_acts_on_the_terminal(known):
    answer = await tocsin(known, "evaluator", "proposals")
    assert answer.returncode == 0 and "\x1b" not in answer.stdout
    assert '[detectors."tool.repeated_error"]\nerrors_min = 6\n# tocsin replay' in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "LLM:none@1"), 5, "no evaluator of this id"),
        (("grant", "LLM:none@1", "page", "--reason", "because I say so"), 5, "no evaluator of this id"),
        (("grant", JUDGE, "everything", "--reason", "because I say so"), 2, "everything"),
        (("label", JUDGE), 2, "--good, or give --file"),
        (("label", JUDGE, "s-1"), 2, "--good, or give --file"),
    ],
)
async def test_what_is_wrong_has_an_exit_code(known, arguments, code, words):
    answer = await tocsin(known, "evaluator", *arguments)
    assert answer.returncode == code, answer
    assert words in " ".join(answer.stderr.replace("│", " ").split())


async def test_a_line_that_is_no_label_is_named(known, tmp_path):
    labels = tmp_path / "set.jsonl"
    labels.write_text('{"session": "a", "bad": true}\nnonsense\n')
    answer = await tocsin(known, "evaluator", "label", JUDGE, "--file", str(labels))
    assert answer.returncode == 2 and "line 2 is not" in " ".join(answer.stderr.replace("│", " ").split())
