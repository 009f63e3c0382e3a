"""A sandbox PagerDuty: events with their dedup keys, who is on call, a page to acknowledge on, signed webhooks back."""

from streams.sandbox.pagerduty.server import SandboxPagerDuty

__all__ = ["SandboxPagerDuty"]
