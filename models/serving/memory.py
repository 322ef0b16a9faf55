"""How a pipeline is laid onto a device whose memory it may not fill: decided before anything is loaded. Pure.

Sizes are bytes of weights as they will lie there, with what a picture's activations take on top.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import WeightsRefused

#: Fastest first. `whole`: all parts on the device. `encoders`: text encoders wait in main memory, and come layer by
#: layer when a text is read. `parts`: each part comes when it is its turn (`enable_model_cpu_offload`). `groups`: block
#: by block (`apply_group_offloading`, block_level), `layers`: layer by layer (leaf_level), many times slower; both with
#: the codec on the device.
Way = Literal["whole", "encoders", "parts", "groups", "layers"]
#: What linear layers are quantised to: by torchao, by bitsandbytes.
Quantised = Literal["", "int8", "nf4"]
#: As the operator may ask for: `auto` quantises where nothing else fits.
Quantise = Literal["auto", "off", "int8", "nf4"]
GIB = 2**30
#: What the driver, kernels and fragments of memory take.
OVERHEAD = GIB
#: Activations while steps are taken, and in the codec: bytes for each pixel, measured by others for FLUX's transformer
#: and for SDXL's and FLUX's decoders at 1024².
BYTES_PER_PIXEL, BYTES_PER_PIXEL_DECODED = 1_000, 2_600
#: Side in pixels of the tiles that a codec draws large pictures in.
TILE = 512
#: Bytes for each weight: of int8 with a scale for each row, of 4 bits with one in float32 for each 64.
WIDTHS: Mapping[Quantised, float] = {"int8": 1.02, "nf4": 0.5625}
#: What quantises: package, and what pip installs.
PACKAGES: Mapping[Quantised, tuple[str, str]] = {
    "int8": ("torchao", "pip install torchao"),
    "nf4": ("bitsandbytes", "pip install bitsandbytes"),
}
WAYS: tuple[Way, ...] = ("whole", "encoders", "parts", "groups", "layers")
#: Ways that go with weights of bitsandbytes: their scales lie beside them and do not stream.
WAYS_OF_BITS: tuple[Way, ...] = ("whole", "parts")
#: Parts smaller than this share of the largest are not worth quantising.
WORTH = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """Weights of one part of a pipeline, in bytes as they will lie on the device."""

    bytes: int
    kind: Literal["network", "encoder", "codec"] = "network"
    #: Number of weights in linear layers, and bytes of each: what can be quantised.
    linears: int = 0
    width: int = 2
    #: Largest block of layers, what belongs to none, and the largest single layer.
    block: int = 0
    rest: int = 0
    layer: int = 0

    def quantised(self, how: Quantised) -> Part:
        """The same with its linear layers in fewer bits."""
        if not how or not self.bytes:
            return self
        size = round(self.bytes - self.linears * (self.width - WIDTHS[how]))
        shrunk = size / self.bytes
        return replace(
            self, bytes=size, linears=0, block=round(self.block * shrunk), rest=round(self.rest * shrunk),
            layer=self.layer,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Activations:
    """What a picture takes beside the weights: bytes for each pixel, while steps are taken and when it is decoded."""

    stepped: float = BYTES_PER_PIXEL
    decoded: float = BYTES_PER_PIXEL_DECODED

    def of(self, pixels: int, *, tiled: bool = False) -> int:
        """Bytes, the overhead of the device included."""
        shown = min(pixels, TILE * TILE) if tiled else pixels
        return OVERHEAD + round(max(self.stepped * pixels, self.decoded * shown))


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pipeline is laid out, and what the device has to hold at a time."""

    way: Way
    bytes: int
    quantised: Quantised = ""
    #: Pixels of the pictures that the codec decodes in one go; more go in slices, larger ones in tiles. 0: any.
    decoded: int = 0
    #: Bytes that are left beside weights and overhead.
    left: int = 0

    def knowing(self, takes: Activations) -> Plan:
        """The same, once it is known what pictures take."""
        return replace(self, decoded=max(TILE * TILE, int(self.left / takes.decoded))) if self.decoded else self

    def told(self) -> str:
        """For a log."""
        return " ".join(filter(None, (self.way, self.quantised, f"{self.bytes / GIB:.1f} GiB")))


def plan(
    parts: Mapping[str, Part],
    budget: int,
    pixels: int,
    *,
    together: bool = False,
    quantise: Quantise = "auto",
    installed: Collection[str] = (),
    takes: Activations | None = None,
    only: Collection[Way] = WAYS,
    slower: int = 0,
) -> Plan:
    """The fastest way that fits.

    Args:
        parts: of the pipeline, by name.
        budget: bytes that the device has free.
        pixels: of the largest pictures that are drawn.
        together: the parts are used by themselves, which is given up only where they cannot all lie there.
        quantise: see `Quantise`.
        installed: names of the packages that quantise here.
        takes: activations, where they are known.
        only: ways that go with these weights.
        slower: how many of the fitting ways to pass over, since they were tried in vain.

    Raises:
        WeightsRefused: nothing fits; says what would.
    """
    takes = takes or Activations()
    asked: tuple[Quantised, ...] = ("",) if quantise in ("auto", "off") else (quantise,)
    if quantise == "auto":
        asked += tuple(how for how, (package, _) in PACKAGES.items() if package in installed)
    for found in _fitting(parts, budget, pixels, asked, takes, only, together=together):
        if not slower:
            return found
        slower -= 1
    raise WeightsRefused(_refusal(parts, budget, pixels, asked, installed, takes, only))


def check_installed(how: Quantise, installed: Collection[str]) -> None:
    """Whether what the operator asks for can be done here.

    Raises:
        WeightsRefused: names the package.
    """
    if how in ("auto", "off"):
        return
    package, command = PACKAGES[how]
    if package not in installed:
        raise WeightsRefused(
            f'[render] quantize = "{how}" needs the package {package}, which is not installed here: {command}, or '
            "all three, in the project: .venv/bin/pip install -c requirements.lock -e '.[worker,quantize]'."
        )


def needs(parts: Mapping[str, Part], way: Way) -> int:
    """Bytes of weights that lie on the device at a time."""
    largest_layer = max((2 * part.layer for part in parts.values() if part.kind == "encoder"), default=0)
    codecs = sum(part.bytes for part in parts.values() if part.kind == "codec")
    networks = [part for part in parts.values() if part.kind == "network"]
    match way:
        case "whole":
            return sum(part.bytes for part in parts.values())
        case "encoders":
            return sum(part.bytes for part in networks) + codecs + largest_layer
        case "parts":
            return max((part.bytes for part in parts.values()), default=0)
        case "groups":
            # Of two blocks one computes while the next one comes.
            blocks = max((part.rest + 2 * part.block if part.block else part.bytes for part in networks), default=0)
            return codecs + max(largest_layer, blocks)
        case "layers":
            return codecs + max(largest_layer, *(2 * part.layer for part in networks), 0)


def shrunk(parts: Mapping[str, Part], how: Quantised) -> Mapping[str, Part]:
    """The parts as they are when those that are worth it are quantised."""
    least = WORTH * max((part.bytes for part in parts.values()), default=0)
    return {
        name: part.quantised(how) if part.kind != "codec" and part.bytes >= least else part
        for name, part in parts.items()
    }


def _fitting(
    parts: Mapping[str, Part],
    budget: int,
    pixels: int,
    asked: Collection[Quantised],
    takes: Activations,
    only: Collection[Way],
    *,
    together: bool,
) -> Iterator[Plan]:
    for how in asked:
        lying = shrunk(parts, how)
        for way in (way for way in WAYS if way in only and (how != "nf4" or way in WAYS_OF_BITS)):
            if together and not how and way == "parts":
                continue  # Their networks are by far the largest part: hardly less than with the encoders away.
            weights = needs(lying, way)
            for tiled in (False, True):
                needed = weights + takes.of(pixels, tiled=tiled)
                if needed <= budget:
                    yield Plan(way, needed, how, 1, budget - weights - OVERHEAD).knowing(takes)
                    break


def _refusal(
    parts: Mapping[str, Part],
    budget: int,
    pixels: int,
    asked: Collection[Quantised],
    installed: Collection[str],
    takes: Activations,
    only: Collection[Way],
) -> str:
    """What is needed, what there is, and what would fit."""
    lying = shrunk(parts, next(iter(asked)))
    beside = takes.of(pixels, tiled=True)
    least = min(needs(lying, way) for way in only) + beside
    said = (
        f"These weights need {(needs(lying, 'whole') + beside) / GIB:.1f} GiB of the device's memory, or "
        f"{least / GIB:.1f} GiB when {'their layers' if 'layers' in only else 'their parts'} come one by one, and "
        f"{budget / GIB:.1f} GiB are free."
    )
    would: list[str] = []
    for how, (package, command) in PACKAGES.items():
        if how in asked:
            continue
        small = shrunk(parts, how)
        needed = min(needs(small, way) for way in only if how != "nf4" or way in WAYS_OF_BITS) + beside
        if needed <= budget:
            missing = "" if package in installed else f" after {command}"
            would.append(f'[render] quantize = "{how}"{missing} ({needed / GIB:.1f} GiB)')
    room = budget - (least - beside) - OVERHEAD
    if room > 0 and (fewer := min(pixels, room / takes.stepped)) >= TILE * TILE and fewer < pixels:
        would.append(f"pictures of {fewer / 1e6:.1f} megapixels, as smaller models draw them")
    if would:
        return f"{said} What would fit: {'; '.join(would)}."
    return f"{said} Use a smaller model, fewer megapixels, or one worker a device."
