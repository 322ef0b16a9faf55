"""Records that cross processes or folders: requests, jobs and their states, messages to workers, limits. Pure."""

from .capability import POOL, Capability, Needs
from .flags import FITS, FOLLOWS, MOST_ASPECT, MOST_REQUESTS, Flag
from .jobs import Job, Progress, Rendered, Transition
from .life import BROKEN, COMES_FROM, FINISHED, LIVE, OUT, JobState
from .limits import DAY, UNMEASURED, Limits, Standing, check, day, day_ends, learned, of_roles, parse_roles, work
from .requests import (
    EVERY_SIDE,
    FLAGS,
    LONGEST_SIDE,
    MAX_COUNT,
    MAX_PROMPT,
    MAX_SEED,
    ImageRequest,
    Part,
    Source,
    image_request,
)
from .transport import (
    HEARTBEAT_SECONDS,
    NOTHING,
    Arrived,
    ControlListener,
    ControlTransport,
    Delivery,
    Enclosed,
    Heartbeat,
    JobMessage,
    Outcome,
    Started,
    Stored,
    WorkerInfo,
    WorkerTransport,
)
from .usual import ANY_MODEL, Usual, check_size, largest_of, reads_pictures, usual_of
from .waiting import PRIORITIES, Entry, Priority

__all__ = [
    "ANY_MODEL", "BROKEN", "COMES_FROM", "DAY", "EVERY_SIDE", "FINISHED", "FITS", "FLAGS", "FOLLOWS",
    "HEARTBEAT_SECONDS", "LIVE", "LONGEST_SIDE", "MAX_COUNT", "MAX_PROMPT", "MAX_SEED", "MOST_ASPECT", "MOST_REQUESTS",
    "NOTHING", "OUT", "POOL", "PRIORITIES", "UNMEASURED", "Arrived", "Capability", "ControlListener",
    "ControlTransport", "Delivery", "Enclosed", "Entry", "Flag", "Heartbeat", "ImageRequest", "Job", "JobMessage",
    "JobState", "Limits", "Needs", "Outcome", "Part", "Priority", "Progress", "Rendered", "Source", "Standing",
    "Started", "Stored", "Transition", "Usual", "WorkerInfo", "WorkerTransport", "check", "check_size", "day",
    "day_ends", "image_request", "largest_of", "learned", "of_roles", "parse_roles", "reads_pictures", "usual_of",
    "work",
]  # fmt: skip
