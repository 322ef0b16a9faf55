"""discord.py beyond its documented interface: the pinned version still has it all, in the shape that the bot uses."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route, handle_message_parameters
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

from daguerre.bot import discord_internals
from daguerre.bot.message.buttons import view_of, view_with
from daguerre.bot.message.keys import grid_rows
from daguerre.bot.picture import gallery

BOT = Path(__file__).resolve().parents[2] / "bot"


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_roles_come_as_ids() -> None:
    """`Member._roles` is a list of ids that was made from what Discord sent."""
    assert "_roles" in discord.Member.__slots__
    member = discord.Member.__new__(discord.Member)
    member._roles = discord.utils.SnowflakeList([3, 5])
    assert discord_internals.role_ids(member) == [3, 5]


def test_addresses_are_class_attributes() -> None:
    """What is written into them is where the next request and connection go, and comes back as it was."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    assert isinstance(before[0], str)
    assert isinstance(before[1], yarl.URL)
    with discord_internals.endpoints("http://127.0.0.1:1/api/v10/", "ws://127.0.0.1:2"):
        assert Route("GET", "/gateway").url == "http://127.0.0.1:1/api/v10/gateway"
        assert discord_internals.api_address() == "http://127.0.0.1:1/api/v10"
        assert discord_internals.gateway_address() == "ws://127.0.0.1:2"
        assert "DEFAULT_GATEWAY" in inspect.getsource(DiscordWebSocket.from_client)
    assert before == (Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY)


def test_answers_can_be_edited_by_their_token() -> None:
    """The adapter takes what `handle_message_parameters` makes, for a first answer and for a later message."""
    assert {"content", "attachments", "view", "allowed_mentions"} <= parameters(handle_message_parameters)
    with handle_message_parameters(content="x") as made:
        assert {"payload", "multipart", "files"} <= set(dir(made))
    assert isinstance(async_context.get(), AsyncWebhookAdapter)
    given = {"session", "payload", "multipart", "files"}
    assert given <= parameters(AsyncWebhookAdapter.edit_original_interaction_response)
    assert given | {"message_id"} <= parameters(AsyncWebhookAdapter.edit_webhook_message)


async def test_a_client_that_never_connected_has_no_socket() -> None:
    """By this the first connection that fails is told from a bug of ours."""
    client = discord.Client(intents=discord.Intents.none())
    assert not client.ws
    with pytest.raises(AttributeError) as caught:
        resume(client)
    problem: Any = caught.value
    assert isinstance(discord_internals.failed_first_connection(client, problem), ValueError)


def resume(client: discord.Client) -> None:
    """As discord.py does it after a failure, without a look at whether there is anything to resume."""
    try:
        int("no number")
    except ValueError:
        client.ws.sequence  # noqa: B018 (read as discord.py reads it)


def test_voice_is_not_missed() -> None:
    """The warnings about libraries for voice can be switched off."""
    before = discord.VoiceClient.warn_nacl, discord.VoiceClient.warn_dave
    discord_internals.expect_no_voice()
    assert {discord.VoiceClient.warn_nacl, discord.VoiceClient.warn_dave} == {False}
    discord.VoiceClient.warn_nacl, discord.VoiceClient.warn_dave = before


async def test_views_are_sent_and_forgotten() -> None:
    """discord.py keeps the items of a view that was not stopped: every picture would leave its buttons there."""
    views = [
        view_of(grid_rows("0" * 32, 4)),
        view_with([discord.ui.Button(custom_id="x")]),
        gallery.laid_out("history", 0, [], 13, "en"),
    ]
    assert all(view is not None and view.is_finished() for view in views)
    assert "not view.is_finished()" in inspect.getsource(discord.InteractionResponse.send_message)
    assert "not view.is_finished()" in inspect.getsource(discord.abc.Messageable.send)


def test_one_file_holds_them_all() -> None:
    """Nothing else in the bot imports discord.py's undocumented modules or reads an underscored attribute of its."""
    hidden = {"discord.gateway", "discord.http", "discord.state", "discord.webhook.async_"}
    for file in sorted(BOT.rglob("*.py")):
        if file.name == "discord_internals.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in hidden, (file.name, node.module)
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                owner = ast.unparse(node.value)
                assert owner in ("self", "cls"), (file.name, ast.unparse(node))
