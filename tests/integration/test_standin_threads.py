"""discord.py against the stand-in: threads and forums, asleep, locked and private."""

from __future__ import annotations

import discord
import pytest
from botkit import until
from standin.client import running
from standin.driver import StandIn
from standin.sample import SampleBot, picture


async def test_a_thread_wakes_up_by_a_message_and_by_nothing_else(standin: StandIn) -> None:
    """50083 for an edit in an archived thread; a new message opens it, and then edits work again."""
    guild = standin.guild()
    thread = guild.channel("studio").thread("apples")
    async with running(SampleBot(), standin) as bot:
        there = bot.get_partial_messageable(thread.id)
        first = await there.send("one", file=picture())
        thread.state(archived=True)
        with pytest.raises(discord.HTTPException) as caught:
            await first.edit(content="two")
        assert caught.value.code == 50083
        await there.send("three")
        assert not thread.archived
        await first.edit(content="four")
    assert [each.content for each in standin.messages(thread)] == ["four", "three"]


async def test_a_locked_thread_takes_nothing_new(standin: StandIn) -> None:
    """160005 for a message; what stands there can still be edited."""
    guild = standin.guild()
    thread = guild.channel("studio").thread("apples")
    async with running(SampleBot(), standin) as bot:
        there = bot.get_partial_messageable(thread.id)
        first = await there.send("one")
        thread.state(locked=True)
        with pytest.raises(discord.HTTPException) as caught:
            await there.send("two")
        assert caught.value.code == 160005
        await first.edit(content="three")
    assert [each.content for each in standin.messages(thread)] == ["three"]


async def test_a_forum_takes_no_message_and_its_posts_do(standin: StandIn) -> None:
    """50008 in the forum itself; 50001 in a private thread that the bot was not added to."""
    guild = standin.guild()
    forum = guild.channel("ideas", forum=True)
    post, secret = forum.thread("apples"), guild.channel("studio").thread("secret", private=True)
    async with running(SampleBot(), standin) as bot:

        async def code(number: int) -> int:
            with pytest.raises(discord.HTTPException) as caught:
                await bot.get_partial_messageable(number).send("x")
            return caught.value.code

        assert await code(forum.id) == 50008
        assert await code(secret.id) == 50001
        await bot.get_partial_messageable(post.id).send("here")
        seen = await bot.fetch_channel(post.id)
        assert isinstance(seen, discord.Thread)
        assert isinstance(await bot.fetch_channel(forum.id), discord.ForumChannel)
    assert [each.content for each in standin.messages(post)] == ["here"]


async def test_servers_bring_their_open_threads(standin: StandIn) -> None:
    """GUILD_CREATE names those that are open and that the bot may see; changes are announced."""
    guild = standin.guild()
    studio = guild.channel("studio")
    early, asleep, secret = studio.thread("early"), studio.thread("asleep"), studio.thread("secret", private=True)
    asleep.state(archived=True)
    bot = SampleBot()
    async with running(bot, standin):
        await bot.wait_until_ready()
        known = bot.get_guild(guild.id)
        assert known is not None
        assert known.get_thread(early.id) is not None
        assert known.get_thread(asleep.id) is None
        assert known.get_thread(secret.id) is None
        late = studio.thread("late")
        early.delete()
        await until(lambda: known.get_thread(late.id) and not known.get_thread(early.id), 5)
