"""Text from strangers is text, in every place where people read it, and secrets in it stay there where they were."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import builders as b
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from intake.test_redacting import SECRETS
from respond import places
from respond.nasty import NASTY
from respond.places import PLACES, Place

from streams.intake.secrets import KINDS
from streams.respond.cleaning import clean
from streams.respond.receivers import jira_text, slack_text
from streams.respond.writing import clip

ALL_PLACES = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
EACH_SECRET = [(kind, secret) for kind, all_of in SECRETS.items() for secret in all_of]
CORES = {kind.name: re.compile(kind.pattern, re.ASCII) for kind in KINDS}
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300) | st.text(
    alphabet="<>&*_-+^~{}[]()!|#?@\\:;.,/h1bq \n\t\"'`$%=", max_size=200
)


def core(kind: str, secret: str) -> str:
    """What nobody may read of it."""
    found = CORES[kind].search(secret)
    assert found
    whole = found["value"] if "value" in found.re.groupindex else found[0]
    return max(re.split(r"[\s\\]", whole), key=len) if kind == "pem" else whole


@ALL_PLACES
@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_whatever_strangers_write_stays_text(place: Place, text: str) -> None:
    for stage in places.STAGES:
        for written in place.written(places.incident(text, stage)):
            place.harmless(written)
            for shown in place.texts(written):
                assert "".join(shown.split("\n")).isprintable(), shown


@ALL_PLACES
def test_secrets_are_not_told(place: Place) -> None:
    for (kind, secret), stage in product(EACH_SECRET, ("open", "resolved")):
        hidden = core(kind, secret)
        for written in place.written(places.incident(f"it says {secret} there", stage)):
            for shown in place.texts(written):
                assert hidden not in shown, kind


def test_a_secret_reads_as_one_where_people_are_told() -> None:
    secret = SECRETS["aws"][0]
    (page, *_) = places.pages(places.incident(f"key {secret}"))
    assert "<secret:aws:" in page.headline
    assert "<secret:aws:" in "".join(page.evidence)


@pytest.mark.parametrize(("kind", "secret"), EACH_SECRET)
@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u202e", "\x00", "\x1b"], ids=["zero width", "direction", "nul", "escape"]
)
def test_a_secret_with_unseen_signs_in_it_is_none_the_less_one(kind: str, secret: str, unseen: str) -> None:
    hidden = core(kind, secret)
    spelled = secret.replace(hidden, f"{hidden[:3]}{unseen}{hidden[3:]}")
    assert hidden not in clip(f"it says {spelled} there", 10_000)


def test_a_secret_where_a_text_is_cut_is_not_half_told() -> None:
    secret = SECRETS["github"][0]
    for place in range(150, 320, 7):
        assert secret[:12] not in clip("x" * place + " " + secret + " tail " * 100)
        assert secret[:12] not in clip(" x" * (10_000 - place // 14) + " " + secret * 2, 40_000)


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
@example("password=\u200bhunter22")
def test_a_told_line_is_one_short_printable_line_and_stays_the_same_told_again(text: str) -> None:
    line = clip(text)
    assert line.isprintable()
    assert len(line) <= 300
    assert clip(line) == line


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_any_text_is_text_in_slack(text: str) -> None:
    shown = slack_text.escape(text)
    assert "<" not in shown and ">" not in shown
    assert "&" not in re.sub("&(?:amp|lt|gt);", "", shown)
    assert slack_text.mention(text) == "" or re.fullmatch(r"<(@[UW]|!subteam\^S)[A-Z0-9]+>", slack_text.mention(text))


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
@example("\\\\{code}")
@example("h1.\nbq.")
def test_any_text_is_text_in_wiki_markup_and_reads_as_it_was(text: str) -> None:
    shown = jira_text.escape(text)
    places.wiki_is_harmless(shown)
    assert "\n" not in shown
    (read,) = places.wiki_texts(shown)
    assert read == " ".join(jira_text.printable(text).split())


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_TEXT, max_size=5))
def test_any_text_is_a_text_node_in_a_ticket(lines: list[str]) -> None:
    document = jira_text.comment(tuple(lines))
    places.adf_is_harmless(document)
    assert all(text.replace("\n", "").isprintable() for text in places.adf_texts(document))


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT)
def test_any_text_is_harmless_in_every_place(text: str) -> None:
    one = places.incident(text)
    for place in PLACES:
        for written in place.written(one):
            place.harmless(written)


@settings(max_examples=100, deadline=None)
@given(ANY_TEXT)
def test_only_addresses_become_links(text: str) -> None:
    if jira_text.address(text):
        assert text.startswith(("http://", "https://"))
        assert not set(text) & set(' \n\t<>"|\\^`{}[]')


@pytest.mark.parametrize(("kind", "secret"), [(kind, all_of[0]) for kind, all_of in SECRETS.items()])
def test_a_finding_that_somebody_else_said_is_kept_without_its_secrets(kind: str, secret: str) -> None:
    text = f"it says {secret} there"
    said = b.finding(0, title=text, observed=text, subject={"agent": "billing", "tool": text, text: "x"}, hint=text,
                     evidence=(b.excerpt(0, text=text, tool=text),), release=text, agents=(text,))  # fmt: skip
    kept = clean(said)
    assert core(kind, secret) not in repr(kept)
    assert (kept.id, kept.fingerprint, kept.at, kept.evidence[0].position) == (
        said.id, said.fingerprint, said.at, said.evidence[0].position,
    )  # fmt: skip
    assert clean(kept) is kept


def test_a_finding_is_kept_without_what_a_terminal_would_obey() -> None:
    said = b.finding(0, title="a\x1b[31mb\r\nERROR \u202ec", observed="one\n two", subject={"agent": "\x9bx"})
    kept = clean(said)
    assert (kept.title, kept.observed, kept.subject) == ("a[31mb ERROR c", "one two", {"agent": "x"})


def test_a_finding_at_the_bounds_of_its_fields_is_kept() -> None:
    for team in ("x" * 1010 + " pwd=abcdef", "\u200b", "\x00"):
        kept = clean(b.finding(0, about=b.about(team=team)))
        assert kept.about.attribution and kept.about.attribution.operator
        assert "abcdef" not in (kept.about.attribution.operator.team or "")


def test_an_ordinary_finding_is_kept_as_it_is() -> None:
    said: Any = b.finding(0, evidence=(b.excerpt(0),), observed="5 of 20 calls", expected="fewer than 3")
    assert clean(said) is said


def test_what_is_too_long_loses_its_evidence_first_and_says_so() -> None:
    """A page of a few thousand characters stays; a ticket of a hundred thousand is cut, not refused."""
    long = "word {x} " * 4_000
    doc = places.ticket(places.incident("x"))
    for shown in (jira_text.document, jira_text.wiki):
        whole = str(shown(doc))
        assert "cut here" not in whole
        long_evidence = str(shown(_with(doc, evidence=(long,) * 10)))
        assert "cut here" in long_evidence and "How to close this" in long_evidence and "Human policy" in long_evidence
        everything = str(shown(_with(doc, sections=(("a", (long,)),), fields=((long, long),), evidence=(long,) * 3)))
        assert "cut here" in everything


def _with(doc: Any, **given_: Any) -> Any:
    from msgspec.structs import replace

    return replace(doc, **given_)
