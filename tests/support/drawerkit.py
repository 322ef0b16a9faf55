"""A toy bank of discs and squares, and weights that draw from it: random, small, of the real classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from toyweights import WORDS, toy_codec, toy_unet
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from daguerre.models.drawer import bank
from daguerre.models.drawer.assemble import assemble
from daguerre.models.drawer.bank import BankThing, Entry, Reference
from daguerre.models.drawer.network import DrawerDenoiser, channels_in
from daguerre.models.training.drawer_run import export_denoiser

SIDE = 16
STYLES = ("noto", "twemoji", "3d", "pixel art")
#: key, caption, emoji, names, keywords, related, colour of its drawings
THINGS = (
    ("1F34E", "red apple", "🍎", {"de": "roter Apfel", "zh": "红苹果"}, {"en": ("apple", "fruit")}, {}, "red"),
    ("1F415", "dog", "🐕", {"de": "Hund", "fr": "chien", "ja": "イヌ", "zh": "狗"}, {"en": ("pet",)}, {"hound": 0.9},
     "brown"),
    ("1F3F0", "castle", "🏰", {"de": "Schloss", "zh": "城堡"}, {"en": ("building",)}, {"fortress": 0.95}, "grey"),
    ("1F409", "dragon", "🐉", {"de": "Drache", "ru": "дракон", "zh": "龙"}, {"en": ("fairy tale",)}, {}, "green"),
    ("zombie bee", "zombie bee", "", {}, {}, {}, "black"),
)  # fmt: skip


def picture(colour: str, number: int, side: int = SIDE) -> Image.Image:
    """A disc or a square of a colour, RGBA."""
    made = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(made)
    box = (2 + number % 3, 2, side - 3, side - 3 - number % 3)
    (draw.ellipse if number % 2 else draw.rectangle)(box, fill=colour)
    return made


def write_toy_bank(folder: Path, side: int = SIDE) -> bank.Bank:
    """Four things in four styles, and one that is no emoji in one."""
    entries: list[Entry] = []
    place = 0
    for key, caption, emoji, names, keywords, related, colour in THINGS:
        styles = STYLES if emoji else STYLES[-1:]
        drawings = tuple(
            Reference(f"{style.replace(' ', '-')}/{caption.replace(' ', '-')}", style, place + k)
            for k, style in enumerate(styles)
        )
        place += len(styles)
        files = tuple(bank.packed(np.asarray(picture(colour, STYLES.index(style), side)), 100) for style in styles)
        entries.append(Entry(BankThing(key, caption, emoji, names, keywords, related, drawings), files))
    bank.write(folder / bank.FILE, side, entries, {"noto": {"title": "Toy", "author": "us", "licence": "MIT"}})
    return bank.read(folder)


def toy_denoiser(size: int = SIDE) -> DrawerDenoiser:
    """Random weights whose pictures depend on words, time and references."""
    torch.manual_seed(5)
    vae = toy_codec()
    model = DrawerDenoiser(toy_unet(channels_in(4), size // 4), vae)
    with torch.no_grad():
        for weight in model.unet.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.eval()


def write_toy_words(folder: Path) -> Path:
    """A text encoder and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(11)
    more = ("dog", "castle", "dragon", "noto", "style", "hound", "green", "twemoji", ",")
    words = Tokenizer(models.WordLevel({word: k for k, word in enumerate((*WORDS, *more))}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    T5EncoderModel(
        T5Config(
            vocab_size=len(WORDS) + len(more), d_model=24, d_kv=8, d_ff=32, num_layers=1, num_heads=3, dropout_rate=0.0
        )
    ).save_pretrained(folder / "text_encoder")
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=8
    ).save_pretrained(folder / "tokenizer")
    return folder


def write_drawer_weights(folder: Path, *, reference_guidance: float = 0.0) -> Path:
    """A whole weights folder, assembled as a real one is."""
    parts = folder.with_name(folder.name + "-parts")
    export_denoiser(toy_denoiser(), parts / "denoiser")
    write_toy_bank(parts / "bank")
    assemble(parts / "denoiser", write_toy_words(parts), parts / "bank", folder, reference_guidance=reference_guidance)
    return folder
