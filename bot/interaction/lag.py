"""How long an interaction has been on its way when its handler begins. Pure but for its memory of the quickest one.

Discord counts its three seconds from its own clock, which differs from ours by an unknown amount. The quickest of the
last interactions is taken to have been on its way for no time at all; what others took longer, they have waited.
"""

from __future__ import annotations

from collections import deque

#: Interactions that are remembered: clocks drift, so the quickest is not the quickest for ever.
REMEMBERED = 500


class Lag:
    """One for each bot."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=REMEMBERED)

    def of(self, created: float, now: float) -> float:
        """Seconds by which the interaction made at `created` (Discord's Unix time) is later than the quickest."""
        self._seen.append(now - created)
        return now - created - min(self._seen)
