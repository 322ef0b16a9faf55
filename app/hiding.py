"""Taking secrets and control characters out of text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

#: Shape of a Discord bot token: three base64 parts.
DISCORD_TOKEN = re.compile(r"[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}")
#: `user:password@` or `token@` behind `://`, also where the password holds a slash or an @. What looks like a port and
#: a path with an @ in it (Discord's /users/@me) is left.
_IN_ADDRESS = re.compile(r"(?<=://)(?:[^\s/:\"']*:(?!\d{1,5}/)[^\s@\"']*@|[^/@\s\"']*@)(?:[^\s/@\"']*@)*")
#: `?password=…` and its like.
_IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:passw|pwd|token|secret|api_?key|access_?key|credential)[\w.-]*=)[^&;#\s\"']+", re.I
)
_DATABASES = ("postgres", "sqlite", "mysql", "mariadb", "oracle", "mssql")
#: Everything that moves the cursor, colours, rings, ends lines or turns the direction of writing; halves of characters.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Shorter ones would blot out half of every line.
_SHORTEST = 4


def hide_secrets(text: str) -> str:
    """Any text without Discord tokens and without user names and passwords inside addresses."""
    return _IN_QUERY.sub(r"\1***", _IN_ADDRESS.sub("***@", DISCORD_TOKEN.sub("***", text)))


def hide_in_address(value: str) -> str:
    """A setting's value without the secrets in its addresses: a database's as SQLAlchemy renders it, with `***` for the
    password; of any other, the user name too, which for NATS is the token."""
    if "://" not in value:
        return hide_secrets(value)
    return ",".join(_hidden(address) for address in _addresses(value))


def passwords_in(value: str) -> tuple[str, ...]:
    """The secrets in a setting's addresses, each in every way that it may be written."""
    found: set[str] = set()
    for address in _addresses(value) if "://" in value else ():
        url = _database(address)
        if url is not None and url.password:
            found.add(str(url.password))
        elif url is None and (userinfo := re.search(r"://(.*)@", address)):
            found |= {userinfo[1], *userinfo[1].split(":", 1)[-1:]}
        found |= {match[0].partition("=")[2] for match in _IN_QUERY.finditer(address)}
    found |= {way(one) for one in found for way in (unquote, quote, quote_plus)}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True))


def escape_controls(text: str) -> str:
    """`\\x1b` for an escape character and so on: what somebody sent must not paint on the terminal of who reads it."""
    return _CONTROLS.sub(lambda one: f"\\x{ord(one[0]):02x}" if one[0] < "\u0100" else f"\\u{ord(one[0]):04x}", text)


def _addresses(value: str) -> Iterator[str]:
    """The parts of a list with commas; a comma inside a password parts nothing."""
    kept = ""
    for part in value.split(","):
        if kept and "://" in part:
            yield kept
            kept = part
        else:
            kept = f"{kept},{part}" if kept else part
    yield kept


def _hidden(address: str) -> str:
    url = _database(address)
    if url is None:
        shown = re.sub(r"(?<=://).*@", "***@", address) if _has_userinfo(address) else address
    else:
        shown = url.render_as_string(hide_password=True) if url.password else address
    return _IN_QUERY.sub(r"\1***", DISCORD_TOKEN.sub("***", shown))


def _has_userinfo(address: str) -> bool:
    return bool(_IN_ADDRESS.search(address) or re.search(r"://[^/@]*@|://[^/:@]*:.*@", address))


def _database(address: str) -> URL | None:
    """SQLAlchemy's reading of an address of a database; None if it is none, or is read so that secrets show."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if not address.strip().lower().startswith(_DATABASES):
        return None
    try:
        url = make_url(address.strip())
    except (ArgumentError, ValueError):
        return None
    # `user:pass@word@host`: SQLAlchemy takes `word@host` for the host.
    return None if "@" in (url.host or "") else url
