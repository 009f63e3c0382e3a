"""Which error messages are the same trouble."""

from time import perf_counter

import pytest

from streams.detect.fingerprint import TOKENS_MAX, error_id, fingerprint, skeleton

TRACEBACK = """Traceback (most recent call last):
  File "pay.py", line 31, in charge
psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "users_pkey\""""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("HTTP 404 Not Found", "http 404 not found"),
        ("exit code 137", "exit code 137"),
        ("status=429 too many requests", "status=429 too many requests"),
        ("retries=7 exhausted", "retries= exhausted"),
        ("errno -2 name or service not known", "errno -2 name or service not known"),
        ("Error code: ECONNRESET", "error code ECONNRESET"),
        ("Request req_abc timed out after 300 ms", "request * timed out after *"),
        ("Could not open /var/log/x.txt: permission denied", "could not open * permission denied"),
        ("fetch https://api.example.com/v1/users/17?x=1 failed", "fetch * failed"),
        ("user bob@example.com not found", "user * not found"),
        ("order 17 18 19 not found", "order * not found"),
        ("KeyError: 'user_17'", "keyerror *"),
        ("it isn't 'quoted' but don't", "it isn't * but don't"),
        (TRACEBACK, "uniqueviolation duplicate key value violates unique constraint *"),
        ("日本語 エラー 42", "日本語 エラー *"),
        ("   ", ""),
        ("HTTP/1.1 502 from upstream", "http 502 from upstream"),
        ("404: not found", "404 not found"),
        ("120 seconds without an answer", "* without an answer"),
        ("exit_code=137 after 3 s", "exit_code=137 after *"),
        ("SQLSTATE[42P01]: no such relation", "sqlstate 42P01 no such relation"),
        ("MCP error -32602: Invalid params", "mcp error -32602 invalid params"),
        ("run_id is missing", "run_id is missing"),
        ("channel_not_found", "channel_not_found"),
        ("commit fcfcbfc is unknown", "commit * is unknown"),
        ("expected a == b -- got nothing", "expected a b got nothing"),
        (
            '{"error": {"code": 403, "message": "User u17 may not read", "request_id": "req_9"}}',
            "error code 403 message user * may not read request_id *",
        ),
        ("Error code: 400 - {'error': {'message': 'Too long'}}", "error code 400 error message too long"),
        ("Invalid arguments {'city': 'Paris'}", "invalid arguments *"),
    ],
)
def test_what_varies_is_left_out(message: str, expected: str) -> None:
    assert skeleton(message) == expected


def test_a_long_message_is_cut() -> None:
    assert len(skeleton(" ".join(["word"] * 1000)).split()) == TOKENS_MAX
    assert len(skeleton("x" * 100_000)) <= 512


def test_a_code_alone_makes_another_skeleton() -> None:
    for one, other in (("HTTP 404", "HTTP 500"), ("exit 1", "exit 137"), ("503 Gone away", "504 Gone away")):
        assert skeleton(one) != skeleton(other)


def test_of_a_long_traceback_the_last_line_counts() -> None:
    frames = '  File "a.py", line 3, in f\n' * 10_000
    text = f"Traceback (most recent call last):\n{frames}KeyError: 'x'\n\n"
    assert skeleton(text) == skeleton("KeyError: 'y'")
    endless = f"Traceback (most recent call last):\n{frames}ValueError: {'x' * 100_000}"
    assert len(skeleton(endless)) <= 512


@pytest.mark.parametrize(
    "text",
    [
        "word id_17 /a/path 'quoted' " * 40_000,
        "x" * 1_000_000,
        " " * 1_000_000,
        "'a" * 500_000,
        '"' * 1_000_000,
        "{'error': " * 100_000,
        "a." * 500_000,
        "Traceback (most recent call last):\n" + "x" * 1_000_000,
        "日本語" * 300_000,
    ],
    ids=lambda text: text[:12].strip(),
)
def test_a_megabyte_costs_no_more_than_a_short_text(text: str) -> None:
    best = 1.0
    for number in range(5):
        unseen = f"{number}{text}"
        began = perf_counter()
        skeleton(unseen)
        best = min(best, perf_counter() - began)
    assert best < 0.002  # microseconds; a cut that comes too late takes 50 ms


def test_ids_and_values_do_not_make_another_error() -> None:
    one = error_id("/search", "TimeoutError", skeleton("request req_1 timed out after 300 ms"))
    assert error_id("/search", "TimeoutError", skeleton("request req_2 timed out after 12 seconds")) == one


@pytest.mark.parametrize(
    "other",
    [
        ("/fetch", "HttpError", "http 404"),
        ("/search", "Other", "http 404"),
        ("/search", "HttpError", "http 500"),
        ("/search", None, ""),
    ],
)
def test_another_tool_class_or_code_is_another_error(other: tuple[str, str | None, str]) -> None:
    assert error_id(*other) != error_id("/search", "HttpError", "http 404")


def test_a_fingerprint_names_version_and_detector() -> None:
    assert fingerprint("tool.repeated_error", "billing", "search").startswith("v1:tool.repeated_error:")


def test_parts_of_a_subject_do_not_run_together() -> None:
    assert fingerprint("d", "ab", "c") != fingerprint("d", "a", "bc")
