"""What learn has to say reaches people: under the incident it is about, otherwise in the channel of the agent's owner."""

import builders as b
import msgspec
from stories.world import World

from streams.records import Notice
from streams.respond.messages import CommentDoc, NoteDoc, PageDoc, read
from streams.respond.routing import BookValues, Owner

WORDS = {"headline": "Gate promotion: override given", "lines": ("Approved by grace.",)}


def notice(number=1, **given):
    return Notice(id=f"o-1:{number}", at=b.at(120), **{**WORDS, **given})


def owed(world, kind):
    found = [one for one in world.obligations.values() if one.kind == kind]
    return [(one, read(one.body)) for one in found]


def test_it_is_said_in_the_thread_and_under_the_ticket():
    world = World().finds("search")
    incident = next(iter(world.incidents))
    world.take(notice(incident=incident))
    ((note, said),) = owed(world, "note")
    assert isinstance(said, NoteDoc) and said.headline == WORDS["headline"]
    assert note.after == (f"{incident}:page:1",)
    comments = [doc for _, doc in owed(world, "comment") if isinstance(doc, CommentDoc)]
    assert ["Approved by grace." in one.lines for one in comments] == [True]


def test_each_of_several_is_said():
    world = World().finds("search")
    incident = next(iter(world.incidents))
    world.take(notice(1, incident=incident), notice(2, incident=incident, headline="another"))
    assert len(owed(world, "note")) == len(owed(world, "comment")) == 2


def test_of_what_nobody_was_told_nothing_is_said():
    world = World().finds("search", dry_run=True)
    world.take(notice(incident=next(iter(world.incidents))))
    assert owed(world, "note") == owed(world, "comment") == []


def test_about_no_incident_it_goes_to_the_agents_owner_and_wakes_nobody():
    owners = (Owner(name="payments", agents=("billing*",), channel="C0PAY", mention="SPAY"),)
    world = World(msgspec.structs.replace(BookValues(), owners=owners))
    world.take(notice(agent="billing", environment="prod", link="/gates/promotion"))
    ((page, said),) = owed(world, "page")
    assert (page.destination, page.incident) == ("slack:C0PAY", "")
    assert isinstance(said, PageDoc) and (said.mention, said.wakes, said.headline) == ("", False, WORDS["headline"])
