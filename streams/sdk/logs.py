"""Which session a line of the agent's own log belongs to."""

from __future__ import annotations

import logging

from .session import current


class SessionFilter(logging.Filter):
    """Puts session_id, root_session_id, run_id, trace_id and agent into every record; empty where there is none.

    `handler.addFilter(SessionFilter())`, then `%(session_id)s` in the format.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        session = current()
        ctx = session.ctx if session is not None else None
        record.session_id = ctx.session_id if ctx else ""
        record.root_session_id = ctx.root if ctx else ""
        record.run_id = ctx.run_id if ctx else ""
        record.agent = ctx.agent.id if ctx else ""
        record.trace_id = session.trace[3:35] if session is not None else ""
        return True
