"""Fixtures that several test files share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from standin.driver import StandIn

# Examples are judged by what they give, not by how long they take: other tests run beside them.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a command of ours has logging set up for it; the next test's log is its own again."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    """A Discord on 127.0.0.1. A test that used it fails if anything was sent that real Discord would not take."""
    from standin.driver import StandIn

    async with StandIn() as discord:
        yield discord
    assert not discord.violations, "\n".join(map(str, discord.violations))
