"""What `daguerre doctor` asks Discord: whether the token is good, whose it is, the invite link, gateway, time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from ..bot.invite import invite_link
from ..bot.options import DiscordOptions
from .finding import Finding

#: Where discord.py looks by itself.
DISCORD_API = "https://discord.com/api/v10"
PORTAL = "https://discord.com/developers/applications"
#: Seconds by which this machine's clock may differ from Discord's: answers are counted in seconds, tokens in minutes.
CLOCK_WARN, CLOCK_FAIL = 5.0, 60.0
#: Starts of a day that should be left.
STARTS_LEFT = 20
_TROUBLE = (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError)


async def look_at_discord(options: DiscordOptions, token: str | None) -> AsyncIterator[Finding]:
    """Its address first, which needs no token; then what the token opens."""
    base = (options.api_base or DISCORD_API).rstrip("/")
    headers = {"User-Agent": "DiscordBot (https://github.com, daguerre doctor)"}
    timeout = aiohttp.ClientTimeout(total=8)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True, headers=headers) as session:
        try:
            async with session.get(f"{base}/gateway") as answer:
                gateway = options.gateway or str((await answer.json())["url"])
                date = answer.headers.get("Date", "")
        except _TROUBLE as error:
            yield Finding(
                "warn", "discord", f"{base} does not answer ({_reason(error)}): without network the bot stays off",
                "check this machine's network, name service and firewall (outgoing HTTPS), and [discord] api_base",
            )  # fmt: skip
            return
        yield Finding("ok", "discord", f"{base} answers")
        yield clock(date, time.time())
        yield await greeted(session, gateway)
        if token:
            async for finding in application(session, base, token, options):
                yield finding


def clock(date: str, now: float) -> Finding:
    """How far this machine's clock is from that of Discord, whose answer came with `date`."""
    try:
        apart = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return Finding("warn", "clock", "not compared: Discord's answer says no time")
    # The header knows whole seconds.
    text = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} Discord's" if abs(apart) > 1.5 else "is right"
    if abs(apart) < CLOCK_WARN:
        return Finding("ok", "clock", text)
    remedy = "let the system set it (timedatectl set-ntp true): answers to members are timed by it"
    return Finding("fail" if abs(apart) > CLOCK_FAIL else "warn", "clock", text, remedy)


async def greeted(session: aiohttp.ClientSession, gateway: str) -> Finding:
    """Whether the gateway says hello over a WebSocket, which some firewalls and proxies do not let through."""
    try:
        async with session.ws_connect(f"{gateway.rstrip('/')}/?v=10&encoding=json") as socket:
            said = await socket.receive_json(timeout=8)
            if said["op"] == 10:
                return Finding("ok", "gateway", f"{gateway} says hello")
            reason = "it says something else"
    except _TROUBLE as error:
        reason = _reason(error)
    return Finding(
        "fail", "gateway", f"{gateway} does not say hello ({reason})",
        "outgoing WebSocket connections must be let through; [discord] gateway names another address",
    )  # fmt: skip


async def application(
    session: aiohttp.ClientSession, base: str, token: str, options: DiscordOptions
) -> AsyncIterator[Finding]:
    """Whose token it is, what that application may do, and how it is invited."""
    try:
        status, about = await _get(session, f"{base}/applications/@me", token)
        if status == 401:
            yield Finding(
                "fail", "token", "Discord does not know DISCORD_TOKEN",
                f"press Reset Token on the Bot page of your application at {PORTAL} and use the new one",
            )  # fmt: skip
            return
        number, name = int(about["id"]), str(about["name"])
        yield Finding("ok", "token", f"is that of {name}, application {number}")
        yield intents(about)
        if about.get("interactions_endpoint_url"):
            yield Finding(
                "fail", "interactions", f"Discord sends them to {about['interactions_endpoint_url']}, not to this bot",
                f"empty Interactions Endpoint URL on the General page at {PORTAL}",
            )  # fmt: skip
        if about.get("bot_require_code_grant"):
            yield Finding(
                "fail", "invite", "the application requires a code grant, so no invitation works",
                f"switch Requires OAuth2 Code Grant off on its Bot page at {PORTAL}",
            )  # fmt: skip
        else:
            who = "" if about.get("bot_public", True) else " (only you: Public Bot is off)"
            yield Finding("ok", "invite", f"{invite_link(number)}{who}")
        _, told = await _get(session, f"{base}/gateway/bot", token)
        yield starts(told, options.shards)
    except _TROUBLE as error:
        yield Finding("warn", "token", f"could not be tried: {_reason(error)}", "run doctor again")


def intents(about: dict[str, Any]) -> Finding:
    """Which privileged intents the application has: none is needed."""
    flags = int(about.get("flags") or 0)
    names = {"presence": 3 << 12, "members": 3 << 14, "message content": 3 << 18}
    extra = [name for name, bits in names.items() if flags & bits]
    if extra:
        return Finding(
            "ok", "intents", f"guilds and reactions are used; {', '.join(extra)} is switched on and not needed"
        )
    return Finding("ok", "intents", "guilds and reactions are used; no privileged intent is needed")


def starts(told: dict[str, Any], shards: int) -> Finding:
    """Whether there are enough connections, and enough starts left for today."""
    limit, wanted = told["session_start_limit"], int(told["shards"])
    left = int(limit["remaining"])
    if left < STARTS_LEFT:
        hours = int(limit["reset_after"]) / 3_600_000
        return Finding(
            "fail" if left < shards else "warn", "sessions", f"{left} starts are left for the next {hours:.0f} h",
            "something starts this bot again and again: look at its log, and for another bot with this token",
        )  # fmt: skip
    if shards < wanted and wanted > 1:
        return Finding(
            "warn", "sessions", f"Discord recommends {wanted} connections, [discord] shards says {shards}",
            f"set [discord] shards = {wanted}",
        )  # fmt: skip
    return Finding("ok", "sessions", f"{left} of {limit['total']} starts are left for today, connections: {shards}")


async def _get(session: aiohttp.ClientSession, url: str, token: str) -> tuple[int, dict[str, Any]]:
    async with session.get(url, headers={"Authorization": f"Bot {token}"}) as answer:
        if answer.status not in (200, 401):
            raise ValueError(f"{url} answers with HTTP {answer.status}")
        return answer.status, await answer.json()


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__} {error}".strip()
