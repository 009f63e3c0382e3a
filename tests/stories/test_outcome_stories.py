"""What people decide, what their tickets are told of it, and what happens when the trouble is seen again."""

from __future__ import annotations

import builders as b
import pytest
from msgspec.structs import replace
from stories.world import World, commented, edited, noted, page, ticket

HOUR, DAY = 3600, 86_400


@pytest.fixture
def world() -> World:
    return World()


def told(world: World, trouble: str = "search", ordinal: int = 1) -> str:
    return " ".join(world.body(trouble, "comment", ordinal)["lines"])


def test_a_false_positive_is_answered_with_what_it_changed(world: World) -> None:
    world.finds("search").at(100).decides("search", "false_positive", why="stale_reference")
    world.told(page("search"), ticket("search"), edited("search", "resolved"), commented("search", "false_positive"))
    text = told(world)
    assert "With it: why stale_reference." in text
    assert "counts as wrong" in text and "It holds up no release any more." in text
    assert "A case that its evaluators have to let pass is kept as case-" in text
    assert "/fp why=" in text and "Reopening the ticket takes it back" in text


def test_what_nobody_said_is_named_as_taken(world: World) -> None:
    world.finds("search").at(100).decides("search", "fixed", fixed_in="next", inferred=True)
    assert "Nobody said in which release the fix is: taken as the next one" in told(world)
    lines = dict(world.page("search", 3).lines)
    assert "Nobody said in which release" in lines["Decision"]


def test_saying_the_same_again_is_no_news_and_saying_more_is(world: World) -> None:
    world.finds("search").at(100).decides("search", "fixed", fixed_in="next", inferred=True)
    world.unheard.clear()
    world.at(130).decides("search", "fixed", fixed_in="next", inferred=True, actor="bob").told_nothing()
    world.at(160).decides("search", "fixed", fixed_in="next", inferred=True, cause="prompt")
    world.told(edited("search", "resolved"), commented("search", "fixed"))
    assert "cause prompt" in told(world, ordinal=2)


def test_reopening_forgets_what_came_with_the_decision(world: World) -> None:
    world.finds("search").at(100).decides("search", "accepted_risk", expires_at=b.at(10 * DAY))
    assert world.incident("search").decision is not None
    world.at(200).decides("search", "accepted_risk", reopened=True)
    assert (world.incident("search").stage, world.incident("search").decision) == ("open", None)


def test_a_ticket_closed_without_a_word_asks_in_its_thread_once(world: World) -> None:
    world.finds("search").receives("search", "page", "C1/1")
    world.unheard.clear()
    world.at(100).decides("search", "unspecified")
    world.told(edited("search", "resolved"), commented("search", "unspecified"), noted("search", "unnamed"))
    note = world.body("search", "note")
    assert {"fixed", "false_positive", "accepted_risk"} <= set(note["actions"])
    world.at(200).decides("search", "unspecified", reopened=True).at(300)
    world.unheard.clear()
    world.decides("search", "unspecified")
    assert [one.kind for one in world.unheard if one.kind == "note"] == []


def test_an_accepted_risk_comes_back_when_it_expires(world: World) -> None:
    world.finds("search").at(100).decides("search", "accepted_risk", expires_at=b.at(10 * DAY))
    world.unheard.clear()
    world.at(9 * DAY).finds("search").told_nothing()
    assert "until 2026-09-11" in told(world)
    world.at(10 * DAY + 1).finds("search").told(page("search", 2), ticket("search", 2))


def test_an_accepted_risk_that_comes_twice_as_often_is_not_what_was_accepted(world: World) -> None:
    world.finds("search", count=4).at(4 * HOUR).decides("search", "accepted_risk", expires_at=b.at(60 * DAY))
    world.unheard.clear()
    for number in range(12):  # one an hour, as before
        world.at((5 + number) * HOUR).finds("search", session=f"s{number}")
    world.told_nothing()
    for number in range(60):
        world.at(17 * HOUR + 60 * number).finds("search", session=f"f{number}")
    world.told(page("search", 2), ticket("search", 2))


def test_what_will_not_be_fixed_is_looked_at_again_some_day(world: World) -> None:
    world.finds("search").at(100).decides("search", "wont_fix", review_at=b.at(20 * DAY))
    world.unheard.clear()
    world.at(19 * DAY).finds("search").told_nothing()
    world.at(20 * DAY).finds("search").told(page("search", 2))


def test_a_provider_that_is_still_down_is_no_new_incident_and_one_that_fails_again_is(world: World) -> None:
    world.finds("search").at(100).decides("search", "external_cause", provider="openai")
    world.unheard.clear()
    for minute in range(1, 60):
        world.at(100 + 60 * minute).finds("search")
    world.told_nothing()
    world.at(100 + 60 * 59 + 1800).finds("search").told(page("search", 2), ticket("search", 2))


def test_a_decision_under_pressure_says_that_a_second_person_is_asked_for(world: World) -> None:
    world.finds("search").at(100).decides("search", "false_positive", why="evaluator_wrong", pressed=True)
    assert "until a second person says the same" in told(world)
    assert "A case" not in told(world)
    world.unheard.clear()
    world.at(200).decides("search", "false_positive", why="evaluator_wrong", actor="bob")
    world.told(edited("search", "resolved"), commented("search", "false_positive"))
    decision = world.incident("search").decision
    assert decision is not None and not decision.pressed


def test_a_decision_in_bulk_says_that_it_waits_to_be_confirmed(world: World) -> None:
    world.finds("search").at(100).decides("search", "false_positive", bulk=True)
    assert "once somebody confirms it" in told(world)
    assert replace(world.incident("search").decision, at=b.at(0)).bulk
