"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from standin.driver import StandIn


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    """A Discord on 127.0.0.1. A test that used it fails if anything was sent that real Discord would not take."""
    from standin.driver import StandIn

    async with StandIn() as discord:
        yield discord
    assert not discord.violations, "\n".join(map(str, discord.violations))
