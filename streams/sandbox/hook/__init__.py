"""A sandbox receiver of signed webhooks: it checks, drops repeats, keeps what it got, and shows it."""

from streams.sandbox.hook.server import SECRET, SandboxHook

__all__ = ["SECRET", "SandboxHook"]
