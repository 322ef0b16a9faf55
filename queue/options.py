"""Section `[queue]` of config.toml. Pure.

Secrets are not here: the token of an external nats-server comes from the environment and is passed to `open_queue`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .records import Limits, parse_roles


class QueueOptions(BaseModel):
    """How jobs are kept and delivered. The description of a field is its comment in config.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(
        default="",
        description="Where jobs are kept, as an SQLAlchemy URL. Empty: the SQLite file daguerre.db in the data folder.",
    )
    pictures_url: str = Field(
        default="",
        description="Where pictures are kept, as an fsspec URL or a folder. Empty: pictures in the data folder.",
    )
    nats_url: str = Field(
        default="",
        description="Address of your own nats-server, or several, comma-separated. Empty: one is started here.",
    )
    nats_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description=(
            "Address that the nats-server which is started here listens on. Anything but this machine itself lets "
            "workers elsewhere dial in: give it a certificate (nats_cert_file, nats_key_file) then. Its token lies in "
            "nats/token of the data folder."
        ),
    )
    nats_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the nats-server that is started here. 0: a free one is picked and remembered.",
    )
    nats_ca_file: str = Field(
        default="",
        description="Certificate of who signed nats-server's (PEM). Empty: those that this machine trusts.",
    )
    nats_cert_file: str = Field(
        default="",
        description="Certificate (PEM): of the nats-server that is started here, else of this side where it asks.",
    )
    nats_key_file: str = Field(default="", description="Key of nats_cert_file (PEM).")
    nats_creds_file: str = Field(
        default="",
        description="Credentials for your own nats-server, as `nsc` writes them; instead of DAGUERRE_NATS_TOKEN.",
    )
    ack_wait_seconds: float = Field(
        default=12.0,
        ge=1.0,
        le=600.0,
        description="After how many seconds without a heartbeat a worker's job is given to another worker.",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=20,
        description="How often a job is tried before it is given up.",
    )
    max_queued_per_member: int = Field(
        default=20,
        ge=1,
        le=100_000,
        description="How many jobs of one member may wait at a time.",
    )
    max_queued_per_server: int = Field(
        default=0, ge=0, le=1_000_000, description="How many jobs of one server may wait at a time; 0: any number."
    )
    max_queued: int = Field(
        default=0, ge=0, le=10_000_000, description="How many jobs may wait at a time altogether; 0: any number."
    )
    max_running_per_member: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="How many jobs of one member are rendered at a time; the others wait. 0: any number.",
    )
    max_running_per_server: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="How many jobs of one server are rendered at a time; the others wait. 0: any number.",
    )
    daily_seconds_per_member: float = Field(
        default=0.0,
        ge=0.0,
        le=86_400_000.0,
        allow_inf_nan=False,
        description="Device time in seconds that one member may use a day (days are UTC's); 0: any.",
    )
    roles: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(),
        max_length=200,
        description=(
            'What members with a Discord role get instead: "<role id> weight=2 queued=50 daily_seconds=3600". A weight '
            "of 2 is twice the share of others in the server; of several roles each best value counts."
        ),
    )
    relax_share: float = Field(
        default=0.25,
        ge=0.01,
        le=1.0,
        description="Weight of relaxed jobs while fast ones wait, which weigh 1 (0.01-1).",
    )
    worker_timeout_seconds: float = Field(
        default=3.0,
        ge=1.5,
        le=60.0,
        description="A worker without a heartbeat for so many seconds gets no new jobs. One comes every second.",
    )
    keep_transitions_days: float = Field(
        default=90.0,
        ge=0.0,
        le=36_500.0,
        description=(
            "For how many days the record of what happened to a job (`daguerre queue why`) is kept once it is over; "
            "0: forever."
        ),
    )
    min_free_megabytes: int = Field(
        default=200,
        ge=0,
        le=10_000_000,
        description=(
            "Nothing new is accepted while fewer megabytes are free on the disk of the data folder, or of the "
            "pictures; members are told. 0: until it is full."
        ),
    )
    reconcile_seconds: float = Field(
        default=30.0,
        ge=1.0,
        le=3600.0,
        description="How often, in seconds, the job table is compared with nats-server and differences are repaired.",
    )

    @field_validator("roles")
    @classmethod
    def _readable(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        parse_roles(roles)
        return roles

    @property
    def limits(self) -> Limits:
        """For members without a special role."""
        return Limits(
            queued_per_member=self.max_queued_per_member,
            queued_per_server=self.max_queued_per_server,
            queued_total=self.max_queued,
            running_per_member=self.max_running_per_member,
            running_per_server=self.max_running_per_server,
            daily_seconds=self.daily_seconds_per_member,
        )
