"""The stand-in serves a client that it was not made for: hikari, unmodified, over the same sockets.

hikari wants an older multidict than we pin, so it lives in an environment of its own, made here from the package index.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from pathlib import Path

import pytest
from standin.driver import StandIn

#: hikari reads an id in the first part.
TOKEN = base64.b64encode(b"123456789012345678").decode() + ".stand.in"
HIKARI = "hikari==2.7.0"
PROGRAM = Path(__file__).with_name("second_client.py")


@pytest.mark.slow
async def test_hikari_draws_and_answers_a_button(tmp_path: Path) -> None:
    """Logs in, registers a command, defers, sends a picture, answers a press: every body as Discord describes it."""
    python = tmp_path / "hikari" / "bin" / "python"
    for command in (
        (sys.executable, "-m", "venv", tmp_path / "hikari"),
        (python, "-m", "pip", "install", "-q", HIKARI),
    ):
        await asyncio.to_thread(subprocess.run, command, check=True)
    async with StandIn(token=TOKEN) as standin:
        await drive(standin, python)
    assert not standin.violations, "\n".join(map(str, standin.violations))


async def drive(standin: StandIn, python: Path) -> None:
    channel = standin.guild("Darkroom").channel("studio")
    assert channel.guild is not None
    ada = channel.guild.member("Ada")
    bot = await asyncio.create_subprocess_exec(
        str(python), str(PROGRAM), standin.api_base, standin.token, stdout=asyncio.subprocess.PIPE
    )
    try:

        async def says(word: bytes) -> None:
            """Its own lines, past those of its log."""
            assert bot.stdout is not None
            async with asyncio.timeout(60):
                while (line := await bot.stdout.readline()).strip() != word:
                    assert line, "it has ended"

        await says(b"ready")
        asked = await standin.slash(ada, channel, "draw")
        done = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
        assert (done.content, done.attachments[0].filename) == ("drawn", "one.png")
        await says(b"drawn")
        pressed = await standin.click(ada, done, "Again")
        answer = await pressed.message()
        assert (answer.content, answer.ephemeral) == ("pressed", True)
        await says(b"pressed")
    finally:
        bot.kill()
        await bot.wait()
