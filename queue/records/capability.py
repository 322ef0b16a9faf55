"""What a job needs of a worker, and what a worker can do. Pure.

Workers of one pool with the same abilities form a group and pull from one line, each when it is free: a fast card
simply pulls more often. Jobs are put into the line of a group that can render them. A worker with several models is a
group of its own, so that jobs go to where their model is loaded (dispatch/turns.py).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

#: The pool of workers that were given none.
POOL = "gpu"


@dataclass(frozen=True, slots=True)
class Needs:
    """Few different ones exist among many jobs."""

    #: Name of the model; empty: any.
    model: str = ""
    #: Longer side of the picture in pixels.
    side: int = 0
    #: Name of the pool; empty: any.
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Capability:
    """What each worker of a group can do."""

    pool: str = POOL
    #: Names of its models; none: it does not say, and is given any job.
    models: tuple[str, ...] = ()
    #: Longest side that it renders, in pixels; 0: any.
    side: int = 0
    #: Of one with several models: the name of its own line; its models may then become fewer. Empty: it shares one.
    line: str = ""

    def model_for(self, needs: Needs) -> str:
        """The model that draws such a job here: its own, or the first one's; empty: nobody knows."""
        return needs.model or (self.models[0] if self.models else "")

    def fits(self, needs: Needs) -> bool:
        """Whether it can render such a job."""
        return (
            (not needs.model or not self.models or needs.model in self.models)
            and (not self.side or needs.side <= self.side)
            and (not needs.pool or needs.pool == self.pool)
        )

    @property
    def group(self) -> str:
        """Name of the group: at most 40 of the characters that NATS allows in a subject."""
        pool = re.sub(r"[^A-Za-z0-9_-]", "-", self.pool)[:30] or POOL
        if pool == POOL == self.pool and not self.models and not self.side:
            return POOL
        told = f"{self.pool}\n{self.side}\n" + (f"\n{self.line}" if self.line else "\n".join(sorted(self.models)))
        return f"{pool}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    @property
    def breadth(self) -> tuple[int, int]:
        """Sorts the narrower before the broader, so that able workers stay free for jobs that need them."""
        return (self.side or 1 << 30, len(self.models))
