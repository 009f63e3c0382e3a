"""What people are given to read. One file for each kind of document; the words they share are in `writing_words`."""

from .writing_evidence import evidence
from .writing_news import (
    apart,
    assigned_comment,
    back_comment,
    closing,
    duplicate,
    raised,
    recovered_comment,
)
from .writing_outcome import understood
from .writing_page import News, note, page, umbrella
from .writing_remark import notice, remark, remark_comment
from .writing_ticket import link, ticket
from .writing_words import clip

__all__ = [
    "News",
    "apart",
    "assigned_comment",
    "back_comment",
    "clip",
    "closing",
    "duplicate",
    "evidence",
    "link",
    "note",
    "notice",
    "page",
    "raised",
    "recovered_comment",
    "remark",
    "remark_comment",
    "ticket",
    "umbrella",
    "understood",
]
