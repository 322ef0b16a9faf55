"""Judge an upscaler on drawings it never saw: PSNR and edge sharpness beside Lanczos, time, and a sheet for the eye.

    python -P benchmarks/upscaler.py runs/upscaler/export/upscaler

Drawings are the held-out crisp sprites (a sixteenth of all emoji, in every style), composed as in training; the small
pictures are box-filtered ones, and the same once through the codec of `--weights`. `-P` keeps this folder off the
import path, where queue.py would stand in for the standard library's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from daguerre.models.common import upscaler
from daguerre.models.data import load
from daguerre.models.evaluation.fidelity import reconstruct, upscaler_gain
from daguerre.models.serving.engine import Engine
from daguerre.models.training import psnr
from daguerre.models.training.upscaler_pairs import background, shrink
from daguerre.models.training.upscaler_sprites import held_out

PROMPTS = ("a red apple", "a pizza", "a rocket", "a cat face", "a lemon", "a bicycle", "a house", "a fish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upscaler", type=Path)
    parser.add_argument("--weights", type=Path, default=Path("models/weights/first-light"))
    parser.add_argument("--sprites", type=Path, default=Path("runs/data/sprites256-2560"))
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--sheet", type=Path)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    model = upscaler.load(wanted.upscaler)
    codec = AutoencoderKL.from_pretrained(wanted.weights / "vae", local_files_only=True).eval()
    large = drawings(wanted.sprites, wanted.count)
    figures: dict[str, float] = {"drawings": len(large), "parameters": sum(p.numel() for p in model.parameters())}

    # Fidelity: clean, then soft as the decoder's.
    gain = upscaler_gain(lambda small: upscaler.upscale(model, small), large, 4)
    figures |= {"gain_db": gain.value, "gain_db_low": gain.interval[0], "gain_db_high": gain.interval[1]}
    small = shrink(large, 4)
    for name, seen in (("clean", small), ("codec", reconstruct(codec, small))):
        made, plain = upscaler.upscale(model, seen), lanczos(seen)
        better = [psnr(a) - psnr(b) for a, b in zip(errors(made, large), errors(plain, large), strict=True)]
        figures |= {
            f"{name}_psnr_db": float(np.mean([psnr(error) for error in errors(made, large)])),
            f"{name}_lanczos_db": float(np.mean([psnr(error) for error in errors(plain, large)])),
            f"{name}_won": float(np.mean([each > 0 for each in better])),
            f"{name}_edges": sharpness(made) / sharpness(large),
            f"{name}_lanczos_edges": sharpness(plain) / sharpness(large),
        }

    # Time of one picture on one thread, beside one step of the denoiser with guidance (two rows).
    unet = UNet2DConditionModel.from_pretrained(wanted.weights / "unet", local_files_only=True)
    unet.to(memory_format=torch.channels_last)
    rows = torch.randn(2, 4, 16, 16).contiguous(memory_format=torch.channels_last)
    words = torch.randn(2, 24, unet.config.cross_attention_dim)
    with torch.inference_mode():
        figures["upscaler_ms"], figures["denoiser_step_ms"] = fastest(
            lambda: upscaler.upscale(model, small[:1]), lambda: unet(rows, 500, words)
        )
    figures["ratio"] = figures["upscaler_ms"] / figures["denoiser_step_ms"]
    print(json.dumps({key: round(value, 4) for key, value in figures.items()}, indent=1))

    if wanted.sheet:
        real = generated(wanted.weights)
        soft = reconstruct(codec, small[:8])
        parts = [
            columns(model, small[:8], large[:8]),
            columns(model, soft, large[:8]),
            columns(model, real, torch.ones(len(real), 3, 256, 256)),
        ]
        picture(torch.cat(parts, 2)).save(wanted.sheet)


def drawings(folder: Path, count: int) -> Tensor:
    """Held-out sprites over white, colours and gradients, (count, 3, 256, 256) in [-1, 1]."""
    sprites = load(folder)
    torch.manual_seed(20)
    made = []
    for row in [row for row in sprites.rows if held_out(row)][:count]:
        sprite = torch.from_numpy(np.array(sprites.images[row["i"]])).permute(2, 0, 1).float()
        made.append(torch.lerp(background(sprite.shape[-1]), sprite[:3] / 127.5 - 1, sprite[3:] / 255))
    return torch.stack(made)


def generated(weights: Path) -> Tensor:
    """What the model itself draws, at its own size, (8, 3, 64, 64)."""
    engine = Engine(weights, device="cpu")
    engine.load()
    made = [engine.generate(prompt, seeds=[3], steps=16, guidance=3.0, width=64, height=64)[0] for prompt in PROMPTS]
    return torch.stack([torch.from_numpy(np.array(each)).permute(2, 0, 1) / 127.5 - 1 for each in made])


def columns(model: upscaler.Upscaler, small: Tensor, large: Tensor) -> Tensor:
    """One row for each picture: nearest, Lanczos, ours, target, side by side (3, 256·B, 256·4)."""
    nearest = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
    across = torch.cat([nearest, lanczos(small), upscaler.upscale(model, small), large], 3)
    return torch.cat(list(across), 1)


def lanczos(small: Tensor) -> Tensor:
    """Pillow's, ×4: what is delivered without an upscaler."""
    made = []
    for each in small:
        image = picture(each)
        image = image.resize((4 * image.width, 4 * image.height), Image.Resampling.LANCZOS)
        made.append(torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1)
    return torch.stack(made)


def picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray(((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy())


def errors(made: Tensor, large: Tensor) -> Sequence[Tensor]:
    return list((made - large).square().flatten(1).mean(1))


def sharpness(pictures: Tensor) -> float:
    """Mean of the hundredth part of the steepest steps between neighbours."""
    steps = pictures.diff(dim=-1).abs().amax(1).flatten(1)
    return float(steps.topk(steps.shape[1] // 100).values.mean())


def fastest(*calls: Callable[[], object], times: int = 30) -> list[float]:
    """Milliseconds of each call at its fastest, taken in turns: what the machine gives when nobody disturbs it."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(times):
        for call, seconds in zip(calls, taken, strict=True):
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
    return [1000 * min(seconds) for seconds in taken]


if __name__ == "__main__":
    main()
