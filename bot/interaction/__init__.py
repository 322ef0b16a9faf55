"""What every handler stands on: the services, who may do what where, answers in private, forms, and the guard."""

from .access import actionable_job, existing_job, manager, may_moderate, may_touch, moderator, role_ids
from .answers import answer, answer_pages, reply_privately
from .commands import command, everywhere, menu, only_in_servers, open_group, server_group
from .context import Bot, CommandTree, Interaction, Services, bot_of, queue_of, services_of
from .gate import asker_of, permit, place_of
from .guard import Component, answer_error, guarded
from .lag import Lag
from .language import locale_of
from .modals import TYPED, SubmittedModal, modal_id, open_modal, submitted_modal, text_input, typed_value
from .places import channel_list, is_relaxed, server_settings, settings_here
from .proposals import PROPOSAL, keep_proposal, proposal_button, take_proposal

__all__ = [
    "PROPOSAL", "TYPED", "Bot", "CommandTree", "Component", "Interaction", "Lag", "Services", "SubmittedModal",
    "actionable_job", "answer", "answer_error", "answer_pages", "asker_of", "bot_of", "channel_list", "command",
    "everywhere", "existing_job", "guarded", "is_relaxed", "keep_proposal", "locale_of", "manager", "may_moderate",
    "may_touch", "menu", "modal_id", "moderator", "only_in_servers", "open_group", "open_modal", "permit",
    "place_of", "proposal_button", "queue_of", "reply_privately", "role_ids", "server_group", "server_settings",
    "services_of", "settings_here", "submitted_modal", "take_proposal", "text_input", "typed_value",
]  # fmt: skip
