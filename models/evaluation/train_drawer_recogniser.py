"""Train the judge of the drawer on real drawings, and measure it on drawings that it never saw.

Nothing is shared with the networks it judges but the drawings: its seed, network, loss and changes are its own. It
learns all things, those also that are held out of the denoiser's training: it is the judge.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data.colours import COLOURS
from ..data.drawer import Drawer, Thing, drawer
from ..data.emoji import GROUPS
from ..data.siblings import sibling_group
from ..data.store import SpriteSet
from ..errors import DataMissing, TrainingError
from ..training import checkpoints
from ..training.schedule import learning_rate
from .drawer_recogniser import ThingRecogniser, load, recognise, save
from .drawer_worse import worsen
from .intervals import Share
from .validate import shares_card

Report = Callable[[str], None]
Stop = Callable[[], bool]
#: A thing needs so many drawings to be known, and so many for one of them to be kept for validation.
FEWEST, KEPT = 2, 4


@dataclass(frozen=True, slots=True)
class DrawerRecogniserRecipe:
    """Every number of a run; `seed` differs from that of every network it will judge."""

    widths: tuple[int, ...] = (32, 64, 128, 224)
    batch: int = 96
    steps: int = 4_000
    rate: float = 3e-3
    weight_decay: float = 0.03
    warmup: int = 100
    #: Share of the steps, at the end, in which the rate goes to zero.
    decay: float = 0.5
    ema: float = 0.998
    smoothing: float = 0.1
    #: Share of the drawings whose hues are turned; never where the thing is called by a colour.
    tinted: float = 0.25
    seed: int = 20_781
    save_minutes: float = 3.0
    #: Multiply in bfloat16, where the processor has instructions for it.
    bfloat16: bool = True


@dataclass(frozen=True, slots=True)
class Split:
    """Drawings to learn from, and one of each thing that is kept; by place of the thing among `things`."""

    things: tuple[Thing, ...]
    train: tuple[tuple[int, ...], ...]
    kept: Mapping[int, int]


def split(found: Drawer) -> Split:
    """One drawing of every thing with four or more is kept, chosen by a hash of the thing's key.

    Raises:
        DataMissing: the set holds no thing that was drawn twice.
    """
    things = tuple(thing for thing in found.things if len(thing.drawings) >= FEWEST)
    if not things:
        raise DataMissing("The data set holds no thing that was drawn twice. Build it with: daguerre data build")
    kept: dict[int, int] = {}
    train: list[tuple[int, ...]] = []
    for place, thing in enumerate(things):
        if len(thing.drawings) >= KEPT:
            digest = hashlib.sha256(f"judge/{thing.key}".encode()).hexdigest()
            kept[place] = thing.drawings[int(digest, 16) % len(thing.drawings)]
        train.append(tuple(i for i in thing.drawings if i != kept.get(place)))
    return Split(things, tuple(train), kept)


def train_drawer_recogniser(
    recipe: DrawerRecogniserRecipe,
    sprites: SpriteSet,
    run: Path,
    weights: Path,
    report: Report = print,
    stop: Stop = lambda: False,
) -> ThingRecogniser:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; each save is written to `weights`.

    Raises:
        DataMissing: no thing was drawn twice.
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up.
    found = drawer(sprites.rows)
    data = split(found)
    styles = sorted(set(found.styles.values()))
    style_of = {i: styles.index(word) for i, word in found.styles.items()}
    # Emoji are what is asked for; what was drawn more often is seen more often.
    several = zip(data.things, data.train, strict=True)
    odds = [(2.0 if thing.emoji else 1.0) * len(each) ** 0.5 for thing, each in several]
    fixed = [not COLOURS.keys().isdisjoint(thing.caption.lower().split()) for thing in data.things]
    torch.manual_seed(recipe.seed)
    model = ThingRecogniser([thing.key for thing in data.things], styles, recipe.widths)
    model.to(memory_format=torch.channels_last)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    optimizer = torch.optim.AdamW(
        [
            {"params": [each for each in model.parameters() if each.ndim > 1]},
            {"params": [each for each in model.parameters() if each.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    modules: dict[str, nn.Module] = {"model": model, "average": average}
    checkpoint = run / "recogniser-drawer.safetensors"
    step, seconds = 0, 0.0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, modules, optimizer)
        step, seconds = numbers["step"], numbers["seconds"]
        report(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "recogniser-drawer.json").write_text(json.dumps(asdict(recipe), indent=1))
    tiles = recipe.bfloat16 and has_bfloat16()
    saved = shown = began = time.monotonic()
    first, before = step, seconds
    smooth = 0.0

    def keep() -> None:
        checkpoints.save(checkpoint, modules, optimizer, {"step": step, "seconds": seconds})
        card = {"recipe": asdict(recipe), "steps": step, "samples": step * recipe.batch, "minutes": seconds / 60}
        save(average.module, weights, card | measure(average.module, sprites, found, data, report))

    model.train()
    while step < recipe.steps and not stop():
        # One batch, the same at every call.
        choose = random.Random(f"judge/{recipe.seed}/{step}")
        generator = torch.Generator().manual_seed(choose.getrandbits(60))
        picked = choose.choices(range(len(data.things)), odds, k=recipe.batch)
        drawn = [choose.choice(data.train[place]) for place in picked]
        tinted = torch.tensor([choose.random() < recipe.tinted and not fixed[place] for place in picked])
        pictures = worsen(_pixels(sprites, drawn), tinted, generator).contiguous(memory_format=torch.channels_last)
        styled = torch.tensor([style_of[i] for i in drawn])

        # Update.
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * learning_rate(step, recipe.steps, recipe.warmup, recipe.decay)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=tiles):
            thing, style = model(pictures)
        lost = functional.cross_entropy(thing.float(), torch.tensor(picked), label_smoothing=recipe.smoothing)
        loss = lost + functional.cross_entropy(style.float(), styled, label_smoothing=recipe.smoothing)
        if not torch.isfinite(loss):
            raise TrainingError(f"The loss is {loss.item()} at step {step}. Lower `rate`; {checkpoint} is good.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(model)
        step += 1

        # Report and save.
        smooth = lost.item() if not smooth else 0.98 * smooth + 0.02 * lost.item()
        seconds = before + time.monotonic() - began
        if time.monotonic() - shown > 20 or step == recipe.steps:
            shown = time.monotonic()
            pace = (step - first) * recipe.batch / (shown - began)
            report(f"recogniser step {step}/{recipe.steps} thing {smooth:.3f} {pace:.0f} samples/s")
        if time.monotonic() - saved > 60 * recipe.save_minutes:
            keep()
            saved = time.monotonic()
    keep()
    return load(weights)


def measure(
    model: ThingRecogniser, sprites: SpriteSet, found: Drawer, data: Split, report: Report
) -> dict[str, object]:
    """Top-1, top-5, siblings and style on the drawings that were kept, by emoji's group too; for the card."""
    places = sorted(data.kept)
    drawn = [data.kept[place] for place in places]
    pixels = _pixels(sprites, drawn)
    alpha = pixels[:, 3:]
    things, styles = recognise(model, torch.cat([pixels[:, :3] * alpha, alpha], 1) * 2 - 1)
    truth = torch.tensor(places)
    best = things.topk(min(5, things.shape[1]), 1).indices
    hits = best == truth[:, None]
    names = [sibling_group(thing.caption) for thing in data.things]
    alike = [names[int(top)] == names[place] for top, place in zip(best[:, 0], places, strict=True)]
    words = [model.styles.index(found.styles[i]) for i in drawn]
    shares = {
        "top1": _share(hits[:, 0].tolist()), "top5": _share(hits.any(1).tolist()), "siblings_top1": _share(alike),
        "style": _share((styles.argmax(1) == torch.tensor(words)).tolist()),
    }  # fmt: skip
    groups: dict[str, list[int]] = {}
    for at, place in enumerate(places):
        thing = data.things[place]
        kind = (GROUPS[thing.group] if thing.group >= 0 else "other emoji") if thing.emoji else "no emoji"
        groups.setdefault(kind, []).append(at)
    emoji = [at for kind, each in groups.items() if kind != "no emoji" for at in each]
    groups["all emoji"] = emoji
    told = " ".join(f"{name} {share.value or 0:.3f}" for name, share in shares.items())
    known = float(hits[emoji, 0].float().mean())
    report(f"real drawings that it never saw ({len(places)}): {told}; emoji top1 {known:.3f}")
    by_group = {
        kind: shares_card(
            {"top1": _share(hits[at, 0].tolist()), "top5": _share(hits[at].any(1).tolist())}
        ) for kind, at in sorted(groups.items())
    }  # fmt: skip
    return {"accuracy": shares_card(shares), "by_group": by_group}


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


def _share(right: Sequence[bool]) -> Share:
    return Share(sum(right), len(right))


def _pixels(sprites: SpriteSet, which: Sequence[int]) -> Tensor:
    """(B, 4, S, S) straight, in [0, 1]."""
    return torch.from_numpy(sprites.images[np.asarray(which)]).permute(0, 3, 1, 2).float() / 255
