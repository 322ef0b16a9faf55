"""What can be done with a picture: its buttons, forms, menus and reactions, and the album of a member's own."""

from .album import PageButton, add_album
from .buttons import PictureButton
from .expressions import add_expression
from .information import information, reasons
from .menus import add_menus, start_proposal, submit_start
from .reactions import handle_reaction
from .region import RegionButton
from .region_form import submit_region
from .remix import submit_remix

__all__ = [
    "PageButton", "PictureButton", "RegionButton", "add_album", "add_expression", "add_menus", "handle_reaction",
    "information", "reasons", "start_proposal", "submit_region", "submit_remix", "submit_start",
]  # fmt: skip
