"""What is looked at before anything is queued. Pure; each check raises `Refused` with what to change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...queue.asking import refused_field
from ...queue.errors import InvalidRequest
from ...queue.prompt import Vocabulary, VocabularyReport, lacks_picture, unknown_name
from ...queue.records import ImageRequest, WorkerInfo
from ...queue.store import ServerSettings
from ..errors import Refused
from ..text import shown, word_list

#: Things we know that a refusal names.
EXAMPLES = 6
#: Names that a refusal lists, and characters of each.
NAMES_SHOWN, NAME_SHOWN = 25, 40


def refusal_of(problem: InvalidRequest, prompt: str) -> Refused:
    """What a member reads about a field that is out of range."""
    code, values = refused_field(problem, prompt)
    return Refused(code, **values)


def check_names(
    request: ImageRequest, vocabulary: Vocabulary | None, workers: Collection[WorkerInfo], allowed: Iterable[str] = ()
) -> None:
    """Whether style, model and fine-tunes are known to somebody here; `allowed` are those that the server names.

    Raises:
        Refused: names those that there are.
    """
    if lacks_picture(request):
        raise Refused("refused.control.picture")
    unknown = unknown_name(request, vocabulary, workers, allowed)
    if unknown is None:
        return
    known = ", ".join(shown(name, NAME_SHOWN) for name in unknown.known[:NAMES_SHOWN])
    if len(unknown.known) > NAMES_SHOWN:
        known += ", …"
    if unknown.kind == "lora" and not known:
        raise Refused("refused.unknown.lora.none", name=shown(unknown.name, NAME_SHOWN))
    if unknown.kind == "control" and not known:
        raise Refused("refused.unknown.control.none", name=shown(unknown.name, NAME_SHOWN))
    codes = {
        "style": "refused.unknown.style", "model": "refused.unknown.model", "lora": "refused.unknown.lora",
        "control": "refused.unknown.control",
    }  # fmt: skip
    code = codes[unknown.kind]
    raise Refused(code, name=shown(unknown.name, NAME_SHOWN), known=known)


def check_words(prompt: str, vocabulary: Vocabulary | None) -> VocabularyReport | None:
    """What the model does not know in this prompt; refused when it knows nothing of it at all."""
    if vocabulary is None:
        return None
    report = vocabulary.check(prompt)
    if report.anything_known:
        return report
    examples = word_list(vocabulary.concepts[:EXAMPLES])
    for spelt, code in ((True, "refused.words.nearest"), (False, "refused.words.meant")):
        offered = (near for found in report.unknown if found.spelt is spelt for near in found.nearest)
        if nearest := tuple(dict.fromkeys(offered))[:EXAMPLES]:
            raise Refused(code, nearest=word_list(nearest), examples=examples)
    raise Refused("refused.words", examples=examples)


def check_amount(settings: ServerSettings, count: int, options: Mapping[str, Any]) -> None:
    """Requests that one prompt becomes, by permutations and by repeating. Raises: Refused."""
    repeat = int(options.get("repeat") or 1)
    if repeat > settings.most_repeat:
        raise Refused("refused.amount", count=repeat, limit=settings.most_repeat)
    if count > settings.most_permutations * repeat:
        raise Refused("refused.amount", count=count, limit=settings.most_permutations)
