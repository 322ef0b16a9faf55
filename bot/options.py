"""Section `[discord]` of config.toml. The token is not here: it comes from the environment variable DISCORD_TOKEN."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: Empty, or an absolute address of the given scheme.
HttpAddress = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^(https?://\S+)?$")]
SocketAddress = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^(wss?://\S+)?$")]


class DiscordOptions(BaseModel):
    """How the bot talks to Discord."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_base: HttpAddress = Field(
        default="",
        description="REST address with its version, such as https://discord.com/api/v10. Empty: Discord's own.",
    )
    gateway: SocketAddress = Field(
        default="", description="Gateway address, such as wss://gateway.discord.gg. Empty: Discord's own."
    )
    edit_interval_seconds: float = Field(
        default=2.5,
        ge=2.5,
        le=60.0,
        description="Shortest time between two edits of one status message, in seconds (2.5-60). Discord limits edits.",
    )
    sync_commands: bool = Field(
        default=True, description="Register the slash commands at the start when they have changed since the last time."
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Connections to the gateway (1-64). Discord wants one for every 2,500 servers.",
    )
    token_lease: bool = Field(
        default=True,
        description=(
            "Notice another bot with the same token, by an application emoji that nobody sees, and step back where it "
            "was first. Two of them would draw every prompt twice."
        ),
    )
    connect_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often the first connection to Discord is tried before the start fails (1-100).",
    )
