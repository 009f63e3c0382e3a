"""What is raised where an agent may not go on."""

from __future__ import annotations


class AgentHalted(Exception):
    """Tocsin holds this session, or this call, back. Let it end the session: the next session asks again."""

    def __init__(self, scope: str, reason: str = "", ticket: str = "", control_seq: int = 0) -> None:
        super().__init__(scope, reason, ticket, control_seq)
        self.scope, self.reason, self.ticket, self.control_seq = scope, reason, ticket, control_seq
        self.session = self.agent = self.release = ""
        self.tool: str | None = None
        self.measured = False  # told to `on_refused` only: nothing is held back

    def about(self, *, session: str, agent: str, release: str, tool: str | None, measured: bool = False) -> None:
        self.session, self.agent, self.release, self.tool, self.measured = session, agent, release, tool, measured

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        where = f" ({self.ticket})" if self.ticket else ""
        return f"halted by {self.scope}{why}{where}"
