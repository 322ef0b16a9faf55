"""Rules: what may be asked for, and what happens to a request that one of them finds. Pure.

A rule is a word, a phrase or a regular expression. Words and phrases are looked for in every disguise (rules_text.py);
regular expressions run in RE2, whose time grows with the text alone, over the text as it reads and over its plain
letters. The strictest action of all that match counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, StringConstraints

from ..errors import QueueError
from .rules_read import fold_word, letters_of, plain, readings
from .rules_text import anywhere, is_disguise, pattern

#: Longest pattern, in characters; and rules of one server.
MAX_PATTERN = 200
MAX_RULES = 500


class Action(StrEnum):
    """What a rule does, from the mildest."""

    REPLACE = "replace"
    SPOILER = "spoiler"
    WARN = "warn"
    HOLD = "hold"
    REFUSE = "refuse"


_STRICTNESS = MappingProxyType({action: number for number, action in enumerate(Action)})


class BadRule(QueueError):
    """The pattern of a rule cannot be used; `code` names why in the texts catalogue."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Rule(BaseModel):
    """One rule of a server, or of the operator for all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Counts from 1 within its server; 0 for a rule that was shipped or stands in config.toml.
    number: int = 0
    kind: Literal["word", "regex"] = "word"
    #: A word or phrase (a star at its end allows any ending), or an RE2 pattern.
    pattern: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PATTERN)]
    action: Action = Action.REFUSE
    #: For `replace`: what stands in the prompt instead.
    replacement: Annotated[str, StringConstraints(max_length=MAX_PATTERN)] = ""

    def __hash__(self) -> int:
        # Of all rules with each request, to find their book: a text keeps its hash, a model would work it out anew.
        return hash(self.pattern)


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule found something."""

    rule: Rule
    #: Name of the text, such as `prompt` or `negative`.
    field: str
    #: Where in that text: first character and the one after the last.
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about a request."""

    hits: tuple[Hit, ...] = ()

    @property
    def action(self) -> Action | None:
        """The strictest of all."""
        return max((hit.rule.action for hit in self.hits), key=_STRICTNESS.__getitem__, default=None)

    def has(self, action: Action) -> bool:
        return any(hit.rule.action is action for hit in self.hits)

    def replaced(self, field: str, text: str) -> str:
        """The text of this field with what `replace` rules found replaced."""
        spans = sorted(
            ((hit.start, hit.end, hit.rule.replacement) for hit in self.hits
             if hit.field == field and hit.rule.action is Action.REPLACE),
            reverse=True,
        )  # fmt: skip
        limit = len(text)
        for start, end, instead in spans:
            if end <= limit:
                text = text[:start] + instead + text[end:]
                limit = start
        return " ".join(text.split())


class _Pattern(Protocol):
    """What is used of a compiled RE2 expression."""

    def finditer(self, text: str) -> Iterable[Any]: ...
    def search(self, text: str) -> Any: ...


class _Sieve:
    """Says at once, by RE2, that a text does not hold a word; made when the first text is suspect."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._pattern: _Pattern | None = None

    def lets_through(self, letters: str) -> bool:
        if self._pattern is None:
            self._pattern = _any_of([self._words])
        return self._pattern is None or self._pattern.search(letters) is not None


class Book:
    """The rules that hold somewhere, made ready."""

    def __init__(self, rules: Collection[Rule]) -> None:
        """Raises: BadRule."""
        self._words = [
            (rule, words, finder, _Sieve(words))
            for rule in rules
            if rule.kind == "word"
            for words, finder in [_word(rule)]
        ]
        self._expressions = [(rule, expression(rule.pattern)) for rule in rules if rule.kind == "regex"]
        self._any_word = _any_of([words for _, words, _, _ in self._words])

    def check(self, texts: Mapping[str, str]) -> Verdict:
        """Everything that a rule finds in any of these texts, by their names."""
        return Verdict(tuple(hit for field, text in texts.items() if text for hit in self._look(field, text)))

    def _look(self, field: str, text: str) -> Iterable[Hit]:
        read = readings(text)
        # Nearly every text has none of the words, and RE2 sees so in one look at all of them.
        suspect = [folded for folded in read if self._any_word is None or self._any_word.search(folded.letters)]
        for rule, words, finder, sieve in self._words if suspect else ():
            spans = {
                span
                for folded in suspect
                if sieve.lets_through(folded.letters)
                for match in finder.finditer(folded.letters)
                for span in [folded.span(match.start(), match.end())]
                if is_disguise(match.group(), text[slice(*span)], words)
            }
            yield from (Hit(rule, field, start, end) for start, end in sorted(spans))
        for rule, searched in self._expressions:
            # In the text itself a match has its place; in the other readings it counts for the whole text.
            spans: set[tuple[int, int]] = {match.span() for match in searched.finditer(text) if match.group()}
            others = [plain(text), *(letters_of(folded.letters) for folded in read)]
            if not spans and any(match.group() for other in others for match in searched.finditer(other)):
                spans = {(0, len(text))}
            yield from (Hit(rule, field, start, end) for start, end in sorted(spans))


@lru_cache(maxsize=256)
def book_of(rules: tuple[Rule, ...]) -> Book:
    """The same rules are made ready once. Raises: BadRule."""
    return Book(rules)


def _word(rule: Rule) -> tuple[tuple[str, ...], Any]:
    open_end = rule.pattern.endswith("*")
    words = tuple(folded for word in rule.pattern.rstrip("*").split() if (folded := fold_word(word)))
    if not words or (len(words) == 1 and len(words[0]) == 1 and words[0].isascii()):
        raise BadRule("rules.bad.short", "a word has at least two letters or figures")
    return words, pattern(words, open_end=open_end)


def _any_of(words: Collection[tuple[str, ...]]) -> _Pattern | None:
    """Finds every text that holds one of the words, and some others; None when there are too many for one pattern."""
    if not words:
        return None
    re2: Any = import_module("re2")  # it has no type hints
    options: Any = re2.Options()
    options.log_errors = False
    try:
        compiled: Any = re2.compile("|".join(anywhere(one) for one in words), options)
    except re2.error:
        return None
    return cast("_Pattern", compiled)


def expression(text: str) -> _Pattern:
    """An RE2 pattern, ready to use; upper and lower case are the same.

    Raises:
        BadRule: RE2 cannot read it, it finds nothing or everything, or it would take too much memory.
    """
    re2: Any = import_module("re2")  # it has no type hints
    options: Any = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        compiled: Any = re2.compile(text, options)
    except re2.error as problem:
        said = problem.args[0] if problem.args else problem
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise BadRule("rules.bad.regex", why[:150]) from None
    if compiled.search("") is not None:
        raise BadRule("rules.bad.empty", "it matches an empty text, so it would match every prompt")
    return cast("_Pattern", compiled)


def checked_rule(**fields: Any) -> Rule:
    """A rule from what somebody typed.

    Raises:
        BadRule: names what is wrong with it.
        pydantic.ValidationError: a field is missing or too long.
    """
    rule = Rule(**fields)
    book_of((rule,))
    if (
        rule.action is Action.REPLACE
        and Book([rule.model_copy(update={"replacement": ""})]).check({"": rule.replacement}).hits
    ):
        raise BadRule("rules.bad.replacement", "the replacement is itself what the rule looks for")
    return rule
