"""discord.py against the stand-in's gateway: compression, resume with replay, invalid sessions, refusals, restart."""

from __future__ import annotations

from typing import Any

import aiohttp
import discord
import pytest
from standin.client import running
from standin.driver import StandIn
from standin.sample import SampleBot

Interaction = discord.Interaction[Any]


async def answer(interaction: Interaction, prompt: str) -> None:
    await interaction.response.send_message(f"drawn {prompt}")


async def test_servers_arrive_and_change(standin: StandIn) -> None:
    """Servers come after READY, over a compressed stream; channels and servers made later are announced."""
    guild = standin.guild("Darkroom")
    guild.channel("studio")
    async with running(SampleBot(answer, guild_ready_timeout=0.1), standin) as bot:
        await bot.wait_until_ready()
        assert [each.name for each in bot.guilds] == ["Darkroom"]
        later = standin.guild("Later").channel("lounge")
        record = await standin.slash(later.guild.member("Ada"), later, "draw", prompt="x")
        await record.message()
        here = bot.get_channel(later.id)
        assert isinstance(here, discord.TextChannel)
        assert not here.permissions_for(here.guild.me).manage_messages
        assert here.permissions_for(here.guild.me).attach_files


@pytest.mark.parametrize("how", ["dropped", "asked to reconnect", "closed"])
async def test_missed_events_are_replayed(standin: StandIn, how: str) -> None:
    """What happens while the bot is away reaches it after RESUME, once."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    async with running(SampleBot(answer), standin):
        await (await standin.slash(ada, channel, "draw", prompt="before")).message()
        if how == "dropped":
            standin.drop_gateway()
        elif how == "closed":
            standin.close_gateway(4000)
        else:
            standin.reconnect_gateway()
        record = await standin.slash(ada, channel, "draw", prompt="meanwhile", away=True)
        assert (await record.message(timeout=15)).content == "drawn meanwhile"
        await standin.resumed(1)
    assert standin.identifies == 1
    assert [message.content for message in standin.messages(channel)] == ["drawn before", "drawn meanwhile"]


async def test_an_invalid_session_identifies_again(standin: StandIn) -> None:
    """Op 9 without resume: a new IDENTIFY (discord.py waits five seconds before it)."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    async with running(SampleBot(answer), standin):
        standin.invalidate_session()
        await standin.identified(2)
        await (await standin.slash(ada, channel, "draw", prompt="x")).message()
    assert standin.resumes == 0


async def test_missing_acknowledgements_are_noticed() -> None:
    """A bot whose heartbeats get no answer takes the connection for dead, reconnects and resumes."""
    async with StandIn(heartbeat_seconds=0.3) as standin:
        async with running(SampleBot(answer, heartbeat_timeout=0.5), standin):
            standin.mute_heartbeats = True
            await standin.disconnected()
            standin.mute_heartbeats = False
            await standin.resumed(1)
        assert standin.violations == []


async def test_a_restart_keeps_what_is_known(standin: StandIn) -> None:
    """The server comes back on the same port, and the session is resumed."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    async with running(SampleBot(answer), standin):
        await (await standin.slash(ada, channel, "draw", prompt="x")).message()
        address = standin.api_base
        await standin.restart(0.2)
        assert standin.api_base == address
        await standin.resumed(1)
        await (await standin.slash(ada, channel, "draw", prompt="y")).message()
    assert len(standin.messages(channel)) == 2


async def test_refusals(standin: StandIn) -> None:
    """4014 for a privileged intent that is not approved, 4004 for a token that REST took and the gateway does not."""
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running(SampleBot(intents=discord.Intents(message_content=True)), standin):
            pass
    standin.refuse_identify = 4004
    with pytest.raises(discord.ConnectionClosed) as caught:
        async with running(SampleBot(), standin):
            pass
    assert caught.value.code == 4004


@pytest.mark.parametrize(
    ("payloads", "code"),
    [
        ([{"op": 3, "d": {}}], 4003),
        ([[]], 4002),
        ([{"op": 2, "d": {"token": "other", "intents": 1, "properties": {}}}], 4004),
        ([{"op": 2, "d": {"token": "standin-token", "intents": 1, "properties": {}}}] * 2, 4005),
        ([{"op": 2, "d": {"token": "standin-token", "intents": 1 << 40, "properties": {}}}], 4013),
        ([{"op": 2, "d": {"token": "standin-token", "intents": 1, "properties": {}, "shard": [2, 1]}}], 4010),
        ([{"op": 2, "d": {"token": "standin-token", "intents": 1, "properties": {}}}, {"op": 99, "d": None}], 4001),
    ],
)
async def test_close_codes(payloads: list[Any], code: int) -> None:
    """A client that breaks the gateway's rules is closed with the code that says which."""
    async with (
        StandIn() as standin,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{standin.gateway}?v=10&encoding=json") as socket,
    ):
        assert (await socket.receive_json())["op"] == 10
        for payload in payloads:
            await socket.send_json(payload)
        async for _ in socket:
            pass
        assert socket.close_code == code


async def test_zstandard_stream() -> None:
    """zstd-stream is one stream as well, readable after each event."""
    zstandard = pytest.importorskip("zstandard")
    async with StandIn() as standin, aiohttp.ClientSession() as session:
        stream = zstandard.ZstdDecompressor().decompressobj()
        address = f"{standin.gateway}?v=10&encoding=json&compress=zstd-stream"
        async with session.ws_connect(address) as socket:
            assert b"heartbeat_interval" in stream.decompress(await socket.receive_bytes())
            await socket.send_json({"op": 1, "d": None})
            assert stream.decompress(await socket.receive_bytes()) == b'{"op": 11}'


async def test_a_redelivered_interaction_keeps_its_id(standin: StandIn) -> None:
    """The same INTERACTION_CREATE may arrive twice; a second answer to it is refused with 40060."""
    channel = standin.guild().channel("studio")
    bot = SampleBot(answer)
    async with running(bot, standin):
        record = await standin.slash(channel.guild.member("Ada"), channel, "draw", prompt="x")
        await record.message()
        standin.redeliver(record)
        await standin.called("POST /interactions/*/*/callback", 2)
    assert [call.answer["code"] for call in standin.calls("POST /interactions/*/*/callback") if call.status == 400] == [
        40060
    ]
    assert len(standin.messages(channel)) == 1
