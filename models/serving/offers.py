"""What the operator's folders offer besides the model: fine-tunes, embeddings, ControlNets. Looked at each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .attached import known_adapters
from .controls import known_controls
from .embeddings import known_embeddings
from .triggers import Triggers


@dataclass(frozen=True, slots=True)
class Offers:
    """Folders that may be missing, or not there yet."""

    adapter_folder: Path | None = None
    embedding_folder: Path | None = None
    control_folder: Path | None = None
    #: Words that fine-tunes listen to, by their names.
    triggers: Triggers = field(default_factory=lambda: Triggers(None))

    def adapters(self) -> Sequence[str]:
        """Names of the fine-tunes that may be asked for just now, in order."""
        return known_adapters(self.adapter_folder)

    def embeddings(self) -> Sequence[str]:
        """Names of the textual inversions that prompts may name just now, in order."""
        return known_embeddings(self.embedding_folder)

    def controls(self) -> Sequence[str]:
        """Names of the ControlNets that may be asked for just now, in order."""
        return known_controls(self.control_folder)


def offers_of(
    adapters: Path | None, triggers: Mapping[str, str] | None, embeddings: Path | None, controls: Path | None
) -> Offers:
    """`triggers`: words by adapter, as the operator wrote them."""
    return Offers(adapters, embeddings, controls, Triggers(adapters, triggers))
