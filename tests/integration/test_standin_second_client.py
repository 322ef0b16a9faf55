"""The stand-in serves clients that it was not made for: hikari and discord.js, unmodified, over the same sockets.

Both come from their package indexes into a folder of the test: hikari wants an older multidict than we pin, and
discord.js is no Python. Where an index cannot be reached, or node is missing, the test says so and is skipped.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from standin.driver import StandIn

#: Both read an id in the first part.
TOKEN = base64.b64encode(b"123456789012345678").decode() + ".stand.in"
HIKARI = "hikari==2.7.0"
PROGRAM = Path(__file__).parents[1] / "support" / "second_client.py"
NODE_CLIENT = Path(__file__).parents[1] / "support" / "second_client_js"
SECONDS = 120
JS_EXTRAS = re.compile(r"Additional properties are not allowed \('enforce_nonce'(, 'tts')? (was|were) unexpected\)$")


class Talk:
    """A client in a process of its own, and what it says about itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, word: bytes) -> None:
        """Its own lines, past those of its log."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while (line := await self.process.stdout.readline()).strip() != word:
                assert line, "it has ended"


async def install(*command: str | Path) -> None:
    """Run an installer; the test is skipped when it cannot reach its index."""
    try:
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        pytest.skip(f"{command[0]} could not install: {(problem.stderr or b'').decode()[-300:]}")


async def drive(standin: StandIn, *command: str | Path, form: bool, env: Mapping[str, str] | None = None) -> None:
    channel = standin.guild("Darkroom").channel("studio")
    assert channel.guild is not None
    ada = channel.guild.member("Ada")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    bot = Talk(process)
    try:
        await bot.says(b"ready")
        asked = await standin.slash(ada, channel, "draw")
        done = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
        assert (done.content, done.attachments[0].filename) == ("drawn", "one.png")
        await bot.says(b"drawn")
        pressed = await standin.click(ada, done, "Again")
        answer = await pressed.message()
        assert (answer.content, answer.ephemeral) == ("pressed", True)
        await bot.says(b"pressed")
        if form:
            opened = await standin.click(ada, done, "Form")
            sent = await standin.submit(ada, opened, {"words": "a red apple"})
            assert (await sent.message()).content == "a red apple"
            await bot.says(b"read")
    finally:
        process.kill()
        await process.wait()


async def test_hikari_draws_and_answers_a_button(tmp_path: Path) -> None:
    """Logs in, registers a command, defers, sends a picture, answers a press: every body as Discord describes it."""
    await install(sys.executable, "-m", "pip", "install", "-q", "--target", tmp_path, HIKARI)
    async with StandIn(token=TOKEN) as standin:
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        await drive(standin, sys.executable, PROGRAM, standin.api_base, standin.token, form=False, env=env)
    assert not standin.violations, "\n".join(map(str, standin.violations))


async def test_discord_js_draws_answers_a_button_and_reads_a_form(tmp_path: Path) -> None:
    """The same in another language, and a modal there and back."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed")
    for file in NODE_CLIENT.iterdir():
        shutil.copy(file, tmp_path)
    await install(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", tmp_path)
    async with StandIn(token=TOKEN) as standin:
        api = standin.api_base.removesuffix("/v10")
        await drive(standin, node, tmp_path / "client.js", api, standin.token, form=True)
    # What discord.js sends with every message, and Discord passes over, although its description does not know it.
    found = [str(each) for each in standin.violations if not JS_EXTRAS.search(each.problem)]
    assert not found, "\n".join(found)
