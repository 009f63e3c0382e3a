"""A sandbox Jira: tickets, search that lags, faults on demand, and pages a person can click."""

from streams.sandbox.jira.server import SandboxDataCenter, SandboxJira

__all__ = ["SandboxDataCenter", "SandboxJira"]
