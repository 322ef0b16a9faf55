"""The message that answers a job: what it says and carries, and how it reaches its member through every state."""

from .address import DIRECT, PRIVATE_SERVER, Address
from .buttons import button, jobs_view, view_of, view_of_card, view_with
from .card import Attached, Card, alt_text, approximate_time, details, short_id
from .cards import finished_card, kept_card, one_picture_card
from .delivery import Delivery
from .encode import fitting, ladder
from .follow import Followers
from .keys import EMOJI, TEMPLATE, Key, more_rows
from .layout import as_permitted, fitted, laid_out, lay_out, named, vectors
from .lookup import is_foreign, job_of_message
from .rate_limit import RateLimiter
from .ways import Answer

__all__ = [
    "DIRECT", "EMOJI", "PRIVATE_SERVER", "TEMPLATE", "Address", "Answer", "Attached", "Card", "Delivery",
    "Followers", "Key", "RateLimiter", "alt_text", "approximate_time", "as_permitted", "button", "details",
    "finished_card", "fitted", "fitting", "is_foreign", "job_of_message", "jobs_view", "kept_card", "ladder",
    "laid_out", "lay_out", "more_rows", "named", "one_picture_card", "short_id", "vectors", "view_of", "view_of_card",
    "view_with",
]  # fmt: skip
