"""The site that delivery tools ask."""

import pytest
from delivery.gated import filled
from web.serving import serving

from streams.database import migrate


@pytest.fixture
async def site(database):
    migrate(database)
    async with serving(database) as found:
        yield await filled(found)
