"""What `daguerre doctor` found about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. "fail" keeps something from working, "warn" limits it or soon will."""

    level: Level
    subject: str
    text: str
    #: What to do about it; empty where nothing is to be done, or `text` says it.
    remedy: str = ""

    @property
    def line(self) -> str:
        return f"{self.level:<5} {self.subject:<12} {self.text}" + (f"; {self.remedy}" if self.remedy else "")
