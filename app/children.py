"""What child processes may see of our environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: Variables that hold a secret or may: a token, or an address with a password in it.
SECRETS = frozenset(
    {
        *("DISCORD_TOKEN", "DISCORD_TOKEN_FILE", "DAGUERRE_NATS_TOKEN", "DAGUERRE_NATS_TOKEN_FILE"),
        *("DAGUERRE_WEB_TOKEN", "DAGUERRE_WEB_TOKEN_FILE"),
        *("DAGUERRE_QUEUE__DATABASE_URL", "DAGUERRE_QUEUE__PICTURES_URL", "DAGUERRE_QUEUE__NATS_URL"),
    }
)


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program that needs none of them."""
    return {name: value for name, value in environ.items() if name.upper() not in SECRETS}
