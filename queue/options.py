"""Section `[queue]` of config.toml. Pure.

Secrets are not here: the token of an external nats-server comes from the environment and is passed to `open_queue`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
        description="Address of your own nats-server, several parted by commas. Empty: one is started on 127.0.0.1.",
    )
    nats_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the nats-server that is started here. 0: a free one is picked and remembered.",
    )
    ack_wait_seconds: float = Field(
        default=12.0,
        ge=1.0,
        le=600.0,
        description="After how many seconds without a sign of life a worker's job is given to another worker.",
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
    worker_timeout_seconds: float = Field(
        default=3.0,
        ge=1.5,
        le=60.0,
        description="After how many silent seconds a worker no longer gets new jobs. Workers report every second.",
    )
    reconcile_seconds: float = Field(
        default=30.0,
        ge=1.0,
        le=3600.0,
        description="How often, in seconds, the job table and nats-server are compared and mended.",
    )
