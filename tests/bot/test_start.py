"""Starts that fail, and what a running bot leaves alone: Discord's command limits, and secrets in the log.

Discord is the stand-in on real sockets, the queue is real (SQLite, nats-server), the worker paints plain pictures.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from botkit import Easel, a_bot, a_worker, told, until
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.bot.client import Backend, DaguerreClient
from daguerre.bot.errors import ApiUnreachable, BadToken, GatewayRefused, GatewayUnreachable, IntentsRefused
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.queue import Queue

pytest_plugins = ("botfixtures",)
ORIGINAL = "PATCH /webhooks/*/*/messages/@original"


@pytest.mark.parametrize("token", ["wrong", "", " "])
async def test_a_wrong_token_says_where_to_get_one(token: str, standin: StandIn, queue: Queue, tmp_path: Path) -> None:
    """Not a traceback of the library; without any token Discord is not even asked."""
    with pytest.raises(BadToken, match="Reset Token"):
        async with a_bot(standin, queue, tmp_path, token=token):
            pass
    assert bool(standin.requests) == bool(token.strip())


async def test_an_address_where_nobody_answers_is_named(
    standin: StandIn, queue: Queue, tmp_path: Path, unused_tcp_port: int
) -> None:
    """REST and gateway apart, with the setting that holds each."""
    nobody = f"127.0.0.1:{unused_tcp_port}"
    with pytest.raises(ApiUnreachable, match=r"api_base") as api:
        async with a_bot(standin, queue, tmp_path, api_base=f"http://{nobody}/api/v10"):
            pass
    assert nobody in str(api.value)
    with pytest.raises(GatewayUnreachable, match=r"\[discord\] gateway"):
        async with a_bot(standin, queue, tmp_path, gateway=f"ws://{nobody}/"):
            pass


@pytest.mark.parametrize(("code", "error"), [(4004, BadToken), (4014, IntentsRefused), (4011, GatewayRefused)])
async def test_a_gateway_that_refuses_for_good_ends_the_bot(
    code: int, error: type[Exception], standin: StandIn, queue: Queue, tmp_path: Path
) -> None:
    """Trying again would not help, and would get the address banned."""
    standin.refuse_identify = code
    with pytest.raises(error, match=r"Daguerre|DISCORD_TOKEN"):
        async with a_bot(standin, queue, tmp_path):
            pass


async def test_a_connection_that_breaks_while_the_bot_stops_is_not_talked_about(queue: Queue, tmp_path: Path) -> None:
    """A closed client has no loop any more to run handlers on: discord.py would leave a coroutine behind."""
    client = DaguerreClient(DiscordOptions(), Backend(queue, tmp_path))
    async with client:
        client.connected.set()
        client.dispatch("disconnect")
        await until(lambda: not client.connected.is_set())
    client.connected.set()
    client.dispatch("disconnect")
    assert client.connected.is_set()


async def test_commands_are_registered_only_when_they_changed(standin: StandIn, queue: Queue, tmp_path: Path) -> None:
    """Discord allows 200 registrations a day. Without the note of the last one they are registered again."""
    for _ in range(2):
        async with a_bot(standin, queue, tmp_path):
            await standin.wait_for_commands("imagine", "settings")
    assert standin.command_writes == 1
    (tmp_path / "discord-commands.sha256").unlink()
    async with a_bot(standin, queue, tmp_path):
        pass
    assert standin.command_writes == 2


async def test_tokens_and_prompts_stay_out_of_the_log(
    standin: StandIn,
    queue: Queue,
    easel: Easel,
    tmp_path: Path,
    studio: Channel,
    ada: Member,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the level that runs in production, whatever goes wrong."""
    caplog.set_level(logging.INFO)
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a very private apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.drop(ORIGINAL)
        easel.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert "private apple" not in caplog.text
    assert standin.token not in caplog.text
    assert asked.interaction.token not in caplog.text
