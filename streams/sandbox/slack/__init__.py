"""A sandbox Slack: channels, threads, metadata, faults on demand, and pages that show what people would see."""

from streams.sandbox.slack.server import SandboxSlack

__all__ = ["SandboxSlack"]
