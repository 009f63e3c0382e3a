"""What the book makes of a ticket that people have moved or deleted."""

import builders as b
from msgspec.structs import replace
from respond.test_book_fold import folded

from streams.records import Done, Incident, Obligation, Refused

FIRST, SECOND = "OPS-7", "DEV-1"


def opened():
    """An incident whose ticket is recorded: its memories, and its id."""
    answer, _ = folded([b.sighted()])
    name = next(one.id for one in answer.said if isinstance(one, Incident))
    recorded = replace(b.receipt(name, "ticket"), answer=Done(FIRST, f"https://jira.example/browse/{FIRST}"))
    after, _ = folded([recorded], answer.memories)
    return {**answer.memories, **after.memories}, recorded


def incident(answer):
    return [one for one in answer.said if isinstance(one, Incident)][-1]


def test_a_moved_ticket_gets_its_new_key_and_the_page_is_edited():
    memories, recorded = opened()
    moved = replace(recorded, answer=Done(SECOND, f"https://jira.example/browse/{SECOND}"), was=FIRST)
    answer, _ = folded([moved], memories)
    assert (incident(answer).ticket, incident(answer).ticket_url) == (SECOND, f"https://jira.example/browse/{SECOND}")
    assert [one.kind for one in answer.said if isinstance(one, Obligation)] == ["page"]


def test_a_deleted_ticket_is_news_in_the_thread_and_no_other_one_is_owed():
    memories, recorded = opened()
    answer, _ = folded([replace(recorded, answer=Refused("gone"), was=FIRST)], memories)
    assert (incident(answer).ticket, incident(answer).ticket_url) == (FIRST, None)
    (note,) = [one for one in answer.said if isinstance(one, Obligation)]
    assert note.kind == "note" and FIRST in note.body["headline"]
    again, _ = folded([b.sighted(60)], {**memories, **answer.memories})
    assert [one for one in again.said if isinstance(one, Obligation) and one.kind == "ticket"] == []


def test_a_second_answer_of_a_zombie_is_no_move():
    memories, recorded = opened()
    answer, _ = folded([replace(recorded, answer=Done(SECOND))], memories)
    assert answer.said == []


def test_a_move_of_another_ticket_than_the_recorded_one_is_nothing():
    memories, recorded = opened()
    answer, _ = folded([replace(recorded, answer=Done("X-1"), was="X-2")], memories)
    assert answer.said == []
