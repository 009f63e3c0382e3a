"""What a shelf knows by itself: whom it is about, how new it is, whether it is over."""

from __future__ import annotations

from typing import Any

from ..records import About, Fact, SessionEnded, SessionStarted
from .shelf import Live

FRESHENED_S = 3600.0  # how old the newest time in the store may be
BRIEF = ("write",)  # kinds about what there may be millions of: their shelves go after an hour
NOTHING, CHANGED, ENDS = 0, 1, 2  # … to be written, and when it ends is another time than before


def noted(key: str, live: Live, event: Any) -> int:
    """After an event."""
    seconds, kind, ctx = event.time.timestamp(), type(event), event.data.ctx
    before_s = live.newest_s
    live.newest_s = max(before_s, seconds)
    if ctx.session_id != key and ctx.root == key:  # a subagent's event on the shelf of its root
        if before_s == 0.0:  # until the root's own first event is seen it is about the agent that was seen first
            live.about = About(ctx.agent.id, ctx.agent.version, ctx.env, None, ctx.root, ctx.user)
            return ENDS
        return NOTHING
    fresh = before_s == 0.0 or live.about.session is None
    if fresh or kind is SessionStarted:
        given = getattr(event.data, "attribution", None) or live.about.attribution
        live.about = About(ctx.agent.id, ctx.agent.version, ctx.env, ctx.session_id, ctx.root, ctx.user, given)
        live.brief = None
    if fresh or kind is SessionEnded:
        live.ended = live.ended or kind is SessionEnded
        return ENDS
    # One that only beats is alive in the store too.
    return CHANGED if kind is SessionStarted or seconds // FRESHENED_S > before_s // FRESHENED_S else NOTHING


def noted_fact(live: Live, fact: Fact) -> int:
    """After a fact."""
    fresh = live.newest_s == 0.0
    live.newest_s = max(live.newest_s, fact.bucket.timestamp())
    live.ended = fact.kind in BRIEF
    if fact.about.agent:
        live.about = fact.about
    return ENDS if fresh else CHANGED
