"""The fixture that agents' developers use, used here."""

pytest_plugins: list[str] = []

from streams.sdk.testing import tocsin  # noqa: E402, F401
