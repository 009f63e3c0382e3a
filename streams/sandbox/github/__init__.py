"""A sandbox GitHub: deployments that wait for a protection rule, check runs, an app's tokens, signed webhooks."""

from streams.sandbox.github.server import SandboxGitHub

__all__ = ["SandboxGitHub"]
