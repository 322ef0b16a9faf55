"""What is suggested while somebody types: nothing rather than an error, for nobody would see one."""

from __future__ import annotations

from typing import Any

from discord.app_commands import Choice

from ...queue.asking import said_again
from ...queue.prompt import names, say
from ..error_log import log_error
from ..interaction import Interaction, queue_of, services_of
from ..message import PRIVATE_SERVER
from ..text import shorten

#: Discord shows at most 25 suggestions of 100 characters.
SUGGESTIONS, SUGGESTION = 25, 100
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "2:1", "1:2")


async def last_prompts(interaction: Interaction, typed: str) -> list[Choice[str]]:
    """The member's own last prompts, with their flags."""
    try:
        jobs = await queue_of(interaction).members.last_requests(str(interaction.user.id))
        usual = services_of(interaction).settings.known(str(interaction.guild_id or PRIVATE_SERVER))
        workers = await queue_of(interaction).workers()
        said = (say(said_again(job.request, usual, workers)) for job in jobs)
        return _choices(said, typed)
    except Exception as error:
        log_error("suggesting prompts broke", error, private=(typed,))
        return []


async def known_styles(interaction: Interaction, typed: str) -> list[Choice[str]]:
    known = names.known_styles(services_of(interaction).vocabulary)
    return _choices(names.STYLES if known is None else known, typed)


async def known_models(interaction: Interaction, typed: str) -> list[Choice[str]]:
    """What the connected workers have."""
    workers = await queue_of(interaction).workers()
    return _choices(sorted({model for worker in workers for model in worker.models}), typed)


async def known_adapters(interaction: Interaction, typed: str) -> list[Choice[str]]:
    """The fine-tunes of the connected workers."""
    workers = await queue_of(interaction).workers()
    return _choices(sorted({name for worker in workers for name in worker.adapters or ()}), typed)


async def known_controls(interaction: Interaction, typed: str) -> list[Choice[str]]:
    """The ControlNets of the connected workers."""
    workers = await queue_of(interaction).workers()
    return _choices(sorted({name for worker in workers for name in worker.controls or ()}), typed)


async def usual_aspects(interaction: Interaction, typed: str) -> list[Choice[str]]:
    return _choices(ASPECTS, typed)


def _choices(found: Any, typed: str) -> list[Choice[str]]:
    wanted = typed.casefold().strip()
    fitting = dict.fromkeys(words for words in found if wanted in words.casefold() and len(words) <= SUGGESTION)
    return [Choice(name=shorten(words, SUGGESTION), value=words) for words in list(fitting)[:SUGGESTIONS]]
