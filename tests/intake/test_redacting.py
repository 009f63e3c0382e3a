"""Secrets leave before anything is stored; ordinary text stays as it is, and cheap."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake.sample import NOW, event
from msgspec import inspect as types

from streams.intake.cloudevents import Reader
from streams.intake.redact import LETTER_BYTES_CUT, LETTER_BYTES_MAX, PLANS, PROSE, Redactor
from streams.intake.secrets import KINDS, bytes_without_secrets, maybe, without_secrets
from streams.records import AgentEvent, DeadLetter, Position
from streams.records.timeline import encode

# Built from pieces, so that no scanner takes the tests for a leak.
SECRETS: dict[str, tuple[str, ...]] = {
    "pem": (
        "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow" + "IBAAKCAQEA0Z3VS5\nJJcds3xf\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN " + "PRIVATE KEY-----\\nMIIEow" + "IBAAKCAQEA0Z3VS5JJcds3xf",
    ),
    "aws": ("AKIA" + "IOSFODNN7EXAMPLE", "ASIA" + "IOSFODNN7EXAMPLE"),
    "github": ("ghp_" + "a1B2" * 9, "github_pat_" + "11ABCDEFG0" * 5),
    "gitlab": ("glpat-" + "x1Y2" * 5,),
    "slack": ("xoxb-" + "1234567890-abcdefghij", "xapp-" + "1-A0123-456-abcdef"),
    "slack_hook": ("hooks.slack.com/services/" + "T0AAAAAAA/B0BBBBBBB/cccccccccccccccccccccccc",),
    "stripe": ("sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",),
    "llm": ("sk-ant-" + "api03-abcdefghijklmnop", "sk-" + "proj-abcdefghijklmnop123456"),
    "google": ("AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",),
    "atlassian": ("ATATT3x" + "FfGF0abcdefghijklmnopqrs",),
    "npm": ("npm_" + "a1B2" * 9,),
    "pypi": ("pypi-" + "AgEIcHlwaS5vcmc" * 4,),
    "huggingface": ("hf_" + "aBcDeFgHiJ" * 3 + "klmn",),
    "jwt": ("eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",),
    "bearer": ("Bearer abcdef0123456789", "bearer  a.b-c_d~e+f/g123=="),
    "basic": ("Basic dXNlcjpwYXNzd29yZA==", "basic QWxhZGRpbjpvcGVu"),
    "url": ("postgres://bob:hunter2@db:5432/x", "https:\\/\\/u:p4ss@example.com", "redis://:s3cret@cache"),
    "assigned": (
        "password=hunter2",
        "PASSWORD: hunter2",
        '"api_key": "abcd1234"',
        '\\"client_secret\\": \\"abcd1234\\"',
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG",
        "access-token => abcd1234",
        "pwd='tr0ub4dor'",
    ),
    "parameter": ("https://x.example/y?a=1&sig=abcdefgh12", "?X-Amz-Signature=0123456789abcdef"),
}
PLAIN = [
    "Connection to db timed out after 30 s",
    "TimeoutError: request to payments-api failed with status 503 after 3 attempts",
    "KeyError: 'user_id' in get_user(user_id=5)",
    "Basic functionality is missing; basic authentication required",
    "bearer of bad news, token expired, key not found: order",
    "https://docs.example.com/a/b?page=2&key=name#anchor and mail to ops@example.com",
    "password=<redacted>, token: null, secret=***, api_key=[REDACTED]",
    "src/streams/intake/redact.py:12: skipped task-queue sk-1 eyJ AKIA",
    "Unexpected token: } at 1:5",
]


def redacted(text: str) -> tuple[str, list[str]]:
    found: list[str] = []
    return without_secrets(text, found), found


@pytest.mark.parametrize(("kind", "secret"), [(kind, each) for kind, all_of in SECRETS.items() for each in all_of])
def test_a_secret_of_a_known_format_is_replaced_in_text_and_in_raw_bytes(kind: str, secret: str) -> None:
    text = f"the call failed: {secret} (after 3 tries)"
    clean, found = redacted(text)
    assert found == [kind]
    assert f"<secret:{kind}:" in clean
    assert clean.startswith("the call failed: ")
    assert kind == "pem" or clean.endswith(" (after 3 tries)")
    assert secret[-8:].strip("\"'\\= ") not in clean or kind == "url"
    assert maybe(text)
    assert bytes_without_secrets(text.encode(), []) == clean.encode()


def test_every_kind_has_an_example_here() -> None:
    assert set(SECRETS) == {kind.name for kind in KINDS}


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == (text, [])


def test_of_a_url_only_the_password_goes() -> None:
    assert redacted("postgres://bob:hunter2@db:5432/x")[0].startswith("postgres://bob:<secret:url:")
    assert redacted("postgres://bob:hunter2@db:5432/x")[0].endswith(">@db:5432/x")


def test_the_same_secret_reads_the_same_and_another_one_does_not() -> None:
    assert redacted("password=hunter2")[0] == redacted("password=hunter2")[0]
    assert redacted("password=hunter2")[0] != redacted("password=hunter3")[0]
    assert without_secrets("password=hunter2", [], b"key") != redacted("password=hunter2")[0]


@pytest.mark.parametrize("secret", [each for all_of in SECRETS.values() for each in all_of])
def test_what_was_redacted_once_stays_the_same(secret: str) -> None:
    once = redacted(f"x {secret} y")[0]
    assert redacted(once) == (once, [])


FRAGMENTS = [each for all_of in SECRETS.values() for each in all_of] + [*PLAIN, " ", "\n", '"', ": ", "=", "-", "x1"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=6).map("".join))
def test_the_cheap_look_never_misses_what_the_patterns_find(text: str) -> None:
    found = redacted(text)[1]
    assert not found or maybe(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=6).map("".join))
def test_text_and_bytes_agree(text: str) -> None:
    assert bytes_without_secrets(text.encode(), []) == redacted(text)[0].encode()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_text_survive(value: bytes) -> None:
    found: list[str] = []
    clean = bytes_without_secrets(value, found)
    assert found or clean == value


HOSTILE = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "://a:",
    "://",
    "Bearer ",
    "basic a",
    "Basic aaaaaaaa",
    "eyJaaaaaaaaaaa.",
    "eyJaaaaaaaaa.eyJ",
    "password=",
    'password"\\',
    "passwordpassword",
    "?token=",
    "sk-",
    "xoxb-",
    "secret ",
    "key:  ",
    "a",
    "-",
]


def cost(text: str) -> float:
    best = 1e9
    for _ in range(3):
        begun = time.process_time()
        without_secrets(text, [])
        maybe(text)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("piece", HOSTILE)
def test_eight_times_the_text_costs_not_much_more_than_eight_times_the_time(piece: str) -> None:
    """A pattern that backtracks would take 64 times as long, or longer than the test may run."""
    short, long = (piece * 65_536)[:32_768], (piece * 65_536)[:262_144]
    assert cost(long) < 24 * cost(short) + 0.02


def prose_paths(info: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """Every place in an event's data that holds prose, with the declaration that says so."""
    if isinstance(info, types.UnionType):
        return [found for part in info.types for found in prose_paths(part, at)]
    if isinstance(info, types.ListType | types.DictType):
        item = info.item_type if isinstance(info, types.ListType) else info.value_type
        return prose_paths(item, (*at, 0 if isinstance(info, types.ListType) else "x"))
    if not isinstance(info, types.StructType):
        return []
    found = []
    for field in info.fields:
        name = f"{info.cls.__name__}.{field.name}"
        deeper = prose_paths(field.type, (*at, field.name))
        found += deeper or ([(leaf(field.type, (*at, field.name)), name)] if name in PROSE else [])
    return found


def leaf(info: Any, at: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(info, types.UnionType):
        return max((leaf(part, at) for part in info.types), key=len)
    if isinstance(info, types.ListType):
        return (*at, 0)
    return (*at, "x") if isinstance(info, types.DictType) else at


PLACES = [
    (str(kind.__struct_config__.tag), path, name)
    for kind in get_args(AgentEvent)
    for path, name in prose_paths(next(f.type for f in types.type_info(kind).fields if f.name == "data"))
]
FILLERS: dict[str, Any] = {"option": "o", "kind": "k", "uri": "u"}


def put(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Make `path` in plain data lead to `value`, with what else those structs require."""
    node: Any = data
    for key, following in pairwise(path):
        empty: Any = [None] if following == 0 else {}
        child = node[key] if isinstance(node, list) or key in node else None
        if not isinstance(child, dict | list) or (following == 0) != isinstance(child, list):
            node[key] = empty
        node = node[key]
    node[path[-1]] = value
    for needed in ({"resources": ["uri"], "rejected": ["option"], "final_effects": ["kind"]}).get(str(path[0]), []):
        data[path[0]][0].setdefault(needed, FILLERS[needed])
    if path[0] == "effect":
        data[path[0]].setdefault("kind", "k")


@pytest.mark.parametrize(("type_name", "path", "name"), PLACES, ids=[f"{p[0]} {p[2]}" for p in PLACES])
def test_a_secret_is_replaced_wherever_prose_can_be(type_name: str, path: tuple[Any, ...], name: str) -> None:
    found: list[str] = []
    given_event = event(type_name)
    put(given_event["data"], path, "x password=hunter2")
    read = Reader().read(msgspec.json.encode(given_event), NOW)
    assert isinstance(read, get_args(AgentEvent)), read
    assert b"hunter2" not in encode(Redactor().event(read, found))
    assert found == ["assigned"]


def test_every_declared_field_of_prose_exists() -> None:
    assert {name for _, _, name in PLACES} == PROSE


# Long fields that are names or references of the deployment's own: nobody writes prose into them.
LABELS = {
    "Activity.ref", "Attribution.account", "Attribution.system", "Operator.contact", "Operator.team",
    "PolicyRef.id", "PolicyRef.rule", "PolicyRef.version", "Actor.id", "Evaluator.version", "HeartbeatData.breaker_seen",
    "LlmCalledData.finish_reasons", "SessionStartedData.channel", "SessionStartedData.model", "Task.id", "Task.kind",
    "PermissionCheckedData.channel", "Tool.server", "Tool.type",
}  # fmt: skip


def long_fields(info: Any, name: str = "") -> set[str]:
    if isinstance(info, types.UnionType):
        return set().union(*(long_fields(part, name) for part in info.types))
    if isinstance(info, types.ListType | types.DictType):
        return long_fields(info.item_type if isinstance(info, types.ListType) else info.value_type, name)
    if isinstance(info, types.StructType):
        fields = [field for field in info.fields if field.name != "ctx"]
        return set().union(*(long_fields(field.type, f"{info.cls.__name__}.{field.name}") for field in fields))
    free = isinstance(info, types.StrType) and info.pattern is None and (info.max_length or 10**6) >= 1024
    return {name} if free else set()


def test_of_every_long_field_somebody_decided_whether_it_holds_prose() -> None:
    datas = [next(f.type for f in types.type_info(kind).fields if f.name == "data") for kind in PLANS]
    undecided = set().union(*(long_fields(data) for data in datas)) - PROSE - LABELS
    assert not undecided


def test_an_event_without_secrets_is_handed_back_as_it_is() -> None:
    read = Reader().read(msgspec.json.encode(event()), NOW)
    assert isinstance(read, get_args(AgentEvent))
    before = read.data
    assert Redactor().event(read, []).data is before


def test_a_stand_in_never_makes_a_field_too_long() -> None:
    given_event = event(data={"retry_reason": "x" * 1009 + " password=abcd"})
    given_event["data"]["retry_reason"] = given_event["data"]["retry_reason"][:1024]
    read = Reader().read(msgspec.json.encode(given_event), NOW)
    assert isinstance(read, get_args(AgentEvent))
    msgspec.json.decode(encode(Redactor().event(read, [])), type=AgentEvent)


def letter(value: bytes | None, key: bytes | None = None) -> DeadLetter:
    return DeadLetter(reason="not_json", errors=(), position=Position("agent.events/1/0", 7), value=value, key=key)


def test_a_dead_letter_keeps_the_value_without_its_secrets() -> None:
    found: list[str] = []
    kept = Redactor().letter(letter(b'{"password": "hunter2", ', b"token_password=hunter2"), found, "digest")
    assert kept.value is not None
    assert kept.value.startswith(b'{"password": "<secret:assigned:')
    assert b"hunter2" not in kept.value + (kept.key or b"")
    assert (kept.truncated, kept.hash) == (0, None)
    assert found == ["assigned", "assigned"]


def test_of_a_large_dead_letter_the_beginning_its_size_and_its_hash_are_kept() -> None:
    large = b"x" * (LETTER_BYTES_MAX + 1)
    kept = Redactor().letter(letter(large), [], "digest")
    assert kept.value == b"x" * LETTER_BYTES_CUT
    assert (kept.truncated, kept.hash) == (len(large), "digest")
    whole = Redactor().letter(letter(large[:-1]), [], "digest")
    assert (whole.value, whole.truncated) == (large[:-1], 0)


def test_a_secret_across_the_cut_does_not_leave_its_beginning() -> None:
    start = b"x" * (LETTER_BYTES_CUT - 20) + b" " + b"ghp_" + b"a1B2" * 9
    kept = Redactor().letter(letter(start + b" " * LETTER_BYTES_MAX), [], "digest")
    assert kept.value is not None
    assert b"ghp_" not in kept.value


def test_an_empty_dead_letter_stays_empty() -> None:
    assert Redactor().letter(letter(None), [], "digest") == letter(None)
