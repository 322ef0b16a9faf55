"""What concerns the member who asks: preferences, their jobs and data, what there is to know, and help."""

from .about import add_about
from .help import add_help
from .mydata import ForgetButton, add_mydata
from .preferences import add_prefer
from .queue_commands import add_queue

__all__ = [
    "ForgetButton", "add_about", "add_help", "add_mydata", "add_prefer", "add_queue",
]  # fmt: skip
