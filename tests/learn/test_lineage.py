"""Which release contains which fix: by what CI registered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.learn.releases import lineage
from streams.learn.releases.lineage import FixedIn, Lineage, Resolved
from streams.records import GateRelease

BEGAN = datetime(2026, 9, 1, tzinfo=UTC)
NAMES = ("incident-1", "AGT-412")


def at(hours: float) -> datetime:
    return BEGAN + timedelta(hours=hours)


def release(name: str, *parents: str, hours: float = 0, **given: Any) -> GateRelease:
    return GateRelease("bot", name, at(hours), at(hours), parents, registered=True, **given)


def seen(name: str) -> GateRelease:
    """Sessions ran in it, and nobody registered it."""
    return GateRelease("bot", name, at(0))


LINE = (
    release("9.1", hours=1),
    release("9.2", "9.1", hours=2),
    release("9.3", "9.2", hours=3),
    release("9.2-hotfix", "9.2", hours=4),
)


def test_a_release_contains_its_parents_and_theirs_the_nearest_first() -> None:
    assert lineage.ancestors(LINE, "bot", "9.3") == Lineage(("9.2", "9.1"))
    assert lineage.contains(LINE, "bot", "9.3", "9.1")
    assert not lineage.contains(LINE, "bot", "9.1", "9.3")
    assert not lineage.contains(LINE, "bot", "9.2-hotfix", "9.3")


def test_names_that_look_newer_mean_nothing() -> None:
    loose = (release("2026.09.1"), release("2026.09.2", hours=1))
    assert not lineage.contains(loose, "bot", "2026.09.2", "2026.09.1")


def test_another_agents_release_of_the_same_name_is_another_release() -> None:
    other = GateRelease("other", "9.3", at(0), at(0), ("9.1",), registered=True)
    assert lineage.ancestors((*LINE, other), "other", "9.3").names == ("9.1",)


def test_where_no_parents_are_named_the_order_of_ci_says_what_came_before() -> None:
    ordered = tuple(release(name, order=n) for name, n in (("blue", 7), ("red", 5), ("green", 12)))
    assert lineage.ancestors(ordered, "bot", "green").names == ("blue", "red")
    branched = (*ordered, release("hotfix", "red", order=13))
    assert lineage.ancestors(branched, "bot", "hotfix").names == ("red",)


def test_a_circle_is_seen_and_nothing_is_contained_in_it_for_certain() -> None:
    circle = (release("a", "c"), release("b", "a"), release("c", "b"), release("d", "c"), release("e"))
    assert {name: lineage.ancestors(circle, "bot", name).cyclic for name in "abcde"} == {
        **dict.fromkeys("abcd", True),
        "e": False,
    }
    assert not lineage.contains(circle, "bot", "d", "a")
    assert lineage.contains(circle, "bot", "a", "a")
    assert lineage.faulty_in(circle, "bot", "d", {"a"}) == "a"


def test_a_release_that_is_its_own_parent_is_a_circle() -> None:
    assert lineage.ancestors((release("a", "a"),), "bot", "a") == Lineage((), cyclic=True)


def test_a_parent_that_nobody_registered_is_a_parent_all_the_same() -> None:
    assert lineage.ancestors((release("b", "a"),), "bot", "b") == Lineage(("a",))


def test_a_history_of_years_costs_no_more_than_its_bound() -> None:
    years = tuple(release(str(n), str(n - 1)) for n in range(1, 3000))
    assert len(lineage.ancestors(years, "bot", "2999").names) == lineage.ANCESTORS_MAX
    assert not lineage.contains(years, "bot", "2999", "1")


def test_a_release_is_found_by_its_name_an_alias_or_a_commit() -> None:
    some = (
        release("9.1", aliases=("sha256:aa", "7f9c4d")),
        release("9.2", commit="ABCDEF0123456789", aliases=("9.1",)),
    )
    assert [lineage.resolve(some, "bot", name).release for name in ("9.1", "7f9c4d", "abcdef01", "abc", "nine")] == [
        *("9.1", "9.1", "9.2", None, None)
    ]


def test_an_alias_of_two_releases_names_neither_and_says_both() -> None:
    two = (release("9.1", aliases=("stable",)), release("9.2", hours=1, aliases=("stable",)))
    assert lineage.resolve(two, "bot", "stable") == Resolved(None, ("9.1", "9.2"))
    child = release("9.3", "stable", hours=2)
    assert lineage.ancestors((*two, child), "bot", "9.3") == Lineage((), False, ("9.1", "9.2"))
    assert not lineage.contains((*two, child), "bot", "9.3", "9.1")
    assert lineage.faulty_in((*two, child), "bot", "9.3", {"9.1"}) == "9.1"


def test_a_name_that_was_registered_as_two_things_names_none_of_them() -> None:
    twice = release("9.1", conflict=("9.1 (commit aa)", "9.1 (commit bb)"))
    assert lineage.resolve((twice,), "bot", "9.1") == Resolved(None, ("9.1 (commit aa)", "9.1 (commit bb)"))
    child = release("9.2", "9.1", hours=1)
    assert not lineage.contains((twice, child), "bot", "9.2", "9.1")
    assert lineage.faulty_in((twice, child), "bot", "9.2", {"9.1"}) == "9.1"


def fixed(fixed_in: str | None, releases: tuple[GateRelease, ...] = LINE, hours: float = 2.5) -> FixedIn:
    return lineage.fix_release(releases, "bot", fixed_in, at(hours), NAMES)


def test_an_older_release_that_still_fails_does_not_contain_the_fix() -> None:
    """Sentry #104513: it is no reason to reopen."""
    where = fixed("9.3")
    assert [lineage.contains_fix(LINE, "bot", name, where) for name in ("9.1", "9.2", "9.2-hotfix", "9.3")] == [
        *(False, False, False, True)
    ]


def test_a_fix_may_be_in_a_release_that_does_not_exist_yet() -> None:
    """Sentry #83696: it is pending until CI registers it, and found from then on, under its name or an alias."""
    assert fixed("9.4") == FixedIn(None, pending=True)
    assert not any(lineage.contains_fix(LINE, "bot", one.release, fixed("9.4")) for one in LINE)
    later = (*LINE, release("9.4", "9.3", hours=9), release("9.5", "9.4", hours=10))
    assert fixed("9.4", later) == FixedIn("9.4")
    assert lineage.contains_fix(later, "bot", "9.5", fixed("9.4", later))
    aliased = (*LINE, release("build-77", "9.3", hours=9, aliases=("9.4",)))
    assert fixed("9.4", aliased).release == "build-77"


def test_next_is_the_first_release_after_the_outcome_that_names_the_trouble() -> None:
    assert fixed("next", hours=5) == FixedIn(None, pending=True, inferred=True)
    later = (*LINE, release("9.4", "9.3", hours=6), release("9.5", "9.4", hours=7, fixes=("agt-412",)))
    assert fixed("next", later, hours=5) == FixedIn("9.5")
    assert not lineage.contains_fix(later, "bot", "9.4", fixed("next", later, hours=5))


def test_where_none_names_it_next_is_the_first_one_after_and_says_that_it_is_a_guess() -> None:
    assert fixed("next") == FixedIn("9.3", inferred=True)
    assert fixed(None) == FixedIn("9.3", inferred=True)
    assert fixed("next", (*LINE, seen("9.9")), hours=5) == FixedIn(None, pending=True, inferred=True)


def test_a_release_that_named_the_trouble_before_people_closed_it_counts_unless_it_was_seen_there() -> None:
    named = (*LINE, release("9.4", "9.3", hours=6, fixes=("AGT-412",)), release("9.5", "9.4", hours=9))

    def found(*sighted: str) -> FixedIn:
        return lineage.fix_release(named, "bot", "next", at(8), NAMES, sighted=sighted)

    assert found("9.2") == FixedIn("9.4", inferred=True)
    assert found("9.2", "9.4") == FixedIn("9.5", inferred=True)


def test_a_commit_is_where_a_release_of_it_is_and_in_what_comes_after() -> None:
    some = (
        *LINE,
        release("9.4", "9.3", hours=6, commit="0a1b2c3d4e5f"),
        release("9.4-b", "9.3", hours=7, commit="0a1b2c3d4e5f"),
    )
    where = fixed("commit:0a1b2c3d", some)
    assert where == FixedIn("9.4", also=("9.4-b",))
    assert [lineage.contains_fix(some, "bot", name, where) for name in ("9.3", "9.4", "9.4-b")] == [False, True, True]
    assert fixed("commit:feedface", some) == FixedIn(None, pending=True)
    declared = (*LINE, release("9.4", "9.3", hours=6, fixes=("commit:feedface",)))
    assert fixed("commit:feedface", declared) == FixedIn("9.4")


def test_a_fix_in_a_name_that_two_releases_share_is_nowhere() -> None:
    two = (release("9.1", aliases=("stable",)), release("9.2", hours=1, aliases=("stable",)))
    where = fixed("stable", two)
    assert where == FixedIn(None, ambiguous=("9.1", "9.2"))
    assert not any(lineage.contains_fix(two, "bot", one.release, where) for one in two)


def test_a_release_that_was_only_seen_contains_a_fix_said_to_be_in_it() -> None:
    assert fixed("9.9", (seen("9.9"),)) == FixedIn("9.9")


def test_a_release_that_another_prompt_implies_is_unknown_until_it_is_registered() -> None:
    implied = GateRelease("bot", "9.3+ab12cd34", at(5), parents=("9.3",), implied="9.3")
    assert lineage.resolve((*LINE, implied), "bot", "9.3+ab12cd34") == Resolved(None)
    assert lineage.contains((*LINE, implied), "bot", "9.3+ab12cd34", "9.1")
    registered = release("9.3+ab12cd34", "9.3", hours=6, implied="9.3")
    assert lineage.resolve((*LINE, registered), "bot", "9.3+ab12cd34").release == "9.3+ab12cd34"


def test_what_contains_a_fix_is_its_release_and_everything_made_of_it() -> None:
    circle = (*LINE, release("x", "9.3", "y"), release("y", "x"))
    assert lineage.containing(circle, "bot", fixed("9.2")) == ("9.2", "9.3", "9.2-hotfix")
    assert lineage.containing(LINE, "bot", fixed("9.9")) == ()
