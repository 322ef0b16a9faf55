"""Prompts as people write them for CLIP models: `(word:1.2)`, `((word))`, `[word]`, `BREAK`, longer than 77 tokens,
and `<lora:name:0.8>` for any model.

The weights multiply a word's vectors and the mean of all is restored, longer prompts are read in chunks that are put
one after the other: both as the AUTOMATIC1111 web UI does, whose prompts people have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .requests import RenderRequest

#: What one pair of brackets without a number multiplies by, or divides.
BRACKET = 1.1
#: Chunks that are read of one prompt; the rest is cut.
MOST_CHUNKS = 4
_LORA = re.compile(r"\s*<lora:(?P<name>[^:<>]+)(?::(?P<weight>-?\d+(?:\.\d+)?))?(?::[^<>]*)?>")
_TOKEN = re.compile(
    r"\\(?P<escaped>[()\[\]\\])|(?P<open>[(\[])|:\s*(?P<weight>\d+(?:\.\d+)?)\s*\)|(?P<close>[)\]])"
    r"|(?P<words>[^\\()\[\]:]+|:|\\)"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of one weight."""

    text: str
    weight: float = 1.0
    #: The next chunk begins after it.
    breaks: bool = False


def settled(request: RenderRequest) -> RenderRequest:
    """The request with `<lora:name:0.8>` taken out of its texts and put among its adapters."""
    texts = (request.prompt, request.negative, *(text for text, _ in request.parts))
    if not any("<lora:" in text for text in texts):
        return request
    found: dict[str, str] = {}

    def without(text: str) -> str:
        for match in _LORA.finditer(text):
            name, weight = match["name"].strip(), match["weight"]
            found.setdefault(name, name if weight is None or float(weight) == 1 else f"{name}:{float(weight):g}")
        return _LORA.sub("", text).strip()

    prompt, negative = without(request.prompt), without(request.negative)
    parts = tuple((without(text), weight) for text, weight in request.parts)
    named = {name.partition(":")[0] for name in request.adapters}
    more = tuple(told for name, told in found.items() if name not in named)
    return replace(request, prompt=prompt, negative=negative, parts=parts, adapters=(*request.adapters, *more))


def pieces(text: str) -> tuple[Piece, ...]:
    """A prompt by weight; brackets that are not closed are words."""
    parsed = _parsed(text)
    if parsed is None:
        parsed = [(text, 1.0)]
    made: list[Piece] = []
    for words, weight in parsed:
        parts = _BREAK.split(words)
        made += [Piece(part, weight, breaks=k < len(parts) - 1) for k, part in enumerate(parts)]
    return tuple(piece for piece in made if piece.text.strip() or piece.breaks)


def plain_text(text: str) -> str:
    """The words without the marks, for prompts whose marks say nothing."""
    found = pieces(text)
    return "".join(piece.text for piece in found) if found else text


def _parsed(text: str) -> list[tuple[str, float]] | None:
    """Words and their weight, neighbours of one weight together; None where brackets do not match."""
    found: list[list[Any]] = []
    opened: list[tuple[str, int]] = []

    def add(words: str) -> None:
        found.append([words, 1.0])

    def times(begin: int, factor: float) -> None:
        for each in found[begin:]:
            each[1] *= factor

    for match in _TOKEN.finditer(text):
        if match["escaped"] is not None:
            add(match["escaped"])
        elif match["open"] is not None:
            opened.append((match["open"], len(found)))
        elif match["weight"] is not None:
            if not opened or opened[-1][0] != "(":
                return None
            times(opened.pop()[1], float(match["weight"]))
        elif match["close"] is not None:
            pair = "(" if match["close"] == ")" else "["
            if not opened or opened[-1][0] != pair:
                return None
            times(opened.pop()[1], BRACKET if pair == "(" else 1 / BRACKET)
        else:
            add(match["words"])
    if opened:
        return None
    joined: list[tuple[str, float]] = []
    for words, weight in found:
        if joined and abs(joined[-1][1] - weight) < 1e-9:
            joined[-1] = (joined[-1][0] + words, weight)
        else:
            joined.append((words, weight))
    return joined


@dataclass(frozen=True, slots=True)
class Chunks:
    """A prompt as numbers of one tokenizer: rows of its full length, special tokens and padding included."""

    ids: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    #: Tokens at the end that are not read.
    cut: int = 0

    @property
    def plain(self) -> bool:
        """Whether the stock pipeline reads it the same way."""
        return len(self.ids) == 1 and all(weight == 1 for row in self.weights for weight in row)


def chunks(tokenizer: Any, text: str, at_least: int = 1) -> Chunks:
    """Tokens of a prompt in chunks, filled up with empty ones to `at_least`."""
    length = int(tokenizer.model_max_length)
    begin, end = _specials(tokenizer)
    limit = length - len(begin) - len(end)
    rows: list[list[tuple[int, float]]] = [[]]
    for piece in pieces(text):
        for token in tokenizer(piece.text, add_special_tokens=False, truncation=False, verbose=False).input_ids:
            if len(rows[-1]) == limit:
                rows.append([])
            rows[-1].append((int(token), piece.weight))
        if piece.breaks:
            rows.append([])
    rows = [row for k, row in enumerate(rows) if row or not k]
    cut = sum(len(row) for row in rows[MOST_CHUNKS:])
    rows = rows[:MOST_CHUNKS]
    rows += [[] for _ in range(at_least - len(rows))]
    pad = int(tokenizer.pad_token_id or 0)
    ids: list[tuple[int, ...]] = []
    weights: list[tuple[float, ...]] = []
    for row in rows:
        whole = [*begin, *(token for token, _ in row), *end]
        rest = length - len(whole)
        ids.append((*whole, *[pad] * rest))
        weights.append((*[1.0] * len(begin), *(weight for _, weight in row), *[1.0] * (len(end) + rest)))
    return Chunks(tuple(ids), tuple(weights), cut)


def _specials(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Tokens before and after every text."""
    bare = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    for k in range(len(whole) - len(bare) + 1):
        if whole[k : k + len(bare)] == bare:
            return whole[:k], whole[k + len(bare) :]
    return [], []


def weighted(read: Callable[[Tensor], Tensor], found: Chunks, device: str) -> Tensor:
    """(1, chunks · length, width): what an encoder says of each chunk, its words by their weights.

    `read`: (chunks, length) token ids → (chunks, length, width).
    """
    states = read(torch.tensor(found.ids, device=device))
    factors = torch.tensor(found.weights, device=device, dtype=states.dtype)[:, :, None]
    if bool((factors != 1).any()):
        mean = states.float().mean()
        states = states * factors
        states = states * (mean / states.float().mean()).to(states.dtype)
    return states.flatten(0, 1)[None]


def cut_tokens(tokenizer: Any, text: str, length: int) -> int:
    """How many tokens of a text a model that reads `length` of them does not read."""
    if tokenizer is None or not text:
        return 0
    found: Sequence[int] = tokenizer(text, truncation=False, verbose=False).input_ids
    return max(0, len(found) - length)
