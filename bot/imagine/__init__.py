"""/imagine: from what a member typed and brought to checked requests in the queue."""

from ...queue.asking import Beginning, Order, said_again
from .ask import ask
from .checks import check_names
from .command import add_imagine
from .confirm import ConfirmButton
from .pictures import fetch, is_blurred, keep_bytes, unusable
from .prompt import handle_prompt
from .suggestions import known_styles
from .wishes import pointing

__all__ = [
    "Beginning", "ConfirmButton", "Order", "add_imagine", "ask", "check_names", "fetch", "handle_prompt",
    "is_blurred", "keep_bytes", "known_styles", "pointing", "said_again", "unusable",
]  # fmt: skip
