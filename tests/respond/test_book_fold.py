"""The fold of the book: pure, whole or not at all, and honest about what it still needs."""

import builders as b
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import Cleared, Due, Incident, Obligation
from streams.respond import book
from streams.respond.routing import BookValues, Owner
from streams.step import Step

VALUES = BookValues()
NAME = "v1:tool.repeated_error:search"


def folded(inputs, memories=(), deciders=None):
    """As the loop does it: load what is missing, fold again. Also returns how often it was asked."""
    deciders, known, rounds = deciders or book.deciders(VALUES), dict(memories), 0
    while True:
        rounds += 1
        answer = book.fold(deciders, known, inputs)
        if isinstance(answer, book.Folded):
            return answer, rounds
        known |= dict.fromkeys(answer.keys)


def test_it_names_the_memories_it_misses_and_says_nothing_until_it_has_them():
    answer = book.fold(book.deciders(VALUES), {}, [b.sighted()])
    assert answer == book.Missing({("incident", NAME)})


def test_a_cascade_over_all_deciders_needs_few_rounds():
    answer, rounds = folded([b.sighted(trouble=str(number)) for number in range(200)])
    assert len(answer.said) > 200
    assert rounds <= 7  # a level of the cascade each: whoever loads them should know how few


def test_sayings_come_in_the_order_in_which_they_follow_from_each_other():
    answer, _ = folded([b.sighted()])
    kinds = [type(one) for one in answer.said]
    assert kinds[:2] == [Incident, Due]
    assert kinds[-1] is Incident
    assert kinds.index(Obligation) > kinds.index(Cleared)


def test_what_did_not_change_is_not_written():
    seen = b.sighted()
    first, _ = folded([seen])
    again, _ = folded([seen], first.memories)
    assert (again.memories, again.said) == ({}, [])


def test_a_due_time_is_told_for_every_memory_that_was_stepped_and_taken_away_when_there_is_none():
    first, _ = folded([b.silence(0, until=60)])
    address = ("silence", "silences")
    assert first.wakes[address] == b.at(60)
    second, _ = folded([book.Woken(*address, b.at(60))], first.memories)
    assert second.wakes == {address: None}


def test_records_nobody_reads_and_wakes_for_nobody_do_nothing():
    answer, _ = folded([b.tick(), b.dead_letter(), book.Woken("nobody", "key", b.at(0)), b.receipt("", "page")])
    assert (answer.memories, answer.said, answer.isolated) == ({}, [], [])


class Fragile:
    name, version, memory, reads, order = "fragile", 1, Due, (Due,), "near"

    def key(self, _record):
        return "all"

    def step(self, _memory, record):
        if "b" in record.incident.id.rpartition(":")[2]:
            raise ValueError("boom")
        return Step(record)


def test_an_input_that_breaks_a_decider_leaves_nothing_behind_and_the_others_go_on():
    deciders = (*book.deciders(VALUES), Fragile())
    answer, _ = folded([b.sighted(trouble=one) for one in ("a", "b", "c")], deciders=deciders)
    (broken,) = answer.isolated
    assert (broken.decider, broken.record.finding.fingerprint) == ("fragile", "v1:tool.repeated_error:b")
    opened = {key for name, key in answer.memories if name == "incident"}
    assert opened == {"v1:tool.repeated_error:a", "v1:tool.repeated_error:c"}
    assert not any("error:b" in repr(one) for one in answer.said)


class Echoing:
    name, version, memory, reads, order = "echoing", 1, Due, (Due,), "near"

    def key(self, _record):
        return "all"

    def step(self, memory, record):
        return Step(memory, (record,))


def test_deciders_that_talk_in_circles_are_stopped():
    answer, _ = folded([b.sighted()], deciders=(*book.deciders(VALUES), Echoing()))
    assert [one.why for one in answer.isolated] == ["the deciders talk in circles"]


class Counting(Echoing):
    def step(self, memory, record):
        count = (memory or 0) + 1
        return Step(count, (record,) if count < 6_000 else ())


def test_a_decision_on_a_group_of_hundreds_is_long_and_no_circle():
    answer, _ = folded([b.sighted()], deciders=(*book.deciders(VALUES), Counting()))  # the others hear each of them
    assert not answer.isolated


def test_memories_survive_bytes():
    answer, _ = folded(
        [b.silence(0, 60, matchers={"agent": "x"}), b.sighted(dependency="crm", evidence=(b.excerpt(),))]
    )
    kinds = {decider.name: decider.memory for decider in book.deciders(VALUES)}
    for (name, _key), memory in answer.memories.items():
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=kinds[name]) == memory


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.integers(0, 12))
def test_how_inputs_are_cut_into_transactions_does_not_matter(troubles, cut):
    inputs = [b.sighted(number, trouble=trouble) for number, trouble in enumerate(troubles)]
    whole, _ = folded(inputs)
    first, _ = folded(inputs[:cut])
    second, _ = folded(inputs[cut:], first.memories)
    assert {**first.memories, **second.memories} == whole.memories
    assert first.said + second.said == whole.said


@pytest.mark.parametrize(
    ("found", "owner", "reason"),
    [
        ({"team": "money", "agent": "search-bot"}, "payments", "the event is attributed to team money"),
        ({"team": "payments"}, "payments", "the event is attributed to team payments"),
        ({"agent": "search-bot"}, "search", "agent search-bot matches search-*"),
        ({"trouble": "stripe"}, "payments", "tool stripe matches str*"),
        ({"dependency": "stripe-api", "trouble": "x"}, "payments", "tool stripe-api matches str*"),
        ({"subject": {"evaluator": "tone"}}, "quality", "evaluator tone matches tone"),
        ({"trouble": "other"}, "platform", "owner missing: no rule matches"),
        ({"team": "new"}, "new", "the event is attributed to team new, whom the policy does not list"),
    ],
)
def test_an_incident_goes_to_its_owner_and_says_why(found, owner, reason):
    values = BookValues(
        owners=(
            Owner(name="payments", teams=("money",), tools=("str*",), channel="CPAY", project="PAY", mention="SPAY"),
            Owner(name="search", agents=("search-*",)),
            Owner(name="quality", evaluators=("tone",)),
        )
    )
    answer, _ = folded([b.sighted(**found)], deciders=book.deciders(values))
    opened = next(one for one in answer.said if isinstance(one, Incident))
    owed = {one.id.partition("#1:")[2]: one for one in answer.said if isinstance(one, Obligation)}
    page, ticket = owed["page:1"], owed["ticket:1"]
    assert opened.owner == owner
    assert ["Owner", f"{owner} ({reason})"] in page.body["lines"]
    to = ("slack:CPAY", "jira:PAY", "SPAY") if owner == "payments" else ("slack:C0TOCSIN", "jira:OPS", "")
    assert (page.destination, ticket.destination, page.body["mention"]) == to


def test_the_policy_becomes_the_books_values():
    from streams import policy

    text = '[[owners]]\nname = "payments"\nagents = ["pay-*"]\nmention = "S1"\n[storm]\nper_minute_max = 7\n'
    values = msgspec.convert(policy.parse(text, "policy.toml"), BookValues, from_attributes=True)
    assert (values.owners[0].agents, values.owners[0].mention, values.storm.per_minute_max) == (("pay-*",), "S1", 7)
