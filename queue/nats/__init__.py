"""NATS JetStream, as the control process and the workers use it, and the embedded nats-server."""

from .connection import ERRORS, QUESTIONS, Connection
from .control import NatsControl
from .credentials import Credentials
from .embedded import EmbeddedServer
from .look import look_at
from .program import nats_server_binary
from .worker import NatsWorker

__all__ = [
    "ERRORS", "QUESTIONS", "Connection", "Credentials", "EmbeddedServer", "NatsControl", "NatsWorker",
    "look_at", "nats_server_binary",
]  # fmt: skip
