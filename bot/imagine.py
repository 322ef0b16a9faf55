"""/imagine: the prompt with its flags, and the same as options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from ..queue.pictures import size_of
from ..queue.prompt import custom_alone, names, say
from ..queue.records import FLAGS, MAX_PROMPT, MOST_REQUESTS, Flag, Source
from ..queue.store import Preferences, ServerSettings
from .ask import PRIVATE_SERVER, Order, ask
from .cards import shorten
from .confirm import confirm_view
from .errors import Refused
from .guard import guarded, log_error
from .language import speaks
from .moderation_checks import check_amount
from .pictures import is_blurred, keep_attachment, keep_emoji, keep_link
from .texts import text
from .wishes import UNCONFIRMED, Beginning, check_weight, orders, question, said_again, wishes

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Discord shows at most 25 suggestions of 100 characters.
SUGGESTIONS, SUGGESTION = 25, 100
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "2:1", "1:2")
#: Longest prompt with its flags.
TYPED = 2 * MAX_PROMPT
#: Options of the command that are flags too, in the order in which Discord offers them; a new one comes last.
ORDER = (
    *("count", "aspect", "no", "style", "seed", "image_weight", "fit", "stylize", "chaos", "quality", "steps", "stop"),
    *("tile", "draft", "transparent", "raw", "model", "lora", "repeat", "relaxed"),
)
FLAG_OPTIONS = sorted(FLAGS, key=lambda flag: ORDER.index(flag.option) if flag.option in ORDER else len(ORDER))
#: The picture to begin from stands before the flags about it.
BEFORE_IMAGE = "image_weight"


def add_imagine(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command as Discord shows it."""

    parameters = [
        Parameter("interaction", Parameter.POSITIONAL_OR_KEYWORD, annotation=discord.Interaction),
        Parameter("prompt", Parameter.POSITIONAL_OR_KEYWORD, annotation=app_commands.Range[str, 1, TYPED]),
    ]
    for flag in FLAG_OPTIONS:
        if flag.option == BEFORE_IMAGE:
            parameters.append(_optional("image", discord.Attachment))
        parameters.append(_optional(flag.option, _option_type(flag)))

    async def imagine(interaction: Asked, prompt: str, image: discord.Attachment | None = None, **options: Any) -> None:
        await guarded(interaction, lambda: handle(interaction, prompt, options, image))

    # discord.py reads the options from the signature, so that a flag of the grammar is an option by itself.
    imagine.__signature__ = Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    described = [parameter.name for parameter in parameters[1:]]
    for decorate in (
        app_commands.describe(**{option: text(f"command.imagine.{option}") for option in described}),
        app_commands.choices(**{flag.option: _choices_of(flag) for flag in FLAG_OPTIONS if flag.choices}),
        app_commands.allowed_installs(guilds=True, users=True),
        app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True),
    ):
        decorate(imagine)
    command = tree.command(name="imagine", description=text("command.imagine"))(imagine)
    command.autocomplete("prompt")(last_prompts)
    command.autocomplete("style")(known_styles)
    command.autocomplete("model")(known_models)
    command.autocomplete("aspect")(usual_aspects)


def _optional(name: str, of: Any) -> Parameter:
    usual = False if of is bool else None
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=usual, annotation=of if of is bool else of | None)


def _choices_of(flag: Flag) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=text(f"name.{flag.field}.{one}"), value=one) for one in flag.choices]


def _option_type(flag: Flag) -> Any:
    """As discord.py says what an option takes."""
    match flag.kind:
        case "switch":
            return bool
        case "whole":
            return app_commands.Range[int, int(flag.low), int(flag.high)]
        case "number":
            return app_commands.Range[float, float(flag.low), float(flag.high)]
        case "words":
            return app_commands.Range[str, 1, MAX_PROMPT]
        case "ratio":
            return str
        case "name":
            return str if flag.choices else app_commands.Range[str, 1, 100]


async def handle(
    interaction: Asked,
    prompt: str,
    options: Mapping[str, Any],
    image: discord.Attachment | None = None,
    *,
    link: str = "",
    begun: Beginning | None = None,
    as_typed: bool = False,
    confirmed: bool = False,
) -> None:
    """One prompt with its options; `link` names a picture to fetch, `begun` what is there to begin from already.

    `as_typed`: without what the member prefers, which stands in the prompt already.

    Raises:
        Refused, QueueError: nothing was queued.
    """
    known = interaction.client.services.queue.members.known(str(interaction.user.id))
    found = wishes(prompt, options, Preferences() if as_typed else known)
    begun = begun or Beginning()
    if len(found) > MOST_REQUESTS:
        raise Refused("problem.too_many", count=len(found), most=MOST_REQUESTS)
    if len(found) > UNCONFIRMED and not confirmed:
        content = {"prompt": prompt, "options": dict(options), "link": link, "as_typed": as_typed, **_kept(begun)}
        await _ask_back(interaction, content, image, len(found))
        return

    async def make(settings: ServerSettings) -> list[Order]:
        check_amount(settings, len(found), options)
        there = image.url if image is not None else link or next((wish.link for wish in found if wish.link), "")
        if image is not None:
            kept = await keep_attachment(interaction, image)
        elif there:
            kept = await keep_link(interaction, there)
        elif not begun.picture and begun.source is None and (alone := custom_alone(found[0].prompt)) is not None:
            kept = await keep_emoji(interaction, *alone)
        else:
            kept = ""
        brought = replace(begun, picture=kept, blurred=begun.blurred or is_blurred(there)) if kept else begun
        if not brought.picture and brought.source is None:
            check_weight(prompt, options)
        if name := brought.picture:
            brought = replace(brought, shape=size_of(await interaction.client.services.queue.source(name)))
        return orders(found, settings, brought)

    await ask(interaction, make)


def _kept(begun: Beginning) -> dict[str, Any]:
    """As a draft keeps it."""
    return {
        "picture": begun.picture,
        "blurred": begun.blurred,
        "source": None if begun.source is None else begun.source.model_dump(mode="json"),
        "origin": None if begun.origin is None else list(begun.origin),
    }


def _begun(content: Mapping[str, Any]) -> Beginning:
    """What `_kept` kept; drafts of an earlier version say less."""
    source, origin = content.get("source"), content.get("origin")
    return Beginning(
        picture=str(content.get("picture") or ""),
        blurred=bool(content.get("blurred")),
        source=None if source is None else Source.model_validate(source),
        origin=None if origin is None else (str(origin[0]), int(origin[1]), str(origin[2])),
    )


async def _ask_back(
    interaction: Asked, content: Mapping[str, Any], image: discord.Attachment | None, number: int
) -> None:
    """Many jobs of one prompt are wanted twice."""
    locale = speaks(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    if image is not None:
        kept = await keep_attachment(interaction, image)
        content = {**content, "picture": kept, "blurred": is_blurred(image.url)}
    draft = await interaction.client.services.queue.members.keep_draft(str(interaction.user.id), content)
    await interaction.edit_original_response(content=question(number, locale), view=confirm_view(draft, locale))


async def go_ahead(interaction: Asked, draft: str) -> None:
    """The member said yes. Raises: Refused when that was said before."""
    content = await interaction.client.services.queue.members.take_draft(draft, str(interaction.user.id))
    if content is None:
        raise Refused("confirm.gone")
    await handle(
        interaction,
        content["prompt"],
        content["options"],
        link=str(content.get("link") or ""),
        begun=_begun(content),
        as_typed=bool(content.get("as_typed")),
        confirmed=True,
    )


# ---- suggestions: none rather than an error, for nobody would see one


async def last_prompts(interaction: Asked, typed: str) -> list[app_commands.Choice[str]]:
    """The member's own last prompts, with their flags."""
    try:
        jobs = await interaction.client.services.queue.members.last_requests(str(interaction.user.id))
        usual = interaction.client.services.settings.known(str(interaction.guild_id or PRIVATE_SERVER))
        said = (say(said_again(job.request, usual)) for job in jobs)
        return _choices(said, typed)
    except Exception as error:
        log_error("suggesting prompts broke", error, private=(typed,))
        return []


async def known_styles(interaction: Asked, typed: str) -> list[app_commands.Choice[str]]:
    known = names.known_styles(interaction.client.services.vocabulary)
    return _choices(names.STYLES if known is None else known, typed)


async def known_models(interaction: Asked, typed: str) -> list[app_commands.Choice[str]]:
    """What the connected workers have."""
    workers = await interaction.client.services.queue.workers()
    return _choices(sorted({model for worker in workers for model in worker.models}), typed)


async def usual_aspects(interaction: Asked, typed: str) -> list[app_commands.Choice[str]]:
    return _choices(ASPECTS, typed)


def _choices(found: Any, typed: str) -> list[app_commands.Choice[str]]:
    wanted = typed.casefold().strip()
    fitting = dict.fromkeys(words for words in found if wanted in words.casefold() and len(words) <= SUGGESTION)
    return [app_commands.Choice(name=shorten(words, SUGGESTION), value=words) for words in list(fitting)[:SUGGESTIONS]]
