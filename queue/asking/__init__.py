"""From what was asked to jobs: orders, what they begin from, and requests made of a picture. Pure but for drawn seeds.

The bot and the studio ask by the same functions, so that a prompt or an action means the same in both.
"""

from .beginnings import Beginning, like, said_again
from .made_of import PAN, STRONG, SUBTLE, layout_seed, new_seed, outpainted, redrawn, upscaled, varied
from .orders import Order, order_of
from .refusals import refused_field

__all__ = [
    "PAN", "STRONG", "SUBTLE", "Beginning", "Order", "layout_seed", "like", "new_seed", "order_of",
    "outpainted", "redrawn", "refused_field", "said_again", "upscaled", "varied",
]  # fmt: skip
