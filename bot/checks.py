"""What is looked at before anything is queued. Pure; each check raises `Refused` with what to change."""

from __future__ import annotations

from ..queue.errors import InvalidRequest
from ..queue.requests import MAX_COUNT, MAX_PROMPT, MAX_SEED
from ..queue.server_settings import ServerSettings
from ..queue.vocabulary import Vocabulary, VocabularyReport
from .cards import word_list
from .errors import Refused

#: Things we know that a refusal names.
EXAMPLES = 6
#: Channels that a refusal names.
CHANNELS_SHOWN = 10


def refusal_of(problem: InvalidRequest, prompt: str) -> Refused:
    """What a member reads about a field that is out of range."""
    match problem.field:
        case "prompt" if problem.kind == "string_too_short":
            return Refused("refused.prompt.empty")
        case "prompt" if problem.kind == "string_too_long":
            return Refused("refused.prompt.long", length=len(prompt.strip()), limit=MAX_PROMPT)
        case "count":
            return Refused("refused.count", low=1, high=MAX_COUNT)
        case "seed":
            return Refused("refused.seed", low=0, high=MAX_SEED)
        case "source":
            return Refused("picture.gone")
        case field:
            return Refused("refused.field", field=field)


def check_channel(settings: ServerSettings, channel: int, parent: int | None) -> None:
    """The server's list of allowed channels; a thread goes by the channel it hangs in."""
    if settings.allows(str(channel)) or (parent is not None and settings.allows(str(parent))):
        return
    raise Refused("refused.channel", channels=channel_list(settings))


def channel_list(settings: ServerSettings) -> str:
    """The allowed channels as Discord links them: `<#1>, <#2>`."""
    allowed = sorted(settings.channels, key=lambda channel: (len(channel), channel))
    named = [f"<#{channel}>" for channel in allowed[:CHANNELS_SHOWN]]
    return ", ".join([*named, "…"] if len(allowed) > CHANNELS_SHOWN else named)


def check_words(prompt: str, vocabulary: Vocabulary | None) -> VocabularyReport | None:
    """What the model does not know in this prompt; refused when it knows nothing of it at all."""
    if vocabulary is None:
        return None
    report = vocabulary.check(prompt)
    if report.anything_known:
        return report
    examples = word_list(vocabulary.concepts[:EXAMPLES])
    nearest = tuple(dict.fromkeys(near for found in report.unknown for near in found.nearest))[:EXAMPLES]
    if nearest:
        raise Refused("refused.words.nearest", nearest=word_list(nearest), examples=examples)
    raise Refused("refused.words", examples=examples)
