"""A bot on hikari, another Discord library than ours: what it finds amiss is a fault of the stand-in.

Run by test_standin_second_client.py with the interpreter of an environment that has hikari:
`python second_client.py API_BASE TOKEN`. Answers /draw with a deferral and a picture, and its button with a text.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib

import hikari


def png() -> bytes:
    """One red pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def main(api_base: str, token: str) -> None:
    bot = hikari.GatewayBot(token, rest_url=api_base, banner=None, intents=hikari.Intents.GUILDS)

    @bot.listen()
    async def started(_: hikari.StartedEvent) -> None:
        application = await bot.rest.fetch_application()
        command = bot.rest.slash_command_builder("draw", "Draws a picture.")
        await bot.rest.set_application_commands(application.id, [command])
        print("ready", flush=True)

    @bot.listen()
    async def asked(event: hikari.InteractionCreateEvent) -> None:
        interaction = event.interaction
        if isinstance(interaction, hikari.CommandInteraction):
            await interaction.create_initial_response(hikari.ResponseType.DEFERRED_MESSAGE_CREATE)
            row = bot.rest.build_message_action_row()
            row.add_interactive_button(hikari.ButtonStyle.PRIMARY, "again", label="Again")
            message = await interaction.edit_initial_response(
                "drawn", attachment=hikari.Bytes(io.BytesIO(png()), "one.png"), component=row
            )
            assert message.attachments[0].filename == "one.png"
            print("drawn", flush=True)
        elif isinstance(interaction, hikari.ComponentInteraction):
            await interaction.create_initial_response(
                hikari.ResponseType.MESSAGE_CREATE, "pressed", flags=hikari.MessageFlag.EPHEMERAL
            )
            print("pressed", flush=True)

    bot.run(check_for_updates=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
