"""An invisible mark that carries a number through re-encoding and resizing: for pictures whose metadata was taken off.

Where the number lies: in the luma's DCT-II coefficients of low frequency, in half-cycles across the whole picture,
which stay where they are when the picture is resized. Each bit is a keyed sum over its own dozen of them, moved to the
next even or odd multiple of a step (quantisation index modulation with dither over a spread transform, Chen and
Wornell 2001), so that what the picture itself has there does not disturb. The embedder clips and rounds as the file
will, and mends what that broke.

What says that a mark is there: 8 bytes in a Reed-Solomon code of 16 bytes, masked by the key. Of random words about one
in two million is such a codeword with as many errors as are mended here. Pure; no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from reedsolo import ReedSolomonError, RSCodec

Array = NDArray[np.float32]

#: Bytes of the number, and of the codeword that carries it.
PAYLOAD, CODEWORD = 8, 16
BITS = CODEWORD * 8
#: Half-cycles across the picture: the band in which the mark lies. JPEG and halving leave it alone from 256 pixels up.
LOWEST, HIGHEST = 8, 48
#: Distance between an even and an odd place of a sum, in grey levels of a coefficient of a 256 × 256 picture.
STEP = 64.0
#: Grey levels that are added to a pixel at most.
LOUDEST = 24.0
#: Times that a picture is mended after clipping and rounding.
ROUNDS = 4
#: Side below which a picture has no room for the band.
LEAST_SIDE = 64
#: Weight of red, green and blue in luma (ITU-R BT.601, as in JPEG).
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
KEY = b"daguerre 1"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each bit lies: for a key, the same everywhere."""

    #: int (BITS, n): places in the band, as row × width + column of the coefficient matrix.
    places: NDArray[np.int64]
    #: ±1 of each place, float32 (BITS, n).
    signs: Array
    #: Where the multiples of the step begin for each bit, in steps: float32 (BITS,).
    dither: Array
    #: Bits that the codeword is XORed with, uint8 (BITS,).
    mask: NDArray[np.uint8]


@cache
def plan(key: bytes = KEY) -> Plan:
    """Spread the band's coefficients over the bits, by the key."""
    rows, columns = np.mgrid[0 : HIGHEST + 1, 0 : HIGHEST + 1]
    radius = np.hypot(rows, columns)
    band = np.flatnonzero(((radius >= LOWEST) & (radius <= HIGHEST) & (rows > 0) & (columns > 0)).ravel())
    seed = np.frombuffer(hashlib.sha256(key).digest(), dtype=np.uint32)
    dice = np.random.Generator(np.random.PCG64(seed.tolist()))
    # Every bit gets places of all radii, so that none loses all of its own to a blur.
    order = band[np.argsort(radius.ravel()[band], kind="stable")]
    each = len(order) // BITS
    places = dice.permuted(order[: each * BITS].reshape(each, BITS), axis=1).T
    signs = dice.choice(np.array([-1, 1], dtype=np.float32), size=places.shape)
    dither = dice.uniform(0, 2, BITS).astype(np.float32)
    return Plan(np.ascontiguousarray(places), signs, dither, dice.integers(0, 2, BITS, dtype=np.uint8))


@cache
def _waves(side: int) -> Array:
    """float32 (HIGHEST + 1, side): orthonormal DCT-II waves over `side` pixels."""
    frequency = np.arange(HIGHEST + 1)[:, None]
    waves = np.cos(np.pi * frequency * (np.arange(side)[None, :] + 0.5) / side) * np.sqrt(2 / side)
    waves[0] /= np.sqrt(2)
    # Above half the pixels there are no such waves: they would be others in disguise.
    waves[frequency[:, 0] >= side] = 0
    return waves.astype(np.float32)


def coefficients(luma: Array) -> Array:
    """float32 (HIGHEST + 1, HIGHEST + 1) of a luma (H, W), as large as those of a 256 × 256 picture would be."""
    height, width = luma.shape
    return _waves(height) @ luma @ _waves(width).T * np.float32(256 / np.sqrt(height * width))


def sums(luma: Array, how: Plan) -> Array:
    """float32 (BITS,): one keyed sum of coefficients for each bit."""
    found = coefficients(luma).ravel()[how.places] * how.signs
    return found.sum(axis=1) / np.float32(np.sqrt(how.places.shape[1]))


def embed(picture: Image.Image, number: int, *, key: bytes = KEY, step: float = STEP) -> Image.Image:
    """The picture (RGB or RGBA, any size) with a number below 2⁶⁴ in it; alpha stays as it is.

    Pictures smaller than LEAST_SIDE are given back as they are.
    """
    if min(picture.size) < LEAST_SIDE:
        return picture
    how = plan(key)
    pixels = np.asarray(picture.convert("RGBA" if has_alpha(picture) else "RGB"), dtype=np.float32)
    colours, alpha = pixels[..., :3], pixels[..., 3:] / 255 if pixels.shape[2] == 4 else None
    height, width = colours.shape[:2]
    added = np.zeros((height, width), dtype=np.float32)
    rows, columns = _waves(height), _waves(width)
    back = np.float32(np.sqrt(height * width) / 256)
    marked = colours
    # The nearest multiple of the step whose evenness is the bit, for each sum.
    offset = how.dither + _bits(number, how)
    wanted = (2 * np.rint((sums(_luma(colours, alpha), how) / step - offset) / 2) + offset) * np.float32(step)
    for _ in range(ROUNDS):
        missing = wanted - sums(_luma(marked, alpha), how)
        if float(np.abs(missing).max()) < step / 16:
            break
        change = np.zeros((HIGHEST + 1) ** 2, dtype=np.float32)
        np.put(change, how.places, how.signs * (missing / np.float32(np.sqrt(how.places.shape[1])))[:, None])
        added += rows.T @ change.reshape(HIGHEST + 1, HIGHEST + 1) @ columns * back
        added = np.clip(added, -LOUDEST, LOUDEST)
        marked = np.clip(np.rint(colours + added[..., None]), 0, 255)
    whole = marked if alpha is None else np.concatenate([marked, pixels[..., 3:]], axis=2)
    return Image.fromarray(whole.astype(np.uint8), "RGB" if alpha is None else "RGBA")


def read(picture: Image.Image, *, key: bytes = KEY, step: float = STEP) -> int | None:
    """The number in a picture, or in one of the pictures of a grid of two by two, one by two or two by one."""
    how = plan(key)
    luma = _luma_of(picture)
    for part in _parts(luma):
        if (number := _decode(sums(part, how), how, step)) is not None:
            return number
    return None


def _parts(luma: Array) -> Iterator[Array]:
    """The whole picture, then its halves and quarters: grids are pictures side by side."""
    height, width = luma.shape
    half, middle = height // 2, width // 2
    cuts = (
        (slice(None), slice(None)),
        (slice(half), slice(middle)),
        (slice(half), slice(None)),
        (slice(None), slice(middle)),
        (slice(half, None), slice(middle, None)),
    )
    for rows, columns in cuts:
        part = luma[rows, columns]
        if min(part.shape) >= LEAST_SIDE // 2:
            yield part


def _bits(number: int, how: Plan) -> NDArray[np.uint8]:
    word = RSCodec(CODEWORD - PAYLOAD).encode(number.to_bytes(PAYLOAD, "big"))
    return np.unpackbits(np.frombuffer(bytes(word), dtype=np.uint8)) ^ how.mask


def _decode(found: Array, how: Plan, step: float) -> int | None:
    """The number, if the signs are a codeword with at most four bytes wrong, or four doubtful and one wrong."""
    place = np.mod(found / np.float32(step) - how.dither, 2)  # 0: even, 1: odd, 0.5 and 1.5: between them
    bits = ((place > 0.5) & (place < 1.5)).astype(np.uint8)
    word = bytearray(np.packbits(bits ^ how.mask).tobytes())
    doubt = np.abs(np.mod(place, 1) - 0.5).reshape(CODEWORD, 8).min(axis=1)
    weakest = np.argsort(doubt)[:4].tolist()
    code = RSCodec(CODEWORD - PAYLOAD)
    for erased in ([], weakest):
        try:
            payload, _, errata = code.decode(word, erase_pos=erased)
        except ReedSolomonError:
            continue
        if len(set(errata) - set(erased)) <= (4 if not erased else 1):
            return int.from_bytes(payload, "big")
    return None


def has_alpha(picture: Image.Image) -> bool:
    return "A" in picture.getbands() or "transparency" in picture.info


def _luma_of(picture: Image.Image) -> Array:
    """float32 (H, W), transparency on white."""
    pixels = np.asarray(picture.convert("RGBA" if has_alpha(picture) else "RGB"), dtype=np.float32)
    return _luma(pixels[..., :3], pixels[..., 3:] / 255 if pixels.shape[2] == 4 else None)


def _luma(colours: Array, alpha: Array | None) -> Array:
    shown = colours if alpha is None else colours * alpha + 255 * (1 - alpha)
    return shown @ LUMA
