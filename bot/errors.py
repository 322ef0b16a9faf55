"""Everything that can go wrong in the bot.

BotError
├── BadToken              Discord does not know the token
├── DiscordUnreachable    Discord cannot be reached or answers with errors
│   ├── ApiUnreachable    its REST address
│   └── GatewayUnreachable  its gateway address
├── TokenInUse            another bot runs with this token
├── GatewayRefused        the gateway closed the connection for good
│   └── IntentsRefused    …because of an intent that the application may not use
├── TooLarge              Discord takes no file of this size here
└── Refused               a member asked for something that cannot be done; carries the text they see
    └── Malformed         …because the prompt breaks the grammar; points at the character (imagine/wishes.py)

Exceptions of discord.py, aiohttp and the queue become these, or texts, in faults.py.
"""

from __future__ import annotations

from .text import text


class BotError(Exception):
    """The Discord bot cannot go on."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__class__.__doc__ or "")


class BadToken(BotError):
    """Discord does not know this bot token. Open https://discord.com/developers/applications, choose your application,
    press "Reset Token" on its Bot page, and start Daguerre again with the new token in the environment variable
    DISCORD_TOKEN (the bot token, not the client secret)."""


class TokenInUse(BotError):
    """Another bot runs with this token, on another data folder or host. It was first, so this one steps back and looks
    again every minute. Stop the other one, or give one of them a token of its own. Where the other one's host is dead,
    this one takes over within five minutes."""


class DiscordUnreachable(BotError):
    """Discord cannot be reached. Check this machine's network and start Daguerre again."""


class ApiUnreachable(DiscordUnreachable):
    """Discord's REST address cannot be reached."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"Discord does not answer at {address} ({reason}). Check this machine's network and name service, and "
            "[discord] api_base in config.toml (empty means Discord's own), then start Daguerre again."
        )
        self.address = address


class GatewayUnreachable(DiscordUnreachable):
    """Discord's gateway address cannot be reached."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"Discord's gateway does not answer at {address} ({reason}). Check this machine's network and firewall "
            "(outgoing WebSocket connections), and [discord] gateway in config.toml (empty means Discord's own), "
            "then start Daguerre again."
        )
        self.address = address


class GatewayRefused(BotError):
    """Discord's gateway closed the connection for good."""

    def __init__(self, code: int | None) -> None:
        super().__init__(
            f"Discord's gateway closed the connection for good (code {code}). Start Daguerre again; if that does not "
            "help, look the code up under 'Gateway Close Event Codes' in Discord's developer documentation."
        )
        #: WebSocket close code, as Discord documents them.
        self.code = code


class IntentsRefused(GatewayRefused):
    """Discord refused an intent."""

    def __init__(self) -> None:
        super().__init__(4014)
        self.args = (
            "Discord refused the bot's intents (code 4014), although Daguerre asks for no privileged one. Check at "
            "https://discord.com/developers/applications that the token belongs to the application that you mean.",
        )


class TooLarge(BotError):
    """Discord takes no file of this size here."""


class Refused(BotError):
    """A member asked for something that cannot be done. `code` and `values` name the text they see (`texts`)."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values

    def words(self, locale: str) -> str:
        """What the member reads."""
        return text(self.code, locale, **self.values)
