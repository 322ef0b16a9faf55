"""Modals: remix, redrawing a part, a name for an emoji. Understood from what Discord sends back, not from memory.

discord.py keeps each modal by its custom id until it is sent in; then a second member's would replace the first one's,
and a restart would lose both. Here nothing is kept: the id says what is meant, and each is unique.
"""

from __future__ import annotations

import asyncio
import io
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import discord

from ..queue.errors import NotShown
from ..queue.prompt import say
from ..queue.records import MAX_PROMPT, ImageRequest, Job
from ..queue.store import ServerSettings
from .errors import Refused
from .guard import explain
from .imagine import handle
from .keys import Key
from .language import speaks
from .pictures import fetch, is_blurred
from .region import propose
from .texts import text
from .wishes import Beginning, said_again

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

TEMPLATE = re.compile(r"daguerre:(?P<action>[a-z]+):(?P<job>[0-9a-f]{32}):(?P<picture>[0-9]):[0-9a-f]{8}")
#: Rectangles that can be chosen, as left, top, right and bottom in percent of the picture.
PLACES: Mapping[str, tuple[int, int, int, int]] = {
    "middle": (25, 25, 75, 75),
    "left": (0, 0, 50, 100),
    "right": (50, 0, 100, 100),
    "top": (0, 0, 100, 50),
    "bottom": (0, 50, 100, 100),
}
_NUMBERS = re.compile(r"\D*(\d{1,3})\D+(\d{1,3})\D+(\d{1,3})\D+(\d{1,3})\D*")
#: Longest text of an input.
TYPED = 2 * MAX_PROMPT


@dataclass(frozen=True, slots=True)
class Filled:
    """A modal that came back: which one, and what was put into its inputs."""

    key: Key
    values: Mapping[str, Any]
    #: Addresses of uploaded files by their input.
    files: Mapping[str, str]

    def word(self, name: str) -> str:
        """The text of an input, or what was chosen; empty for nothing."""
        value = self.values.get(name) or ""
        chosen = cast("list[Any]", value)[:1] if isinstance(value, list) else [value]
        return "".join(str(each) for each in chosen)


def filled(data: Mapping[str, Any]) -> Filled | None:
    """What an interaction's `data` says; None for a modal that is not ours. Pure."""
    found = TEMPLATE.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return None
    values: dict[str, Any] = {}
    _collect(data.get("components"), values)
    resolved = cast("dict[str, Any]", data.get("resolved") or {}).get("attachments", {})
    files = {
        name: str(resolved[value[0]]["url"])
        for name, value in values.items()
        if isinstance(value, list) and value and value[0] in resolved
    }
    return Filled(Key.of(found), values, files)


def typed_prompt(data: Mapping[str, Any]) -> str:
    """What stands in the input `prompt` of any modal. Pure."""
    values: dict[str, Any] = {}
    _collect(data.get("components"), values)
    return str(values.get("prompt") or "")


def _collect(part: Any, values: dict[str, Any]) -> None:
    if isinstance(part, list):
        for each in cast("list[Any]", part):
            _collect(each, values)
    elif isinstance(part, dict):
        fields_ = cast("dict[str, Any]", part)
        if "custom_id" in fields_:
            values[str(fields_["custom_id"])] = fields_.get("value", fields_.get("values"))
        for below in ("components", "component"):
            _collect(fields_.get(below), values)


def modal_id(action: str, job: str, picture: int) -> str:
    """Unique, so that two members can fill in the same modal at a time."""
    return f"daguerre:{action}:{job}:{picture}:{secrets.token_hex(4)}"


async def show(interaction: Asked, title: str, custom_id: str, *labels: discord.ui.Label[Any]) -> None:
    """Open a modal that nobody here remembers."""
    modal = discord.ui.Modal(title=title, custom_id=custom_id)
    for label in labels:
        modal.add_item(label)
    modal.stop()
    await interaction.response.send_modal(modal)


def field(label: str, custom_id: str, default: str = "", *, required: bool = True, **more: Any) -> Any:
    """A labelled text input."""
    entry: Any = discord.ui.TextInput[Any](custom_id=custom_id, default=default or None, required=required, **more)
    return discord.ui.Label(text=label, component=entry)


# ---- remix


async def open_remix(interaction: Asked, job: Job, picture: int) -> None:
    """The old prompt with its flags, to be changed."""
    locale = speaks(interaction)
    wish = said_again(job.request, await settings_here(interaction), relaxed=job.lane == "relax")
    prompt = field(
        text("form.prompt", locale),
        "prompt",
        say(wish)[:TYPED],
        style=discord.TextStyle.paragraph,
        max_length=TYPED,
    )
    await show(interaction, text("form.remix", locale), modal_id("remix", job.id, picture), prompt)


async def remix(interaction: Asked, job: Job, form: Filled) -> None:
    """The changed prompt, with all that a prompt may say, from where the old one came. Raises: Refused."""
    begun = Beginning(source=job.request.source, origin=(job.id, form.key.picture or 0, "remix"))
    await handle(interaction, form.word("prompt"), {}, begun=begun, as_typed=True)


# ---- redrawing a part


async def open_region(interaction: Asked, job: Job, picture: int) -> None:
    """Where, and what shall be there."""
    locale = speaks(interaction)
    places = discord.ui.Select[Any](
        custom_id="place",
        required=False,
        options=[discord.SelectOption(label=text(f"form.place.{place}", locale), value=place) for place in PLACES],
    )
    await show(
        interaction,
        text("form.region", locale),
        modal_id("region", job.id, picture),
        field(
            text("form.region.prompt", locale), "prompt", job.request.prompt,
            style=discord.TextStyle.paragraph, max_length=MAX_PROMPT,
        ),
        discord.ui.Label(text=text("form.place", locale), component=places),
        field(text("form.rectangle", locale), "rectangle", required=False, max_length=60, placeholder="25 25 75 75"),
        discord.ui.Label(
            text=text("form.mask", locale),
            description=text("form.mask.about", locale),
            component=discord.ui.FileUpload(custom_id="mask", required=False, max_values=1),
        ),
    )  # fmt: skip


async def region(interaction: Asked, job: Job, form: Filled) -> None:
    """Show which part would be drawn anew, as a picture or a rectangle says. Raises: Refused."""
    picture = form.key.picture or 0
    if picture >= len(job.pictures):
        raise Refused("button.gone")
    box = None if "mask" in form.files else rectangle(form.word("rectangle"), form.word("place"))
    await interaction.response.defer(ephemeral=True, thinking=True)
    try:
        if box is None:
            data = await fetch(interaction, form.files["mask"])
        else:
            data = await asyncio.to_thread(mask_of, job.request, box)
        blurred = is_blurred(form.files.get("mask", ""))
        await propose(interaction, job, picture, form.word("prompt"), data, blurred=blurred)
    except (Refused, NotShown) as refusal:
        # The placeholder is private already: the refusal takes its place.
        await interaction.edit_original_response(content=explain(refusal, speaks(interaction)))


def rectangle(typed: str, place: str) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in percent: as typed, else as chosen, else the middle. Pure. Raises: Refused."""
    if not typed.strip():
        return PLACES.get(place, PLACES["middle"])
    found = _NUMBERS.fullmatch(typed)
    left, top, right, bottom = (int(number) for number in found.groups()) if found else (0, 0, 0, 0)
    if not (left < right <= 100 and top < bottom <= 100):
        raise Refused("form.rectangle.bad")
    return left, top, right, bottom


def mask_of(request: ImageRequest, box: tuple[int, int, int, int]) -> bytes:
    """A PNG as large as the picture, white inside the box. Blocking."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (request.width, request.height), 0)
    left, top, right, bottom = box
    edges = (
        round(left * request.width / 100),
        round(top * request.height / 100),
        round(right * request.width / 100) - 1,
        round(bottom * request.height / 100) - 1,
    )
    ImageDraw.Draw(mask).rectangle(edges, fill=255)
    buffer = io.BytesIO()
    mask.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


async def settings_here(interaction: Asked) -> ServerSettings:
    """The defaults where something is said."""
    if interaction.guild_id is None:
        return ServerSettings()
    return await interaction.client.services.settings.get(str(interaction.guild_id))
