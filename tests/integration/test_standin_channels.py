"""discord.py against the stand-in: messages sent with the bot's own token."""

from __future__ import annotations

from typing import Any

import discord
import pytest
from standin.client import running
from standin.driver import StandIn
from standin.sample import SampleBot, picture, png
from standin.world import Channel


async def partial(bot: discord.Client, channel: Channel) -> Any:
    """discord.py's handle of a channel, without its cache."""
    return bot.get_partial_messageable(channel.id)


async def test_a_nonce_sends_once(standin: StandIn) -> None:
    """`enforce_nonce` gives the first message again for some minutes; afterwards the nonce is free."""
    channel = standin.guild().channel("studio")
    async with running(SampleBot(), standin) as bot:
        there = await partial(bot, channel)
        lost = standin.drop("POST /channels/*/messages", after=True)
        with pytest.raises(OSError):
            await there.send("here", nonce="job-1", file=picture())
        again = await there.send("here", nonce="job-1", file=picture())
        assert lost.hits == 1
        assert [message.id for message in standin.messages(channel)] == [again.id]
        standin.advance(600)
        await there.send("here", nonce="job-1")
    assert len(standin.messages(channel)) == 2


async def test_permissions_and_what_is_gone(standin: StandIn) -> None:
    """50001 not visible, 50013 not allowed, 10003 and 10008 gone, 50007 no direct messages."""
    guild = standin.guild()
    hidden, silent = guild.channel("hidden", bot_lacks=["view_channel"]), guild.channel("silent")
    shy = standin.user("Shy", accepts_dms=False)
    async with running(SampleBot(), standin) as bot:

        async def code(channel: Channel, **what: Any) -> int:
            with pytest.raises(discord.HTTPException) as caught:
                await (await partial(bot, channel)).send("x", **what)
            return caught.value.code

        message = await (await partial(bot, silent)).send("x")
        assert await code(hidden) == 50001
        silent.bot_lacks = ["attach_files"]
        assert await code(silent, file=picture()) == 50013
        assert await code(standin.dm(shy)) == 50007
        standin.delete(standin.messages(silent)[0])
        with pytest.raises(discord.NotFound) as gone:
            await message.edit(content="y")
        assert gone.value.code == 10008
        silent.delete()
        assert await code(silent) == 10003


async def test_too_large_a_file(standin: StandIn) -> None:
    """413 with code 40005 above the limit of one file, of the server, or of the whole request; nothing is sent."""
    guild = standin.guild(upload_limit=len(png()) - 1)
    small, roomy = guild.channel("small"), standin.guild().channel("roomy")
    async with running(SampleBot(), standin) as bot:
        with pytest.raises(discord.HTTPException) as caught:
            await (await partial(bot, small)).send(file=picture())
        assert (caught.value.status, caught.value.code) == (413, 40005)
        await (await partial(bot, roomy)).send(file=picture())
        standin.request_limit = 100
        with pytest.raises(discord.HTTPException) as caught:
            await (await partial(bot, roomy)).send(file=picture())
        assert (caught.value.status, caught.value.code) == (413, 40005)
    assert standin.messages(small) == ()


async def test_mentions_reach_whom_they_may(standin: StandIn) -> None:
    """`AllowedMentions.none()` pings nobody; without it a mention in the text does."""
    guild = standin.guild()
    channel, ada = guild.channel("studio"), guild.member("Ada")
    async with running(SampleBot(), standin) as bot:
        there = await partial(bot, channel)
        await there.send(f"{ada.mention} @everyone", allowed_mentions=discord.AllowedMentions.none())
        await there.send(ada.mention)
    assert [message.mentions for message in standin.messages(channel)] == [(), (ada.id,)]


async def test_edit_list_and_delete(standin: StandIn) -> None:
    """A bot message is edited, found among the channel's latest, read back and deleted."""
    user = standin.user("Zoe")
    async with running(SampleBot(), standin) as bot:
        there = await (await bot.fetch_user(user.id)).create_dm()
        message = await there.send("one")
        await there.send("two", reference=message)
        await message.edit(content="three", attachments=[picture()])
        assert [each.content async for each in there.history(limit=10)] == ["two", "three"]
        assert (await there.fetch_message(message.id)).attachments[0].filename == "picture.png"
        await message.delete()
    channel = standin.dm(user)
    assert [each.content for each in standin.messages(channel)] == ["two"]
    assert [state.deleted for state in standin.history(standin.world.messages[message.id])] == [False, False, True]
