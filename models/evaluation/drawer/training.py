"""Train the judge of the drawer on real drawings, and measure it on drawings that it never saw.

Nothing is shared with the networks it judges but the drawings: its seed, network, loss and changes are its own. It
learns all things, those also that are held out of the denoiser's training: it is the judge.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...common import Lines, Progress
from ...data import GROUPS, Drawer, DrawerThing, SpriteSet, drawer, sibling_group
from ...data.colours import COLOURS
from ...errors import DataMissing
from ...training import BROKEN, Objective, State, Stop, never, train
from ...training.drawer import native_bfloat16
from ...training.drawer_latents import premultiplied, straight_pixels
from ..intervals import Share
from ..validate import shares_card
from .features import GROUNDS, STYLE_SIZE, THING_SIZE, describe
from .recogniser import ThingRecogniser, load, recognise, save, save_card
from .worse import worsen

Report = Callable[[str], None]
#: A thing needs so many drawings to be known, and so many for one of them to be kept for validation.
FEWEST, KEPT = 2, 4


@dataclass(frozen=True, slots=True)
class DrawerRecogniserRecipe:
    """Every number of a run; `seed` differs from that of every network it will judge."""

    width: int = 320
    hidden: int = 768
    #: Worsened views of every drawing that are learned beside the drawing itself.
    views: int = 4
    #: Times that each view is seen.
    epochs: int = 8
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 50
    ema: float = 0.995
    smoothing: float = 0.1
    #: What is added to the scatter within things, as a share of its mean.
    ridge: float = 0.3
    #: Sharpness of the discriminants' first probabilities.
    sharpness: float = 0.35
    #: Share of the drawings whose hues are turned; never where the thing is called by a colour.
    tinted: float = 0.2
    seed: int = 20_781


@dataclass(frozen=True, slots=True)
class Split:
    """Drawings to learn from, and one of each thing that is kept; by place of the thing among `things`."""

    things: tuple[DrawerThing, ...]
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
    stop: Stop = never,
) -> ThingRecogniser | None:
    """Describe the drawings, find the discriminants, learn the correction, measure, and write `weights`.

    What is done is kept in `run`: the same call goes on. None where it was stopped.

    Raises:
        DataMissing: no thing was drawn twice.
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    began = time.monotonic()
    found = drawer(sprites.rows)
    data = split(found)
    styles = sorted(set(found.styles.values()))
    run.mkdir(parents=True, exist_ok=True)
    drawn = [i for each in data.train for i in each]
    truth = torch.tensor([place for place, each in enumerate(data.train) for _ in each])
    styled = torch.tensor([styles.index(found.styles[i]) for i in drawn])

    # Every drawing on both backgrounds, and worsened views of it.
    pool: list[Tensor] = []
    for view in range(len(GROUNDS) + recipe.views):
        described = _view(recipe, sprites, data, drawn, view, run, report, stop)
        if described is None:
            return None
        pool.append(described)
    views = torch.cat(pool)
    truth, styled = truth.repeat(len(pool)), styled.repeat(len(pool))

    # Learn.
    torch.manual_seed(recipe.seed)
    model = ThingRecogniser([thing.key for thing in data.things], styles, recipe.width, recipe.hidden)
    discriminate(model, views[:, :THING_SIZE].float(), truth, recipe)
    measure(model, sprites, found, data, report)
    correcting = Correcting(recipe, model, views, truth, styled)
    if train(correcting, run, Lines(report), stop).step < correcting.steps:
        return None
    model = correcting.average.module.eval()
    card = {"recipe": asdict(recipe), "drawings": len(drawn), "minutes": round((time.monotonic() - began) / 60, 1)}
    save(model, weights, card)
    # What ships is what is measured.
    model = load(weights)
    save_card(weights, measure(model, sprites, found, data, report))
    return model


def _view(
    recipe: DrawerRecogniserRecipe, sprites: SpriteSet, data: Split, drawn: Sequence[int], view: int, run: Path,
    report: Report, stop: Stop,
) -> Tensor | None:  # fmt: skip
    """Descriptions of all drawings in one view, (N, D) in half precision; kept in a file."""
    file = run / f"view-{view}.npy"
    if file.is_file():
        kept = torch.from_numpy(np.load(file))
        if kept.shape == (len(drawn), THING_SIZE + STYLE_SIZE):
            return kept
    named = [place for place, each in enumerate(data.train) for _ in each]
    fixed = [not COLOURS.keys().isdisjoint(thing.caption.lower().split()) for thing in data.things]
    parts: list[Tensor] = []
    for begin in range(0, len(drawn), 128):
        if stop():
            return None
        pixels = straight_pixels(sprites, drawn[begin : begin + 128])
        if view < len(GROUNDS):
            parts.append(describe(premultiplied(pixels), GROUNDS[view]).half())
            continue
        choose = random.Random(f"judge/{recipe.seed}/{view}/{begin}")
        generator = torch.Generator().manual_seed(choose.getrandbits(60))
        tinted = [choose.random() < recipe.tinted and not fixed[place] for place in named[begin : begin + 128]]
        worse = worsen(pixels, torch.tensor(tinted), generator)
        parts.append(describe(worse, choose.choice(GROUNDS)).half())
    described = torch.cat(parts)
    part = file.with_suffix(".part.npy")
    np.save(part, described.numpy())
    part.replace(file)
    report(f"view {view + 1} of {len(GROUNDS) + recipe.views}: {len(drawn)} drawings described")
    return described


def discriminate(model: ThingRecogniser, views: Tensor, truth: Tensor, recipe: DrawerRecogniserRecipe) -> None:
    """Set the first and the last layer to linear discriminants: what differs between things, not within them."""
    count = torch.zeros(len(model.things)).index_add(0, truth, torch.ones(len(truth)))
    means = torch.zeros(len(model.things), views.shape[1]).index_add(0, truth, views) / count[:, None]
    middle = views.mean(0)
    scatter = torch.zeros(views.shape[1], views.shape[1])
    for part, own in zip(views.split(8192), truth.split(8192), strict=True):
        rest = part - means[own]
        scatter += rest.T @ rest
    scatter /= len(views)
    scatter += recipe.ridge * scatter.diagonal().mean() * torch.eye(len(scatter))
    white = torch.linalg.inv(torch.linalg.cholesky(scatter)).T
    _, _, axes = torch.linalg.svd((means - middle) @ white * count[:, None].sqrt(), full_matrices=False)
    directions = white @ axes[: recipe.width].T
    spots = (means - middle) @ directions
    scale = spots.std()
    with torch.no_grad():
        size = directions.shape[1]
        model.discriminants.weight.zero_()
        model.discriminants.bias.zero_()
        model.discriminants.weight[:size] = directions.T / scale
        model.discriminants.bias[:size] = -middle @ directions / scale
        # The logarithm of a normal distribution about each mean, less sharp than it claims to be.
        sharp = recipe.sharpness * scale.square()
        model.of_thing.weight.zero_()
        model.of_thing.weight[:, :size] = sharp * spots / scale
        model.of_thing.bias.copy_(-0.5 * sharp * (spots / scale).square().sum(1))


class Correcting(Objective):
    """Descriptions → things and styles, by cross-entropy: what the discriminants leave to be learned."""

    name = "recogniser-drawer"
    broken = BROKEN.replace(" and run again", "")
    clip = None
    model: ThingRecogniser
    average: AveragedModel

    def __init__(
        self, recipe: DrawerRecogniserRecipe, model: ThingRecogniser, views: Tensor, truth: Tensor, styled: Tensor
    ) -> None:
        super().__init__(recipe, steps=recipe.epochs * len(views) // recipe.batch)
        self._views, self._truth, self._styled = views, truth, styled
        self._fast = native_bfloat16()
        self._shown = time.monotonic()
        self.model = model.train()
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
        self.optimizers = torch.optim.AdamW(
            model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True
        )  # fmt: skip
        self.stepped = [self.optimizers]
        self.modules = {"model": model, "average": self.average}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        at = torch.randint(len(self._views), (recipe.batch,), generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._fast):
            thing, style = self.model(self._views[at].float())
        lost = functional.cross_entropy(thing.float(), self._truth[at], label_smoothing=recipe.smoothing)
        loss = lost + functional.cross_entropy(style.float(), self._styled[at], label_smoothing=recipe.smoothing)
        return loss, {"loss": lost.item()}

    def tell(self, progress: Progress, state: State, scalars: Mapping[str, float]) -> None:
        """A line every 20 seconds."""
        mean = self.told(state, scalars)["loss"]
        if time.monotonic() - self._shown > 20 or state.step == self.steps:
            self._shown = time.monotonic()
            progress.line(f"recogniser step {state.step}/{self.steps} thing {mean:.3f}")

    def save_due(self, seconds: float, took: float) -> bool:
        return seconds > 20


def measure(
    model: ThingRecogniser, sprites: SpriteSet, found: Drawer, data: Split, report: Report
) -> dict[str, object]:
    """Top-1, top-5, siblings and style on the drawings that were kept, by emoji's group too; for the card."""
    places = sorted(data.kept)
    drawn = [data.kept[place] for place in places]
    things, styles = recognise(model, premultiplied(straight_pixels(sprites, drawn)))
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


def _share(right: Sequence[bool]) -> Share:
    return Share(sum(right), len(right))
