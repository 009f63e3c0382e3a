"""The fixture that agents' developers use, used here; a database and a Slack for what needs Tocsin itself."""

from respond.conftest import book, slack  # noqa: F401

from streams.sdk.testing import tocsin  # noqa: F401
