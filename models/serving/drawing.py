"""Pictures being drawn: how one begins, and how a batch of them takes a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, cos, pi, sin

import torch
from torch import Tensor

from ..drawer.network import Context
from . import solver
from .drawer_network import DrawerNetwork
from .network import Network, Variant, Words
from .stock import Run


@dataclass(frozen=True, slots=True)
class Known:
    """What a picture keeps of another while it is drawn."""

    #: (1, C, h, w)
    latents: Tensor
    #: (1, 1, h, w), 1 where it is drawn again.
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Lane:
    """Pictures that can share a forward."""

    variant: str
    height: int
    width: int
    tile: bool
    #: How many times the encoder's length their texts are long.
    chunks: int = 1


@dataclass(slots=True, eq=False)
class Picture:
    """One picture on its way."""

    id: int
    lane: Lane
    variant: Variant
    #: (1, C, h, w), float32: as it stands, and the estimate of the finished one after the last step.
    sample: Tensor
    estimate: Tensor
    course: solver.Table | Run
    #: Next step, and the step before which it ends.
    at: int
    end: int
    #: One row each: what is asked for, its parts or what it is kept away from, and their shares, which sum to 1.
    words: tuple[Words, ...] | tuple[Context, ...]
    shares: tuple[float, ...]
    noise: Tensor
    known: Known | None = None

    @property
    def left(self) -> int:
        """Steps to go."""
        return self.end - self.at


def rows_and_shares(
    asked: Sequence[tuple[Words, float]], unasked: Words, guidance: float
) -> tuple[tuple[Words, ...], tuple[float, ...]]:
    """The rows of one picture: output = Σ share · output of the row.

    Guidance g: u + g · (c − u) (2207.12598, eq. 6); weighted parts: c = Σ ŵ cᵢ (Composable Diffusion, 2206.01714,
    eq. 11) with ŵ the weights over the sum of the positive ones, so that `cat::2 dog::2` asks no harder than `cat dog`.
    """
    total = sum(weight for _, weight in asked if weight > 0) or 1.0
    shares = [guidance * weight / total for _, weight in asked]
    words = [each for each, _ in asked]
    rest = 1.0 - sum(shares)
    if abs(rest) < 1e-9:
        return tuple(words), tuple(shares)
    return (*words, unasked), (*shares, rest)


def noises(seeds: Sequence[int], shape: tuple[int, int, int], chaos: int) -> list[Tensor]:
    """The first noise of each picture, (1, C, h, w) each: from its own seed, on the processor whatever the device.

    With `chaos` in 1 … 100 they gather round the first one, on the sphere, so that their length stays that of noise.
    """
    own = [torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds]
    if not chaos:
        return own
    angle = chaos / 100 * pi / 2
    return [own[0], *(cos(angle) * own[0] + sin(angle) * each for each in own[1:])]


def generator_after(seed: int, shape: tuple[int, int, int]) -> torch.Generator:
    """A seed's generator once the first noise was taken from it: stock pipelines draw later noise from there."""
    generator = torch.Generator("cpu").manual_seed(seed)
    torch.randn((1, *shape), generator=generator)
    return generator


def last_step(begin: int, steps: int, stop: int) -> int:
    """The step before which a run from `begin` to `steps` ends when only `stop` percent of it are wanted."""
    return min(steps, begin + max(1, ceil((steps - begin) * stop / 100)))


def advance(network: Network | DrawerNetwork, pictures: Sequence[Picture], canonical: int = 0) -> None:
    """One step of each; all of one lane. Where it fails, those that were not reached are as they were.

    Args:
        pictures: with steps left.
        canonical: see `Network.forward`.
    """
    pictures = [picture for picture in pictures if picture.left]
    # Rows of the forward: of each picture one after the other.
    counts = [len(picture.words) for picture in pictures]
    seen = [picture.course.scaled(picture.at, picture.sample) for picture in pictures]
    samples = torch.cat([sample.expand(count, -1, -1, -1) for sample, count in zip(seen, counts, strict=True)])
    times = torch.tensor(
        [picture.course.time(picture.at) for picture, count in zip(pictures, counts, strict=True) for _ in range(count)]
    )
    outputs = network.forward(
        pictures[0].variant,
        samples,
        times.to(samples.device, non_blocking=True),
        [words for picture in pictures for words in picture.words],
        tile=pictures[0].lane.tile,
        canonical=canonical,
    )
    outputs = network.bounded(_mix(outputs, [picture.shares for picture in pictures]))
    for picture, (sample, estimate) in zip(pictures, _stepped(pictures, outputs), strict=True):
        if picture.known is not None:
            # What is kept goes along at the noise level of the next step (RePaint without resampling, 2201.09865).
            kept = picture.course.noised(picture.known.latents, picture.noise, picture.at + 1)
            sample = torch.lerp(kept, sample, picture.known.mask)
        picture.sample, picture.estimate = sample, estimate
        picture.at += 1


def _stepped(pictures: Sequence[Picture], outputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Sample and estimate of each after its step: those with a table all at once, others by their own scheduler."""
    quick: dict[int, tuple[Tensor, Tensor]] = {}
    tabled = [(k, picture.course) for k, picture in enumerate(pictures) if isinstance(picture.course, solver.Table)]
    if tabled:
        places = [k for k, _ in tabled]
        whole = len(tabled) == len(pictures)
        after, estimates = solver.step(
            torch.cat([pictures[k].sample for k in places]),
            outputs if whole else outputs[places],
            torch.cat([pictures[k].estimate for k in places]),
            [course.rows[pictures[k].at] for k, course in tabled],
        )
        quick = {k: (after[n : n + 1], estimates[n : n + 1]) for n, k in enumerate(places)}
    for k, picture in enumerate(pictures):
        course = picture.course
        if isinstance(course, Run):
            yield course.step(picture.at, outputs[k : k + 1], picture.sample)
        else:
            yield quick[k]


def _mix(outputs: Tensor, shares: Sequence[tuple[float, ...]]) -> Tensor:
    """Σ share · output over the rows of each picture, (R, C, h, w) → (B, C, h, w): in the same order whatever B."""
    most = max(len(each) for each in shares)
    first = 0
    places: list[list[int]] = []
    factors: list[list[float]] = []
    for each in shares:
        missing = most - len(each)
        places.append([*range(first, first + len(each)), *[first] * missing])
        factors.append([*each, *[0.0] * missing])
        first += len(each)
    index = torch.tensor(places).to(outputs.device, non_blocking=True)
    factor = torch.tensor(factors, dtype=torch.float32).to(outputs.device, non_blocking=True)[:, :, None, None, None]
    total = factor[:, 0] * outputs[index[:, 0]]
    for k in range(1, most):
        total = total + factor[:, k] * outputs[index[:, k]]
    return total
