"""What the judge of the drawer looks at: a picture brought to one form, its colours by place, and its edges by place.

Histograms of oriented gradients (Dalal and Triggs 2005) in OKLab at two scales say which thing it is; how strong edges
are, however they lie, says which style. Nothing here is learned, and no network that is judged sees any of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ...data.colours import to_oklab

#: Side of the form that pictures are brought to, in pixels.
SIDE = 64
#: Plain backgrounds in [-1, 1] that pictures are looked at on; what is lost on one is seen on the other.
GROUNDS = (1.0, -0.35)
#: Directions of edges; an edge and its opposite are one.
DIRECTIONS = 8
#: Numbers that tell the thing: 8 × 8 colours, 8 × 8 and 7 × 7 cells of directions.
THING_SIZE = 64 * 3 + 64 * DIRECTIONS + 49 * DIRECTIONS
#: Numbers that tell the style: edges and curvatures in bins, lightness, chroma, and how the alpha lies.
STYLE_SIZE = 4 * 12 + 2 * 8 + 8
#: A line of pixels belongs to the thing if more than one pixel of it is as opaque as this.
VISIBLE = 0.3
#: A pixel of an opaque picture differs from its background if some channel does by more, of 2.
DIFFERENT = 0.16


def describe(pictures: Tensor, ground: float) -> Tensor:
    """Pictures (B, 4, S, S) premultiplied or (B, 3, S, S) opaque, in [-1, 1] → (B, THING_SIZE + STYLE_SIZE)."""
    layers = layers_of(pictures)
    framed = _over(canonical(layers), ground)
    return torch.cat([_where(framed), _how(layers, ground)], 1)


def layers_of(pictures: Tensor) -> Tensor:
    """Premultiplied (B, 4, 64, 64) in [0, 1]; of an opaque picture all that differs from its border is the thing."""
    pictures = pictures.float().clamp(-1, 1)
    if pictures.shape[-1] != SIDE:
        pictures = functional.interpolate(pictures, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
    if pictures.shape[1] == 3:
        edges = [pictures[:, :, 0], pictures[:, :, -1], pictures[:, :, :, 0], pictures[:, :, :, -1]]
        ground = torch.cat(edges, 2).median(2).values[:, :, None, None]
        alpha = ((pictures - ground).abs().amax(1, keepdim=True) > DIFFERENT).float()
        return torch.cat([(pictures + 1) / 2 * alpha, alpha], 1)
    layers = (pictures + 1) / 2
    return torch.cat([torch.minimum(layers[:, :3], layers[:, 3:]), layers[:, 3:]], 1)


def canonical(layers: Tensor) -> Tensor:
    """Cut to what is visible, square, with a margin; (B, 4, 64, 64) as given."""
    visible = layers[:, 3] > VISIBLE
    left, right = _ends(visible.sum(1) > 1)
    top, bottom = _ends(visible.sum(2) > 1)
    empty = (right <= left) | (bottom <= top)
    scale = torch.where(empty, SIDE, torch.maximum(right - left, bottom - top) * 1.08) / SIDE
    x = torch.where(empty, 0.0, (left + right) / SIDE - 1)
    y = torch.where(empty, 0.0, (top + bottom) / SIDE - 1)
    nothing = torch.zeros_like(scale)
    matrix = torch.stack([scale, nothing, x, nothing, scale, y], 1).view(-1, 2, 3)
    grid = functional.affine_grid(matrix, list(layers.shape), align_corners=False)
    return functional.grid_sample(layers, grid, align_corners=False)


def _ends(lines: Tensor) -> tuple[Tensor, Tensor]:
    """First line that holds (B, S), and one behind the last; 0 and 0 where none does."""
    many = lines.shape[1]
    last = many - lines.flip(1).float().argmax(1)
    some = lines.any(1)
    return lines.float().argmax(1).float(), torch.where(some, last, 0).float()


def _over(layers: Tensor, ground: float) -> Tensor:
    """OKLab of the picture on a background."""
    return to_oklab((layers[:, :3] + (1 - layers[:, 3:]) * (ground + 1) / 2).clamp(0, 1))


def _where(lab: Tensor) -> Tensor:
    """Colours and edges by place, (B, THING_SIZE)."""
    # Hues tell less than lightness by their numbers, and more to the eye.
    weight = torch.tensor([1.0, 3.0, 3.0])[None, :, None, None]
    fine = functional.avg_pool2d(_directions(lab), 8)
    coarse = functional.avg_pool2d(_directions(functional.avg_pool2d(lab, 2)), 8, 4)
    colours = (functional.avg_pool2d(lab, 8) * weight).flatten(1)
    return torch.cat([colours, _levelled(fine), _levelled(coarse)], 1)


def _directions(lab: Tensor) -> Tensor:
    """Strength of the strongest channel's gradient, shared between the two nearest of the directions, (B, 8, h, w)."""
    across, down = _slopes(lab)
    strongest = (across.square() + down.square()).argmax(1, keepdim=True)
    across, down = across.gather(1, strongest), down.gather(1, strongest)
    strength = (across.square() + down.square()).sqrt()
    angle = torch.atan2(down, across) % math.pi * DIRECTIONS / math.pi
    below = angle.floor()
    share = angle - below
    first = below.long() % DIRECTIONS
    spread = torch.zeros(len(lab), DIRECTIONS, *lab.shape[2:])
    spread.scatter_(1, first, strength * (1 - share))
    return spread.scatter_add_(1, (first + 1) % DIRECTIONS, strength * share)


def _levelled(cells: Tensor) -> Tensor:
    """Each cell by the strength of its neighbourhood, so that faint drawings have edges too."""
    around = functional.avg_pool2d(cells.square().sum(1, keepdim=True), 3, 1, 1)
    return (cells / (around + 1e-3).sqrt()).clamp(max=1).sqrt().flatten(1)


def _slopes(lab: Tensor) -> tuple[Tensor, Tensor]:
    across = functional.pad(lab[:, :, :, 2:] - lab[:, :, :, :-2], (1, 1, 0, 0))
    return across, functional.pad(lab[:, :, 2:] - lab[:, :, :-2], (0, 0, 1, 1))


def _how(layers: Tensor, ground: float) -> Tensor:
    """How strong edges and curvatures are, colours without their place, and the outline, (B, STYLE_SIZE)."""
    lab, alpha = _over(layers, ground), layers[:, 3:]
    inside = (alpha > 0.5).float()
    area = inside.sum((1, 2, 3)).clamp(min=1)[:, None]
    parts: list[Tensor] = []
    for scale in (1, 2, 4):
        small = functional.avg_pool2d(lab, scale) if scale > 1 else lab
        across, down = _slopes(small)
        strength = (across.square() + down.square()).sum(1, keepdim=True).sqrt()
        weight = functional.avg_pool2d(inside, scale) if scale > 1 else inside
        parts.append(_bins(strength.clamp(min=1e-3).log() / math.log(1e3) + 1, weight, 12))
    around = functional.avg_pool2d(functional.pad(lab, (1, 1, 1, 1), mode="replicate"), 3, 1)
    curved = (lab - around).square().sum(1, keepdim=True).sqrt()
    parts.append(_bins(curved.clamp(min=1e-3).log() / math.log(1e3) + 1, inside, 12))
    parts.append(_bins(lab[:, :1], inside, 8))
    parts.append(_bins((lab[:, 1:].square().sum(1, keepdim=True).sqrt() / 0.3).clamp(0, 1), inside, 8))
    # The outline: how dark and how soft it is; drawings of pixels doubled change on every second line only.
    inner = -functional.max_pool2d(-inside, 3, 1, 1)
    rim = inside - inner
    dark = (lab[:, :1] * rim).sum((1, 2, 3))[:, None] / rim.sum((1, 2, 3)).clamp(min=1)[:, None]
    within = (lab[:, :1] * inner).sum((1, 2, 3))[:, None] / inner.sum((1, 2, 3)).clamp(min=1)[:, None]
    soft = ((alpha > 0.05) & (alpha < 0.95)).float().sum((1, 2, 3))[:, None] / area
    step = (lab[:, :, :, 1:] - lab[:, :, :, :-1]).abs().sum(1).mean(1)
    even, odd = step[:, 0::2].mean(1, keepdim=True), step[:, 1::2].mean(1, keepdim=True)
    doubled = (odd - even) / (odd + even).clamp(min=1e-4)
    height = (inside.amax(3).sum((1, 2)) / SIDE)[:, None]
    width = (inside.amax(2).sum((1, 2)) / SIDE)[:, None]
    parts.append(torch.cat([dark, within, soft.clamp(max=2), doubled, area / SIDE**2, height, width, dark - within], 1))
    return torch.cat(parts, 1)


def _bins(values: Tensor, weight: Tensor, count: int) -> Tensor:
    """Square roots of the shares of values in [0, 1] that lie in each of `count` bins, (B, count); bins overlap."""
    place = (values.clamp(0, 1) * (count - 1)).flatten(1)
    below = place.floor().clamp(max=count - 2)
    share, weight = place - below, weight.flatten(1)
    found = torch.zeros(len(values), count).scatter_add_(1, below.long(), weight * (1 - share))
    found.scatter_add_(1, below.long() + 1, weight * share)
    return (found / found.sum(1, keepdim=True).clamp(min=1e-6)).sqrt()
