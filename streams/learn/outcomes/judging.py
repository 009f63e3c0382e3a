"""What is made of a ticket and of the comments under it: outcomes, by persons, and answers to what is not understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ...records import Notice, Outcome
from . import meaning as outcomes
from .persons import Persons
from .said import Wrong, news
from .ticket import Comment, Known, Mover, TicketRead

TEXT = "comment"


class Heard(NamedTuple):
    outcomes: tuple[Outcome, ...]
    notices: tuple[Notice, ...]
    heard: dict[str, str]  # what to remember


class Judging:
    """`mapping`: the policy's resolutions, by name or by number."""

    def __init__(self, mapping: Mapping[str, str], persons: Persons) -> None:
        self._mapping = {name.strip().lower(): outcome for name, outcome in mapping.items()}
        self._persons = persons

    def outcome(self, incident: str, known: Known, read: TicketRead, by: Mover) -> Outcome | None:
        name = "" if by.ours else self._persons.named(by.marks, by.name)
        return outcomes.decide(incident, known, read, self._mapping, replace(by, name=name))

    def remembered(self, read: TicketRead, known: Known) -> Known:
        return outcomes.remembered(read, known, self._mapping)

    def heard(self, incident: str, comments: Sequence[Comment], before: Mapping[str, str]) -> Heard:
        found = news(comments, before)
        said, answers = [], []
        for comment, command in found.said:
            actor = self._persons.named(comment.marks, comment.name)
            if isinstance(command, Wrong):
                answers.append(_answer(incident, comment, command, actor, found.heard[comment.id]))
            else:
                said.append(outcomes.in_words(incident, command, comment.at, actor, TEXT))
        return Heard(tuple(said), tuple(answers), found.heard)


def _answer(incident: str, comment: Comment, wrong: Wrong, actor: str, mark: str) -> Notice:
    return Notice(
        id=f"unclear:{incident}:{comment.id}:{mark}",
        at=comment.at,
        headline=f"Not understood{f', {actor}' if actor else ''}: nothing was decided",
        lines=(f"{wrong.what}.", f"Write it like this: {wrong.right}"),
        incident=incident,
    )
