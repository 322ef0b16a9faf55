"""Section `[web]` of config.toml: the local HTTP API. Pure."""

from __future__ import annotations

import ipaddress
import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.IGNORECASE)


class WebOptions(BaseModel):
    """Where the local API listens and whom it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description=(
            'Address to listen on. Anything but this machine itself ("127.0.0.1", "::1") shows /healthz and /readyz to '
            "the network; the rest of the API still answers only to this machine unless allowed_hosts is set."
        ),
    )
    port: int = Field(default=8600, ge=0, le=65535, description="Port to listen on (1 to 65535); 0 takes a free one.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description=(
            "Names under which other machines may use the studio, as they stand in their address bar; they sign in "
            "with its token: DAGUERRE_WEB_TOKEN, or web-token in the data folder. Empty: this machine only."
        ),
    )
    worker_port: int = Field(
        default=8601,
        ge=0,
        le=65_519,
        description=(
            "Port of /metrics, /healthz and /readyz of a worker process, at the same address and for the same; where "
            "it is taken, as by a second worker of this machine, one of the next 15. 0: none."
        ),
    )
    max_body_bytes: int = Field(
        default=65_536,
        ge=1_024,
        le=10_000_000,
        description="Largest request body that is read (1024 to 10000000 bytes).",
    )
    max_changes_per_minute: int = Field(
        default=600,
        ge=0,
        le=100_000,
        description="How often a minute one address may ask for something or change it (1 to 100000); 0: no limit.",
    )
    max_connections_per_address: int = Field(
        default=64,
        ge=4,
        le=10_000,
        description=(
            "How many connections one address may hold open at a time (4 to 10000); more are refused. Behind a proxy "
            "all its clients are one address."
        ),
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _is_name(host):
                raise ValueError(
                    f'"{host[:80]}" is no host name: write each name or address by itself, without http://, port or '
                    'star, such as "studio.lan" or "192.168.1.20"'
                )
        return hosts


def _is_name(host: str) -> bool:
    """Whether a Host header can have this name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and _NAME.fullmatch(host) is not None
    return "%" not in host
