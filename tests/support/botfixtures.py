"""Fixtures of the bot's tests on real sockets: a pytest plugin, named by those files."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from botkit import Easel, a_queue
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncGenerator[Queue]:
    async with a_queue(tmp_path) as opened:
        yield opened


@pytest.fixture
async def easel() -> Easel:
    return Easel()


@pytest.fixture
def studio(standin: StandIn) -> Channel:
    return standin.guild("Darkroom").channel("studio")


@pytest.fixture
def ada(studio: Channel) -> Member:
    assert studio.guild is not None
    return studio.guild.member("Ada")


@pytest.fixture
def mona(studio: Channel) -> Member:
    """She manages the server."""
    assert studio.guild is not None
    return studio.guild.member("Mona", permissions=("manage_guild", "manage_messages"))
