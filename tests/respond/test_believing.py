"""A policy change is an event with its differences: said once, however often the writer starts or dies."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
import pytest
from respond.desk import found, read_all, running, settling, topics
from respond.outside import Killed, rows, until
from stories.world import World

from streams.database import connect
from streams.policy import Policy, parse
from streams.records import PolicyChanged, contents, differences
from streams.respond.believing import Believed, noted
from streams.respond.book import deciders as book_of
from streams.respond.routing import BookValues, Storm
from streams.respond.worker import noting

TOPIC = "tocsin.policy"
CHANGED = '[detectors."tool.repeated_error"]\nerrors_min = 4\n\n[detectors."cost.session"]\ndry_run = true\n'


def believed(text: str = "") -> Believed:
    policy = parse(text, "policy.toml")
    return Believed(policy.digest, policy.name, contents(policy))


async def start(uri: str, *texts: str, reached: Any = lambda _: None) -> list[PolicyChanged | None]:
    async with await connect(uri) as conn:
        return [await noted(conn, believed(text), TOPIC, reached) for text in texts]


async def said(uri: str) -> list[PolicyChanged]:
    found = await rows(uri, "SELECT value FROM publish WHERE topic = %s ORDER BY id", TOPIC)
    return [msgspec.json.decode(value, type=PolicyChanged) for (value,) in found]


async def test_the_first_policy_is_written_down_without_differences(book: str) -> None:
    (first,) = await start(book, "")
    assert first is not None
    assert (first.number, first.before, first.differences) == (1, None, ())
    assert await said(book) == [first]


async def test_a_change_says_what_differs_and_leads_to_all_that_was_believed(book: str) -> None:
    first, changed = await start(book, "", CHANGED)
    assert first is not None and changed is not None
    assert (changed.before, changed.after) == (first.after, parse(CHANGED, "x").digest)
    assert [(one.path, one.before, one.after) for one in changed.differences] == [
        ("cost.session.dry_run", "false", "true"),
        ("tool.repeated_error.errors_min", "3", "4"),
    ]
    kept = dict(await rows(book, "SELECT digest, content FROM policies"))
    assert msgspec.json.decode(kept[first.after])["detectors"]["tool.repeated_error"]["errors_min"] == 3
    assert msgspec.json.decode(kept[changed.after])["detectors"]["tool.repeated_error"]["errors_min"] == 4


async def test_starting_again_with_the_same_policy_says_nothing(book: str) -> None:
    assert (await start(book, "", "", "# a comment changes nothing\n"))[1:] == [None, None]
    assert len(await said(book)) == 1


async def test_going_back_is_a_change_too(book: str) -> None:
    changes = await start(book, "", CHANGED, "")
    assert [one.number for one in changes if one] == [1, 2, 3]
    assert len(await rows(book, "SELECT 1 FROM policies")) == 2


async def test_a_kill_before_the_end_leaves_nothing_and_the_next_start_says_it_once(book: str) -> None:
    def killed(_step: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        await start(book, CHANGED, reached=killed)
    assert await said(book) == [] and await rows(book, "SELECT 1 FROM policies") == []
    await start(book, CHANGED, CHANGED)
    assert len(await said(book)) == 1


async def test_any_text_that_toml_takes_can_be_kept(book: str) -> None:
    (first,) = await start(book, 'name = "a\\u0000b"\n')
    assert first is not None and first.name == "a\0b"


async def test_the_writer_notes_its_policy_before_it_settles_anything(book: str, kafka: str) -> None:
    names, policy = await topics(kafka), parse(CHANGED, "policy.toml")
    await start(book, "")
    await found(kafka, names, [b.finding(n, id=f"f{n}") for n in range(3)])
    for _ in range(2):
        loop = settling(book, kafka, names)
        loop.began = noting(policy)
        async with running(loop):
            await until(lambda: read_all(book, names, 3), what="reading to the end")
    assert [one.after for one in await said(book)] == [parse("", "x").digest, policy.digest]
    first = await rows(book, "SELECT topic FROM publish ORDER BY id")
    assert [topic for (topic,) in first].index(names.incidents) > 1


def test_differences_name_owners_and_agents_and_say_when_their_order_changed() -> None:
    one, other = '[[owners]]\nname = "a"\nchannel = "C1"\n', '[[owners]]\nname = "b"\nchannel = "C2"\n'
    found = differences(*(contents(parse(text, "x")) for text in (one + other, other + one)))
    assert [(one.path, one.before, one.after) for one in found] == [("owners", '["a","b"]', '["b","a"]')]
    found = differences(*(contents(parse(text, "x")) for text in (one, one.replace("C1", "C3"))))
    assert [(one.path, one.before, one.after) for one in found] == [("owners.a.channel", '"C1"', '"C3"')]


def test_an_override_of_some_agents_is_a_difference_of_its_own() -> None:
    text = '[detectors."tool.repeated_error".agents."billing.*"]\nerrors_min = 9\n'
    found = differences(contents(parse("", "x")), contents(parse(text, "x")))
    assert [(one.path, one.before, one.after) for one in found] == [
        ('tool.repeated_error.agents."billing.*".errors_min', None, "9")
    ]


def test_every_part_of_a_policy_can_differ_visibly() -> None:
    """A field that is added later is not forgotten here."""
    content = contents(parse("", "x"))
    assert set(content) == set(Policy.__struct_fields__) - {"digest"}


def test_a_long_value_is_cut_in_what_is_said_and_differs_by_its_end() -> None:
    texts = (f'[detectors."cost.session"]\nrunbook = "{"x" * 5000}{end}"\n' for end in ("a", "b"))
    (found,) = differences(*(contents(parse(text, "x")) for text in texts))
    assert found.path == "cost.session.runbook" and len(found.after or "") <= 500


def test_what_is_held_back_says_which_policy_did_it_until_it_is_told() -> None:
    world = World(BookValues(policy="sha256:old"))
    world.silences(600).finds("search").at(60)
    incident = world.incident("search")
    assert incident.held and incident.held_policy == "sha256:old" and incident.policy == "sha256:0"
    world.deciders = book_of(BookValues(policy="sha256:new"))
    world.finds("search")
    assert world.incident("search").held_policy == "sha256:new"
    world.at(660)
    assert (world.incident("search").held, world.incident("search").held_policy) == ((), "")


@pytest.mark.parametrize(
    ("values", "count"), [(BookValues(policy="p", storm=Storm(per_minute_max=2)), 4), (BookValues(policy="p"), 4)]
)
def test_storms_and_groups_say_it_too(values: BookValues, count: int) -> None:
    world = World(values)
    for number in range(count):
        world.finds(f"t{number}", **({"agent": f"a{number}"} if values.storm.per_minute_max == 2 else {}))
    held = [one for one in world.incidents.values() if one.held]
    assert held and {one.held_policy for one in held} == {"p"}
    assert all(not one.held_policy for one in world.incidents.values() if not one.held)


def test_a_detector_on_trial_says_it_too() -> None:
    world = World(BookValues(policy="p"))
    world.take(b.sighted(0, finding=b.finding(0, dry_run=True)))
    assert world.incident("search").held_policy == "p"
