"""Everything of the moderators that the bot offers, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord import app_commands

from .moderation_commands import add_moderate
from .moderation_verify import add_verify
from .mydata import ForgetButton, add_mydata
from .reports import CardButton, add_report
from .rules_commands import add_rules
from .settings_more import SettingMenu

if TYPE_CHECKING:
    from .client import DaguerreClient

#: Buttons and menus that carry all they need.
ITEMS = (CardButton, ForgetButton, SettingMenu)


def add_moderation(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The commands, after those that they add to."""
    add_rules(tree)
    add_moderate(tree)
    add_mydata(tree)
    add_verify(tree)
    add_report(tree)
