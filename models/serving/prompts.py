"""Lists of prompts: a text file with one a line, or JSON Lines with more about each."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError

#: Endings of files that are read as JSON Lines.
JSON_LINES = frozenset({".jsonl", ".ndjson"})
#: Bad lines that an error lists.
LISTED = 20


@dataclass(frozen=True, slots=True)
class Prompt:
    """One line; None means what the whole list says."""

    text: str
    negative: str = ""
    #: Of the first picture; the next ones count up.
    seed: int | None = None
    count: int | None = None
    steps: int | None = None
    guidance: float | None = None
    #: Delivered size in pixels.
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that is to be rendered."""

    number: int
    text: str
    negative: str
    seed: int
    steps: int
    guidance: float
    width: int
    height: int

    @property
    def file_name(self) -> str:
        """Path below the folder; from the thousandth on, each thousand has a folder of its own."""
        name = f"{self.number:06}.png"
        return name if self.number < 1000 else f"{self.number // 1000:04}/{name}"


def read_prompts(file: Path) -> list[Prompt]:
    """Read a list; empty lines are skipped.

    JSON Lines have `prompt` (or `text`), and may have negative, seed, count, steps, guidance, width, height.

    Raises:
        DataError: the file cannot be read, holds no prompt, or has bad lines; all of those are listed at once.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as problem:
        raise DataError(f"Cannot read the prompts in {file}: {problem.strerror or problem}") from problem
    prompts: list[Prompt] = []
    bad: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                prompts.append(_from_json(text) if file.suffix.lower() in JSON_LINES else _plain(text))
        except UnicodeDecodeError:
            bad.append(f"line {number}: not UTF-8")
        except ValueError as problem:
            bad.append(f"line {number}: {problem}")
    if bad:
        more = f"\n… and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
        raise DataError(
            f"{file} has {len(bad)} bad line{'s' * (len(bad) > 1)}; nothing was rendered. Correct them and run again:\n"
            + "\n".join(bad[:LISTED])
            + more
        )
    if not prompts:
        raise DataError(f"{file} holds no prompt. Write one a line, or JSON Lines in a file that ends in .jsonl")
    return prompts


def plan(prompts: Sequence[Prompt], *, count: int, steps: int, guidance: float, size: int) -> list[Picture]:
    """Every picture of the list, in order; the same list gives the same pictures. Pure.

    A line without a seed gets one from its words and from how many lines before it say the same.
    """
    pictures: list[Picture] = []
    said: Counter[tuple[str, str]] = Counter()
    for prompt in prompts:
        words = (prompt.text, prompt.negative)
        first = _seed(*words, said[words]) if prompt.seed is None else prompt.seed
        said[words] += 1
        for further in range(count if prompt.count is None else prompt.count):
            pictures.append(
                Picture(
                    number=len(pictures),
                    text=prompt.text,
                    negative=prompt.negative,
                    seed=(first + further) % 2**32,
                    steps=prompt.steps or steps,
                    guidance=guidance if prompt.guidance is None else prompt.guidance,
                    width=prompt.width or size,
                    height=prompt.height or size,
                )
            )
    return pictures


def _seed(text: str, negative: str, before: int) -> int:
    digest = hashlib.sha256(f"{text}\0{negative}\0{before}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _plain(text: str) -> Prompt:
    if unseen := [character for character in text if ord(character) < 32 and character != "\t"]:
        raise ValueError(f"holds the control character {unseen[0]!r}")
    return Prompt(text)


#: Key of a JSON line → its field, type, smallest and largest value.
_NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "seed": (int, 0, 2**32 - 1),
    "count": (int, 1, 100_000),
    "steps": (int, 1, 1_000),
    "guidance": (float, 0, 50),
    "width": (int, 16, 4_096),
    "height": (int, 16, 4_096),
}


def _from_json(text: str) -> Prompt:
    """One JSON line.

    Raises:
        ValueError: says what is wrong with it.
    """
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as problem:
        raise ValueError(f"not JSON ({problem.msg})") from None
    if not isinstance(content, dict):
        raise ValueError('not an object like {"prompt": "a red apple", "seed": 7}')  # noqa: TRY004  listed by its line
    if unknown := sorted(set(content) - {"prompt", "text", "negative", *_NUMBERS}):
        raise ValueError(f"unknown key {unknown[0]!r}")
    words = content.get("prompt", content.get("text"))
    if not isinstance(words, str) or not words.strip():
        raise ValueError('no "prompt"')
    negative = content.get("negative") or ""
    if not isinstance(negative, str):
        raise ValueError('"negative" is not a text')  # noqa: TRY004  listed by its line
    numbers: dict[str, Any] = {}
    for key, (kind, least, most) in _NUMBERS.items():
        value = content.get(key)
        if value is None:
            continue
        fits = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
        if not fits or not least <= value <= most:
            raise ValueError(f'"{key}" is {value!r}, not a {"whole " * (kind is int)}number from {least} to {most}')
        numbers[key] = kind(value)
    return Prompt(words.strip(), negative.strip(), **numbers)
