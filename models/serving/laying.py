"""A loaded pipeline brought onto its device as it was planned, and how its codec takes large pictures."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from diffusers.hooks import apply_group_offloading
from torch import Tensor, nn

from .memory import TILE, Way
from .sizes import kind_of


def lay(pipeline: Any, device: str, way: Way) -> None:
    """Bring a pipeline onto its device, whole or as its parts, blocks or layers are needed."""
    if way == "whole":
        pipeline.to(device)
        return
    if way == "parts":
        pipeline.enable_model_cpu_offload(device=device)
        return
    for name, part in pipeline.components.items():
        if not isinstance(part, nn.Module):
            continue
        match kind_of(name):
            case "encoder":
                stream(part, device)
            case "network" if way != "encoders":
                stream(part, device, blocks=way == "groups")
            case _:
                part.to(device)


def stream(part: nn.Module, device: str, *, blocks: bool = False) -> None:
    """Let a part wait in main memory, and come layer by layer, or block by block, when it computes."""
    told: dict[str, Any] = {"onload_device": torch.device(device), "offload_device": torch.device("cpu")}
    if device.startswith("cuda"):
        # The next one comes while this one computes; pages are pinned as they go, not twice the weights at once.
        told |= {"use_stream": True, "low_cpu_mem_usage": True}
    if blocks:
        apply_group_offloading(part, offload_type="block_level", num_blocks_per_group=1, **told)
    else:
        apply_group_offloading(part, offload_type="leaf_level", **told)


def streams(part: Any) -> bool:
    """Whether a part was brought in by `stream`."""
    hooks = (getattr(each, "_diffusers_hook", None) for each in part.modules()) if isinstance(part, nn.Module) else ()
    return any(each is not None and each.get_hook("group_offloading") is not None for each in hooks)


def bound(codec: Any, factor: int) -> None:
    """Let the tiles of a codec be no larger than planned; how large they are is only a matter of memory."""
    sample = getattr(codec, "tile_sample_min_size", None)
    if isinstance(sample, int) and sample > TILE and hasattr(codec, "tile_latent_min_size"):
        codec.tile_sample_min_size, codec.tile_latent_min_size = TILE, TILE // factor


def take(codec: Any, pixels: int, pictures: int, most: int) -> str:
    """Let a codec decode `pictures` of `pixels` each: in one go, one by one, or in tiles where one is too many.

    `most`: pixels of one go; 0: any. Gives what the pictures say of it, if anything.
    """
    if not hasattr(codec, "enable_tiling"):
        return ""
    tiled, sliced = bool(most) and pixels > most, bool(most) and pixels * pictures > most
    _switch(codec, "tiling", tiled)
    _switch(codec, "slicing", sliced)
    return "tiled" if tiled else ""


def _switch(codec: Any, name: str, on: bool) -> None:
    call = getattr(codec, f"{'enable' if on else 'disable'}_{name}", None)
    if call is None:
        return
    if on and any(each.default is inspect.Parameter.empty for each in inspect.signature(call).parameters.values()):
        return  # It wants to be told more than this.
    call()


def widen(codec: Any) -> bool:
    """Let a codec in half precision compute in float32 from now on; False where it does not overflow.

    Whoever calls it gives half precision and gets latents in it; pictures come in float32.
    """
    if getattr(codec, "dtype", None) != torch.float16:
        return False
    codec.float()
    decode, encode = codec.decode, codec.encode

    def decoded(latents: Tensor, *more: Any, **told: Any) -> Any:
        return decode(latents.float(), *more, **told)

    def encoded(pictures: Tensor, *more: Any, **told: Any) -> Any:
        found = encode(pictures.float(), *more, **told)
        spread = found[0] if isinstance(found, tuple) else getattr(found, "latent_dist", None)
        if isinstance(numbers := getattr(spread, "parameters", None), Tensor):
            half = type(spread)(numbers.to(pictures.dtype))
            if isinstance(found, tuple):
                return (half, *found[1:])
            found.latent_dist = half
        return found

    codec.decode, codec.encode = decoded, encoded
    return True
