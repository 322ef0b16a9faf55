"""From what somebody typed to an `ImageRequest`: the grammar of prompts, its flags, and the words a model knows."""

from .characters import MalformedPrompt, half, pointer
from .emoji_words import CUSTOM, custom_alone, emoji_in, in_words
from .flags import BY_FIELD, BY_NAME, flag_of_field, value_of
from .grammar import STRENGTH, Wish, fields, fill_in, parse, plan, say, source, wish_of
from .names import UnknownName, known_styles, lacks_picture, unknown_name, words_of
from .vocabulary import UnknownWord, Vocabulary, VocabularyReport

__all__ = [
    "BY_FIELD", "BY_NAME", "CUSTOM", "STRENGTH", "MalformedPrompt", "UnknownName", "UnknownWord", "Vocabulary",
    "VocabularyReport", "Wish", "custom_alone", "emoji_in", "fields", "fill_in", "flag_of_field", "half", "in_words",
    "known_styles", "lacks_picture", "parse", "plan", "pointer", "say", "source", "unknown_name", "value_of", "wish_of",
    "words_of",
]  # fmt: skip
