"""/imagine: the prompt with its flags, and the same as options."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice

from ...queue.records import FLAGS, MAX_PROMPT, Flag
from ..interaction import TYPED, CommandTree, Interaction, command, everywhere
from ..text import text
from .prompt import handle_prompt
from .suggestions import known_adapters, known_controls, known_models, known_styles, last_prompts, usual_aspects

#: Options of the command that are flags too, in the order in which Discord offers them; a new one comes last.
ORDER = (
    *("count", "aspect", "no", "style", "seed", "image_weight", "fit", "stylize", "chaos", "quality", "steps", "stop"),
    *("tile", "draft", "transparent", "svg", "raw", "model", "lora", "repeat", "relaxed"),
)
FLAG_OPTIONS = sorted(FLAGS, key=lambda flag: ORDER.index(flag.option) if flag.option in ORDER else len(ORDER))
#: The picture to begin from stands before the flags about it.
BEFORE_IMAGE = "image_weight"


def add_imagine(tree: CommandTree) -> None:
    """The command /imagine. A flag of the grammar is an option by itself; each is described by a text of its own."""
    parameters = [
        Parameter("interaction", Parameter.POSITIONAL_OR_KEYWORD, annotation=Interaction),
        Parameter("prompt", Parameter.POSITIONAL_OR_KEYWORD, annotation=app_commands.Range[str, 1, TYPED]),
    ]
    for flag in FLAG_OPTIONS:
        if flag.option == BEFORE_IMAGE:
            parameters.append(_optional("image", discord.Attachment))
        parameters.append(_optional(flag.option, _option_type(flag)))

    async def imagine(
        interaction: Interaction, prompt: str, image: discord.Attachment | None = None, **options: Any
    ) -> None:
        await handle_prompt(interaction, prompt, options, image)

    # discord.py reads the options from the signature.
    imagine.__signature__ = Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    choices = {flag.option: _choices_of(flag) for flag in FLAG_OPTIONS if flag.choices}
    texts = {parameter.name: f"command.imagine.{parameter.name}" for parameter in parameters[1:]}
    made = everywhere(command(tree, "imagine", imagine, "command.imagine", choices, **texts))
    made.autocomplete("prompt")(last_prompts)
    made.autocomplete("style")(known_styles)
    made.autocomplete("model")(known_models)
    made.autocomplete("lora")(known_adapters)
    made.autocomplete("control")(known_controls)
    made.autocomplete("aspect")(usual_aspects)


def _optional(name: str, of: Any) -> Parameter:
    usual = False if of is bool else None
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=usual, annotation=of if of is bool else of | None)


def _choices_of(flag: Flag) -> list[Choice[str]]:
    named = {one: one if flag.named else text(f"name.{flag.field}.{one}") for one in flag.choices}
    return [Choice(name=name, value=one) for one, name in named.items()]


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
