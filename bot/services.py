"""What the handlers work with; the client carries one of these."""

from __future__ import annotations

from dataclasses import dataclass

from ..queue.server_settings import ServerSettingsStore
from ..queue.service import Queue
from ..queue.vocabulary import Vocabulary
from .follow import Followers


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind a command."""

    queue: Queue
    settings: ServerSettingsStore
    vocabulary: Vocabulary | None
    followers: Followers
