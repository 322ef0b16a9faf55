"""Byte-level BPE (Sennrich et al., 1508.07909; bytes as in GPT-2): any language, never an unknown token."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .networks import TEXT_LENGTH


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Learn merges from captions; lower case and NFKC, so that `Apple` and `ａｐｐｌｅ` are `apple`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    # Chinese, Japanese and Korean write without spaces: each character stands alone, or merges would join the end of
    # one word to the beginning of the next.
    alone = pre_tokenizers.Split(Regex(r"[\u2E80-\u9FFF\uAC00-\uD7AF\uFF00-\uFFEF]"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([alone, pre_tokenizers.ByteLevel(add_prefix_space=True)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=TEXT_LENGTH, **{"pad_token": "<pad>", "eos_token": "</s>"}
    )


def tokenize(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Tensor:
    """Token ids (B, `TEXT_LENGTH`), padded and cut exactly as the stock pipeline does it."""
    encoded = tokenizer(list(texts), padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids


def tokenize_split(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], choose: random.Random, share: float, least: int
) -> Tensor:
    """As `tokenize`, with a `share` of the words cut in two at a random letter before merging, for training.

    Rare and unseen words fall apart into pieces; this way their pieces have been seen too (as BPE-dropout, 1910.13267,
    whose own form in the library cannot be seeded).

    Args:
        least: padded to the longest text, at least to `least` tokens and at most to `TEXT_LENGTH`.

    Returns:
        int64 (B, T).
    """
    backend = tokenizer.backend_tokenizer
    rows: list[list[int]] = []
    for text in texts:
        ids: list[int] = []
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
            parts = [word]
            # The first character stands for the space before the word: never alone.
            if len(word) > 3 and choose.random() < share:
                cut = choose.randrange(2, len(word))
                parts = [word[:cut], word[cut:]]
            ids += [token.id for part in parts for token in backend.model.tokenize(part)]
        rows.append([*ids[: TEXT_LENGTH - 1], tokenizer.eos_token_id])
    length = min(TEXT_LENGTH, max(least, *map(len, rows)))
    return torch.tensor([row + [tokenizer.pad_token_id] * (length - len(row)) for row in rows])
