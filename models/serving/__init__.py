"""Drawing what is asked for: the engine and what it is asked by.

The face needs no torch, so that a worker can say what it lacks; `engine`, `jobs`, `finish`, `schedule`, `sheet` and
`synthesize` are imported by their own names.
"""

from .families import check_told
from .prompts import read_prompts
from .requests import OnProgress, Progress, RenderRequest, RenderResult, Source

__all__ = ["OnProgress", "Progress", "RenderRequest", "RenderResult", "Source", "check_told", "read_prompts"]
