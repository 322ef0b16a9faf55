"""/imagine: the prompt with its flags, and the same as options."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice

from ...queue.grammar_flags import FITS, MOST_REQUESTS
from ...queue.requests import MAX_COUNT, MAX_PROMPT, MAX_SEED
from ..interaction import TYPED, CommandTree, Interaction, command, everywhere
from ..text import text
from .prompt import handle
from .suggestions import known_models, known_styles, last_prompts, usual_aspects

#: Options that describe themselves: `command.imagine.<option>`.
OPTIONS = (
    "prompt", "count", "aspect", "no", "style", "seed", "image", "image_weight", "fit", "stylize", "chaos", "quality",
    "steps", "stop", "tile", "draft", "transparent", "raw", "model", "lora", "repeat", "relaxed",
)  # fmt: skip


def add_imagine(tree: CommandTree) -> None:
    """The command /imagine."""
    texts = {option: f"command.imagine.{option}" for option in OPTIONS}
    choices = {"fit": [Choice(name=text(f"name.fit.{one}"), value=one) for one in FITS]}
    made = everywhere(command(tree, "imagine", imagine, "command.imagine", choices, **texts))
    made.autocomplete("prompt")(last_prompts)
    made.autocomplete("style")(known_styles)
    made.autocomplete("model")(known_models)
    made.autocomplete("aspect")(usual_aspects)


async def imagine(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, TYPED],
    count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
    aspect: str | None = None,
    no: app_commands.Range[str, 1, MAX_PROMPT] | None = None,
    style: app_commands.Range[str, 1, 100] | None = None,
    seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
    image: discord.Attachment | None = None,
    image_weight: app_commands.Range[float, 0.0, 3.0] | None = None,
    fit: Choice[str] | None = None,
    stylize: app_commands.Range[float, 0.0, 1000.0] | None = None,
    chaos: app_commands.Range[int, 0, 100] | None = None,
    quality: app_commands.Range[float, 0.25, 4.0] | None = None,
    steps: app_commands.Range[int, 1, 100] | None = None,
    stop: app_commands.Range[int, 10, 100] | None = None,
    tile: bool = False,
    draft: bool = False,
    transparent: bool = False,
    raw: bool = False,
    model: app_commands.Range[str, 1, 100] | None = None,
    lora: app_commands.Range[str, 1, 100] | None = None,
    repeat: app_commands.Range[int, 1, MOST_REQUESTS] | None = None,
    relaxed: bool = False,
) -> None:
    """One prompt, with its options. Raises: Refused, QueueError."""
    options = {
        "count": count, "aspect": aspect, "no": no, "style": style, "seed": seed, "image_weight": image_weight,
        "fit": fit and fit.value, "stylize": stylize, "chaos": chaos, "quality": quality, "steps": steps,
        "stop": stop, "tile": tile, "draft": draft, "transparent": transparent, "raw": raw, "model": model,
        "lora": lora, "repeat": repeat, "relaxed": relaxed,
    }  # fmt: skip
    await handle(interaction, prompt, options, image)
