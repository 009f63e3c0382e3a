"""What people say about which incident is part of which, against what the groups say."""

from __future__ import annotations

from ..records import Merge, Split
from ..step import Step
from .life import Life


def split(life: Life, record: Split) -> Step[Life]:
    del record
    return Step(life)


def merged(life: Life, record: Merge) -> Step[Life]:
    del record
    return Step(life)
