"""The denoiser that draws from drawings, as the engine's loop knows networks: rows of latents, a context each."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..common import cut_out, digest_of
from ..drawer import bank
from ..drawer.network import Context, premultiplied
from ..drawer.pipeline import DrawerPipeline, context_of, joined
from ..drawer.reading import Reader
from ..drawer.shelf import Shelf
from ..errors import BankRefused
from .exact import layers_apart, padded
from .network import Variant
from .program import Program
from .samplers import Samplers

log = logging.getLogger(__name__)

#: Contexts that are remembered, some ten kilobytes each.
REMEMBERED = 256


class DrawerNetwork:
    """The parts of one loaded pipeline on its device."""

    xl = False
    #: There is none: drawings are small.
    program: Program | None = None

    def __init__(self, pipeline: DrawerPipeline, device: str, shelf: Shelf) -> None:
        """Takes over `pipeline`, which is on `device`."""
        self.device = device
        self.shelf = shelf
        self.reader = Reader(pipeline.text_encoder, pipeline.tokenizer)
        self.denoiser = pipeline.denoiser.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.native = self.denoiser.size
        #: Side of latents, and pixels along one side of each.
        self.cells = self.denoiser.latent
        self.factor = self.native // self.cells
        self.channels = self.denoiser.channels
        self.kind = self.denoiser.dtype
        self.samplers = Samplers(pipeline.scheduler)
        #: Guidance of the references; 0: as much as that of the words.
        self.reference_guidance = float(pipeline.config.reference_guidance)
        self._least = 1
        if device == "cpu":
            layers_apart(self.denoiser.unet)
            self._least = max(2, torch.get_num_threads())
        self.plain = Variant("", pipeline, self.denoiser)
        self._contexts: OrderedDict[tuple[str, tuple[str, ...]], Context] = OrderedDict()
        self._joined: tuple[tuple[int, ...], Sequence[Context], Context] | None = None

    @property
    def exact_rows(self) -> bool:
        """Whether a row's bits do not depend on the number of rows."""
        return self.device == "cpu" and self.kind == torch.float32

    def compiled(self, variant: Variant, height: int, width: int, *, tile: bool, canonical: int = 0) -> Program | None:
        """None: see `program`."""
        return None

    # What rows are drawn from

    def encode_prompt(self, variant: Variant, text: str, *_: int) -> Context:
        """A text without any reference."""
        return self.context(text, ())

    def context(self, text: str, ids: Sequence[str]) -> Context:
        """A text with drawings of the banks, see `Shown.ids`.

        Raises:
            Unfit, BankRefused: a drawing is not there any more, or is damaged.
        """
        key = (text, tuple(ids))
        if key not in self._contexts:
            shown = self.shelf.pictures(ids) if ids else None
            self._contexts[key] = context_of(self.denoiser, self.reader(text), shown)
            while len(self._contexts) > REMEMBERED:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return self._contexts[key]

    def read(self, variant: Variant, texts: Sequence[str]) -> None:
        """Nothing is read ahead: each picture has references of its own."""

    # A step

    def forward(
        self, variant: Variant, samples: Tensor, times: Tensor, words: Sequence[Context], *, tile: bool = False,
        canonical: int = 0,
    ) -> Tensor:  # fmt: skip
        """One pass of R rows, see `Network.forward`; the clean latents, (R, C, h, w), float32.

        Args:
            times: (R,) in [0, 1000].
        """
        size = max(canonical, self._least) if canonical else len(samples)
        made = [
            self._pass(samples[k : k + size], times[k : k + size], words[k : k + size], canonical)
            for k in range(0, len(samples), size)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)

    def _pass(self, samples: Tensor, times: Tensor, words: Sequence[Context], canonical: int) -> Tensor:
        rows, wanted = len(samples), max(canonical, self._least)
        filled = [*words, *[words[0]] * (wanted - rows)]
        return self.denoiser(padded(samples, wanted), padded(times, wanted) / 1000, self._together(filled))[:rows]

    def _together(self, contexts: Sequence[Context]) -> Context:
        """Joined, and kept for the next step, which mostly has the same rows."""
        key = tuple(map(id, contexts))
        if self._joined is None or self._joined[0] != key:
            # The contexts are kept with their join, so that no other one can take their identity.
            self._joined = key, contexts, joined(contexts)
        return self._joined[2]

    @staticmethod
    def bounded(outputs: Tensor) -> Tensor:
        """What guidance made of the outputs, as it is: latents know no bounds."""
        return outputs

    # The codec

    def encode(self, picture: Image.Image) -> Tensor:
        """A picture, cut out where its background is even, as latents (1, C, h, w)."""
        whole = picture if picture.mode == "RGBA" else cut_out(picture)
        small = whole.convert("RGBa").resize((self.native, self.native), Image.Resampling.LANCZOS).convert("RGBA")
        return self.denoiser.encode(premultiplied(torch.from_numpy(np.array(small)))[None])

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (1, C, h, w) → (1, 4, S, S), premultiplied in [-1, 1]."""
        return self.denoiser.decode(latents)


def drawer_network(pipeline: DrawerPipeline, device: str, weights: Path, own_bank: Path | None) -> DrawerNetwork:
    """With the bank of the weights; where it cannot be used they draw from words alone."""
    side = pipeline.denoiser.size
    try:
        shipped = bank.read(weights / bank.FOLDER, side=side)
    except BankRefused as problem:
        log.warning("pictures are drawn from words alone reason=%s", problem)
        shipped = None
    reader = Reader(pipeline.text_encoder, pipeline.tokenizer)
    # Vectors of another encoder say nothing.
    same = shipped is not None and shipped.encoder == digest_of(weights / "text_encoder")
    return DrawerNetwork(pipeline, device, Shelf(shipped, own_bank, side, reader.vectors if same else None))
