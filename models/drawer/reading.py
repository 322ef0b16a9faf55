"""Texts → what the denoiser reads of them, by the text encoder of the weights; each by itself, and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Texts that are remembered.
REMEMBERED = 512


class Reader:
    """Reads texts as training did: padded to the tokenizer's length, padding masked."""

    def __init__(self, encoder: Any, tokenizer: Any) -> None:
        """A T5EncoderModel and its tokenizer."""
        self._encoder = encoder.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(self, text: str) -> Tensor:
        """One text as states (1, L, W); encoded alone, so that no bit depends on another."""
        if text not in self._texts:
            self._texts[text] = self._states([text], masked=True)
            while len(self._texts) > REMEMBERED:
                self._texts.popitem(last=False)
        self._texts.move_to_end(text)
        return self._texts[text]

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, W): what texts mean, for the search.

        The mean of all states, padding with them: so the encoder was taught what names mean (twice as many names of
        other languages lie nearest to their own thing than with padding masked).
        """
        parts = [
            self._states(texts[k : k + 64], masked=False).mean(1).float().cpu().numpy()
            for k in range(0, len(texts), 64)
        ]
        return np.concatenate(parts)

    @torch.no_grad()
    def _states(self, texts: Sequence[str], *, masked: bool) -> Tensor:
        found = self._tokenizer(
            list(texts), padding="max_length", max_length=self._tokenizer.model_max_length, truncation=True,
            return_tensors="pt",
        )  # fmt: skip
        ids = found.input_ids.to(self._encoder.device)
        words = (ids != self._tokenizer.pad_token_id).long()
        return self._encoder(ids, attention_mask=words if masked else None)[0]
