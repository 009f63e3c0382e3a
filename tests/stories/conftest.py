import pytest
from stories.world import World


@pytest.fixture
def world() -> World:
    return World()
