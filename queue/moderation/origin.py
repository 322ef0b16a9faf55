"""What can be read from a picture about where it comes from. Pure; `app` has the means to read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that a file says about its making, by how well it can be trusted."""

    #: Beginning of the job's number (16 hexadecimal digits) from the watermark: survives when metadata is taken off.
    watermark: str | None = None
    #: Who signed a C2PA statement in it; None: there is none.
    signer: str | None = None
    #: Whether that statement fits the file, so that nothing was changed since.
    intact: bool = False
    #: Whether its certificate is one that a Daguerre made for itself, which anybody can do.
    development: bool = False
    #: Job, seed, model and program as C2PA statement or text chunks have it; the latter anybody can write.
    said: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Whether XMP names a trained model as the source (IPTC).
    trained: bool = False

    @property
    def ours(self) -> bool:
        """Whether a Daguerre made it, as far as can be told: by watermark, or by a statement that fits."""
        return self.watermark is not None or (self.intact and "job" in self.said)

    @property
    def job(self) -> str | None:
        """Number of the job, or its beginning."""
        return self.watermark or (self.said.get("job") if self.intact else None)


#: Reads a file that somebody sent; raises ValueError where it is no picture that can be read.
ReadOrigin = Callable[[bytes], Awaitable[Origin]]
