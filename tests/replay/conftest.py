"""What the tests of replay share."""

from pathlib import Path
from typing import Any

import pytest
from replay.saying import Said

from streams import policy
from streams.replay import run


@pytest.fixture(scope="session")
def shipped() -> policy.Policy:
    """The policy as it is delivered: nothing is tuned for a test."""
    return policy.load()


@pytest.fixture
def replayed(shipped: policy.Policy) -> Any:
    """Replays lines and answers the records by kind: `said.finding`, `said.summary`."""
    return lambda lines, **given: Said(list(run(lines, given.pop("rules", shipped), **given)))


@pytest.fixture(scope="session")
def tau2_files(tocsin_data: Path) -> list[Path]:
    return sorted((tocsin_data / "data" / "tau2").glob("*.json.gz"))
