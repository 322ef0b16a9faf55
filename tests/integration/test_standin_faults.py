"""discord.py against the stand-in when requests go wrong on purpose."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import discord
import pytest
from standin.client import running
from standin.driver import StandIn
from standin.sample import SampleBot

MESSAGES = "POST /channels/*/messages"


async def test_rate_limits_are_waited_out(standin: StandIn) -> None:
    """A 429 with `Via` is slept out and repeated, for one route or all; one like Cloudflare's is an error at once."""
    channel = standin.guild().channel("studio")
    async with running(SampleBot(), standin) as bot:
        there = bot.get_partial_messageable(channel.id)
        for scope in ("user", "global"):
            limit = standin.rate_limit(MESSAGES, 0.2, scope=scope)
            begun = time.monotonic()
            await there.send(scope)
            assert limit.hits == 1
            assert time.monotonic() - begun >= 0.2
        standin.rate_limit(MESSAGES, cloudflare=True)
        with pytest.raises(discord.HTTPException) as caught:
            await there.send("x")
        assert caught.value.status == 429
    assert [call.status for call in standin.calls(MESSAGES)] == [429, 200, 429, 200, 429]


async def test_the_headers_of_a_bucket_are_enough(standin: StandIn) -> None:
    """A client that reads the headers never meets a 429, however fast it wants to send."""
    channel = standin.guild().channel("studio")
    standin.rest.limits.usual["POST /channels/{channel_id}/messages"] = (2, 0.4)
    async with running(SampleBot(), standin) as bot:
        there = bot.get_partial_messageable(channel.id)
        await there.send("first, for its headers")
        await asyncio.gather(*(there.send(str(number)) for number in range(5)))
    assert standin.rest.limits.refusals == 0
    assert len(standin.messages(channel)) == 6


async def test_a_client_that_ignores_the_headers_is_refused(standin: StandIn) -> None:
    """The sixth request of five allowed ones gets a true 429, with how long to wait."""
    channel = standin.guild().channel("studio")
    headers = {"Authorization": f"Bot {standin.token}", "User-Agent": "DiscordBot (https://example.org, 1)"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(6):
            async with session.post(f"{standin.api_base}/channels/{channel.id}/messages", json={"content": "x"}) as got:
                assert got.headers["X-RateLimit-Remaining"] == str(max(4 - number, 0))
                assert got.status == (200 if number < 5 else 429)
                body = await got.json()
    assert 0 < body["retry_after"] <= 5
    assert got.headers["Via"]


async def test_errors_and_cut_connections(standin: StandIn) -> None:
    """A 500 is repeated by the client, a cut connection is not; `after` faults leave the work done."""
    channel = standin.guild().channel("studio")
    async with running(SampleBot(), standin) as bot:
        there = bot.get_partial_messageable(channel.id)
        failure = standin.fail(MESSAGES, 500)
        await there.send("repeated")
        assert failure.hits == 1
        standin.fail(MESSAGES, 403, code=50013, after=True)
        with pytest.raises(discord.Forbidden):
            await there.send("done all the same")
        standin.drop(MESSAGES)
        with pytest.raises(aiohttp.ClientError):
            await there.send("never")
        slow = standin.slow(MESSAGES, 0.2)
        await there.send("late")
        await slow.hit()
    assert [message.content for message in standin.messages(channel)] == ["repeated", "done all the same", "late"]


async def test_a_wrong_token_and_an_unknown_route(standin: StandIn) -> None:
    """401 for another token; a route that the stand-in does not have is reported."""
    with pytest.raises(discord.LoginFailure):
        async with running(SampleBot(), standin, token="wrong"):
            pass
    async with aiohttp.ClientSession() as session, session.get(f"{standin.api_base}/voice/regions") as response:
        assert response.status == 404
    standin.expect_violation("/voice/regions")
