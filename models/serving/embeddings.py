"""Textual inversions: words of the operator's that stand for vectors of a text encoder, asked for by name in a prompt.

Files of safetensors only, in a folder, named as they are asked for: `easynegative`, `<easynegative>` or
`embedding:easynegative`, as the web UIs do. The vectors are put into the encoders by diffusers' own
`load_textual_inversion` under a token of ours, so that a file that was replaced is another token. CLIP families alone:
Stable Diffusion 1 and 2 with one encoder, SDXL with two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..common import digest
from ..errors import EmbeddingUnfit, explained
from .attached import Stamp, stamp
from .laying import streams
from .requests import RenderRequest

#: What files call the vectors of the one encoder, or of the first and second.
_ONE = ("emb_params",)
_TWO = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))
#: Vectors of one name; a prompt has 75 tokens.
MOST_VECTORS = 75


def known_embeddings(folder: Path | None) -> Sequence[str]:
    """Names of those in a folder, in order."""
    if folder is None or not folder.is_dir():
        return ()
    return sorted(each.stem for each in folder.iterdir() if each.suffix == ".safetensors" and each.is_file())


class Embeddings:
    """Those of one pipeline."""

    def __init__(self, pipeline: Any, folder: Path | None, on_load: Callable[[], None] = lambda: None) -> None:
        """`on_load` is called when an encoder has learnt another word: copies of it have not."""
        self._pipeline = pipeline
        self._folder = folder
        self._on_load = on_load
        #: By name: the state of the file, when it was loaded, and the words that stand for it in a prompt.
        self._known: dict[str, tuple[Stamp, int, str]] = {}
        self._digests: dict[tuple[str, Stamp], str] = {}
        self._count = 0

    def settled(self, request: RenderRequest) -> tuple[RenderRequest, Mapping[str, str]]:
        """The request with the tokens of what its texts name, and the digests of those.

        Raises:
            EmbeddingUnfit: one is damaged, or was made for another model; says which.
        """
        names = known_embeddings(self._folder)
        if not names or not _encoders(self._pipeline):
            return request, {}
        # Longer names first, so that `ink-2` is not read as `ink`.
        either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w-])(?:embedding:\s*)?(<)?(?P<name>{either})(?(1)>)(?![\w-])", re.IGNORECASE)
        by_lower = {name.casefold(): name for name in names}
        texts = (request.prompt, request.negative, *(text for text, _ in request.parts))
        named = {by_lower[found["name"].casefold()] for text in texts for found in pattern.finditer(text)}
        if not named:
            return request, {}
        # In one order, whatever was loaded before: SDXL's second encoder looks at the token that came last.
        after, used = 0, dict[str, str]()
        for name in sorted(named):
            after, used[name] = self._ready(name, after)

        def read(text: str) -> str:
            return pattern.sub(lambda found: self._known[by_lower[found["name"].casefold()]][2], text)

        parts = tuple((read(text), weight) for text, weight in request.parts)
        return replace(request, prompt=read(request.prompt), negative=read(request.negative), parts=parts), used

    def _ready(self, name: str, after: int) -> tuple[int, str]:
        """Load it where it was not, the file is another now, or it came before `after`; gives when, and its digest."""
        assert self._folder is not None
        file = self._folder / f"{name}.safetensors"
        now = stamp(file)
        known, loaded, _ = self._known.get(name, ((), 0, ""))
        if known != now or loaded <= after:
            # Outside of what `tick` does, so that the encoders may be moved and changed later.
            with torch.inference_mode(False), torch.no_grad():
                words = self._load(name, file)
            self._known[name] = (now, self._count, words)
            self._on_load()
        key = (name, now)
        if key not in self._digests:
            self._digests[key] = digest(file)
        return self._known[name][1], self._digests[key]

    def _load(self, name: str, file: Path) -> str:
        encoders = _encoders(self._pipeline)
        vectors = read_vectors(file, len(encoders))
        for (_, encoder), found in zip(encoders, vectors, strict=True):
            width = int(encoder.get_input_embeddings().weight.shape[1])
            if found.shape[1] != width:
                raise EmbeddingUnfit(
                    f"The embedding {name} was made for another base model: its vectors have {found.shape[1]} numbers, "
                    f"this model's {width}."
                )
        if any(streams(encoder) for _, encoder in encoders):
            raise EmbeddingUnfit(
                f"The embedding {name} cannot be used: this device is so full that the text encoders wait in main "
                "memory, and such ones learn no words."
            )
        self._count += 1
        # A token for each vector, as the stock pipeline has them; by names which it does not write out once more.
        tokens = [f"embedding{self._count}x{k}x" for k in range(len(vectors[0]))]
        for (tokenizer, encoder), found in zip(encoders, vectors, strict=True):
            with explained(EmbeddingUnfit, f"The embedding {name} cannot be used: {{problem}}."):
                self._pipeline.load_textual_inversion(
                    found if len(tokens) > 1 else found[0], token=tokens if len(tokens) > 1 else tokens[0],
                    text_encoder=encoder, tokenizer=tokenizer,
                )  # fmt: skip
        return " ".join(tokens)


def read_vectors(file: Path, encoders: int) -> Sequence[Tensor]:
    """(vectors, width) for each encoder.

    Raises:
        EmbeddingUnfit: it is damaged, no textual inversion, or one for another number of encoders; says which.
    """
    name = file.stem
    with explained(EmbeddingUnfit, f"The embedding {name} is damaged: {{problem}}. Copy it again."):
        held = load_file(file)
    two = next((pair for pair in _TWO if all(each in held for each in pair)), None)
    if two is not None:
        found = [held[each] for each in two]
    elif len(held) == 1 or any(each in held for each in _ONE):
        found = [held[next((each for each in _ONE if each in held), next(iter(held)))]]
    else:
        raise EmbeddingUnfit(f"The file {file.name} holds no textual inversion: its tensors are named as in none.")
    found = [each[None] if each.dim() == 1 else each for each in found]
    if any(each.dim() != 2 or not 1 <= len(each) <= MOST_VECTORS or len(each) != len(found[0]) for each in found):
        raise EmbeddingUnfit(f"The file {file.name} holds no textual inversion: its tensors have other shapes.")
    if not all(bool(torch.isfinite(each.float()).all()) for each in found):
        raise EmbeddingUnfit(f"The embedding {name} has values that are no numbers: it is damaged.")
    if len(found) != encoders:
        made_for = "SDXL, which has two text encoders" if len(found) == 2 else "a model with one text encoder"
        raise EmbeddingUnfit(f"The embedding {name} was made for another base model: for {made_for}.")
    return found


def _encoders(pipeline: Any) -> list[tuple[Any, Any]]:
    """Tokenizers and text encoders that belong together; none where one of them is no CLIP model."""
    if not hasattr(pipeline, "load_textual_inversion"):
        return []
    numbers = [number for number in ("", "_2", "_3") if getattr(pipeline, f"text_encoder{number}", None) is not None]
    found = [(getattr(pipeline, f"tokenizer{k}", None), getattr(pipeline, f"text_encoder{k}")) for k in numbers]
    fit = all(tokenizer is not None and "CLIPText" in type(encoder).__name__ for tokenizer, encoder in found)
    return found if fit else []
