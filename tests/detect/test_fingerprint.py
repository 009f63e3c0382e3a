"""Which error messages are the same trouble."""

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
    ],
)
def test_what_varies_is_left_out(message: str, expected: str) -> None:
    assert skeleton(message) == expected


def test_a_long_message_is_cut() -> None:
    assert len(skeleton(" ".join(["word"] * 1000)).split()) == TOKENS_MAX
    assert len(skeleton("x" * 100_000)) <= 512


def test_ids_and_values_do_not_make_another_error() -> None:
    one = error_id("/search", "TimeoutError", "request req_1 timed out after 300 ms")
    assert error_id("/search", "TimeoutError", "request req_2 timed out after 12 seconds") == one


@pytest.mark.parametrize(
    "other",
    [
        ("/fetch", "HttpError", "HTTP 404"),
        ("/search", "Other", "HTTP 404"),
        ("/search", "HttpError", "HTTP 500"),
        ("/search", None, None),
    ],
)
def test_another_tool_class_or_code_is_another_error(other: tuple[str, str | None, str | None]) -> None:
    assert error_id(*other) != error_id("/search", "HttpError", "HTTP 404")


def test_a_fingerprint_names_version_and_detector() -> None:
    assert fingerprint("tool.repeated_error", "billing", "search").startswith("v1:tool.repeated_error:")


def test_parts_of_a_subject_do_not_run_together() -> None:
    assert fingerprint("d", "ab", "c") != fingerprint("d", "a", "bc")
