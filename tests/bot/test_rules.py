"""The bot under SimCord, which refuses what Discord refuses: double answers, unsynced commands, missing permissions.

SimCord waits after each action until the bot rests. Followers never rest, so here they run outside its view.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import discord
import pytest
import simcord
from botkit import WORDS, Easel, a_worker, in_state, told, until
from simcord import _runtime  # which work SimCord waits for; 3.2.1 has no public name for it

from daguerre.bot.client import Backend, DaguerreClient
from daguerre.bot.message.delivery import Delivery
from daguerre.bot.message.follow import Followers
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import Job, JobState

pytest_plugins = ("botfixtures",)


class UnwatchedFollowers(Followers):
    """Followers that SimCord does not wait for."""

    def follow(self, job: Job, shown: object = None) -> None:
        context = contextvars.copy_context()
        context.run(_runtime._BOT_SCOPE.set, None)
        context.run(super().follow, job, shown)


def a_client(queue: Queue, folder: Path) -> DaguerreClient:
    # SimCord waits for every task of the bot, and the lease is kept for ever.
    options = DiscordOptions(token_lease=False)
    client = DaguerreClient(options, Backend(queue, folder, WORDS))
    followers = UnwatchedFollowers(queue, Delivery(client), WORDS, options.edit_interval_seconds)
    client.services = replace(client.services, followers=followers)
    return client


@asynccontextmanager
async def a_world(queue: Queue, folder: Path) -> AsyncGenerator[simcord.Env]:
    async with simcord.run(a_client(queue, folder)) as env:
        yield env


async def test_a_prompt_becomes_a_picture_within_discords_rules(queue: Queue, tmp_path: Path) -> None:
    """One answer, edited; attachments that were really sent; no ping."""
    async with a_world(queue, tmp_path) as env, a_worker(queue, Easel()):
        guild = env.create_guild()
        channel = guild.create_text_channel("studio")
        ada = guild.add_member(env.create_user("ada"))
        result = await ada.slash(channel, "imagine", prompt="a red apple", count=2, seed=5)
        assert result.acknowledged
        assert not result.deferred
        assert not result.ephemeral
        await told(queue)
        message = channel.last_message
        assert message is not None
        assert [found.filename for found in message.attachments] == ["daguerre-5-grid.png"]
        assert "a red apple" in str(message.attachments[0].description)
        assert "a red apple" in message.content
        assert len(message.components) == 3
        assert message.mentions == []


async def test_refusals_are_private_and_make_no_job(queue: Queue, tmp_path: Path) -> None:
    """Nobody else sees them, and the channel stays empty."""
    async with a_world(queue, tmp_path) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("studio")
        ada = guild.add_member(env.create_user("ada"))
        result = await ada.slash(channel, "imagine", prompt="zzzzqqqq")
        assert result.ephemeral
        assert result.response is not None
        assert "I know none of these words" in result.response.content
        assert await queue.pending_notifications() == []


async def test_settings_are_hidden_from_ordinary_members(queue: Queue, tmp_path: Path) -> None:
    """Discord does not even offer the command; managers get it, and only in servers."""
    async with a_world(queue, tmp_path) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("studio")
        managers = guild.create_role("Managers", permissions=discord.Permissions(manage_guild=True))
        mona = guild.add_member(env.create_user("mona"), roles=[managers])
        ada = guild.add_member(env.create_user("ada"))
        assert "settings set" not in ada.available_commands(channel)
        assert "settings set" in mona.available_commands(channel)

        result = await mona.slash(channel, "settings set", steps=9, size=128)
        assert result.ephemeral
        assert result.response is not None
        assert "Steps: 9" in result.response.content
        assert (await queue.server_settings.get(str(guild.id))).size == 128


async def test_a_member_whom_a_server_lets_in_is_still_refused(queue: Queue, tmp_path: Path) -> None:
    """A server can offer the command to everybody; the handler asks for Manage Server all the same."""
    async with a_world(queue, tmp_path) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("studio")
        ada = guild.add_member(env.create_user("ada"))
        command = next(found for found in await env.bot.tree.fetch_commands() if found.name == "settings")
        guild.set_command_permissions(command, {ada: True})
        result = await ada.slash(channel, "settings set", steps=9)
        assert result.ephemeral
        assert result.response is not None
        assert "Manage Server" in result.response.content
        assert await queue.server_settings.changes(str(guild.id)) == ()


async def test_the_button_lives_through_a_restart(queue: Queue, tmp_path: Path) -> None:
    """A new process finds the job in the button itself."""
    async with a_world(queue, tmp_path) as env:
        guild = env.create_guild()
        channel = guild.create_text_channel("studio")
        ada = guild.add_member(env.create_user("ada"))
        await ada.slash(channel, "imagine", prompt="a red apple")
        await env.restart_bot(a_client(queue, tmp_path))
        message = channel.last_message
        assert message is not None
        await ada.click(message, label="Cancel")
        await until(lambda: in_state(queue, JobState.CANCELLED))
        await told(queue)
        assert "Cancelled" in channel.last_message.content


async def test_in_private_there_are_no_settings(queue: Queue, tmp_path: Path) -> None:
    """/imagine works in a direct message, /settings is not offered there."""
    async with a_world(queue, tmp_path) as env, a_worker(queue, Easel()):
        guild = env.create_guild()
        zoe = env.create_user("zoe")
        guild.add_member(zoe)
        result = await zoe.slash("imagine", prompt="a red apple")
        assert result.acknowledged
        await told(queue)
        with pytest.raises(Exception, match="settings"):
            await zoe.slash("settings view")
