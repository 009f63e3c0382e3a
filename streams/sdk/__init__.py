"""What an agent imports: the emitter, approvals, the breaker. Needs msgspec alone; the Kafka sink confluent-kafka too."""

from .approving import Approval, Approvals, NotApproved, request_approval, request_approval_async
from .breaker import Breaker
from .carrying import Carried, extract, extract_environment, extract_mcp
from .emitter import Emitter, end_on_sigterm
from .guarding import LocalLimits
from .halting import AgentHalted
from .kafka import KafkaSink
from .logs import SessionFilter
from .session import Session, current
from .sinks import FileSink, HttpSink, OutputSink

__all__ = [
    "AgentHalted",
    "Approval",
    "Approvals",
    "Breaker",
    "Carried",
    "Emitter",
    "FileSink",
    "HttpSink",
    "KafkaSink",
    "LocalLimits",
    "NotApproved",
    "OutputSink",
    "Session",
    "SessionFilter",
    "current",
    "end_on_sigterm",
    "extract",
    "extract_environment",
    "extract_mcp",
    "request_approval",
    "request_approval_async",
]
