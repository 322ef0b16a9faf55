"""One house for a file's tests: a pytest plugin, named by those files."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from botkit import a_bot, a_queue, a_worker
from moderationkit import House, ScoringEasel
from standin.driver import StandIn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder, easel = tmp_path_factory.mktemp("house"), ScoringEasel()
    async with StandIn() as standin:
        async with a_queue(folder) as queue, a_worker(queue, easel), a_bot(standin, queue, folder):
            yield House(standin, queue, easel, folder)
        assert not standin.violations, "\n".join(map(str, standin.violations))
