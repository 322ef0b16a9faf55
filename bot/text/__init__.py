"""What members read: the texts in every language, and what makes words fit for a message. Others get them here."""

from .markup import WORD_SHOWN, code_safe, pages, plain, shorten, shown, without_emoji_ids, word_list
from .texts import ENGLISH, LOCALES, codes, languages, reason, text
from .translate import Translator

__all__ = [
    "ENGLISH", "LOCALES", "WORD_SHOWN", "Translator", "code_safe", "codes", "languages", "pages", "plain",
    "reason", "shorten", "shown", "text", "without_emoji_ids", "word_list",
]  # fmt: skip
