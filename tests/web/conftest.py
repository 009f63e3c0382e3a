"""The site that most tests want."""

import pytest
from web.serving import serving

from streams.database import migrate


@pytest.fixture
async def site(database):
    migrate(database)
    async with serving(database) as found:
        yield found
