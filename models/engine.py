"""The render engine: prompts in, pictures out. Blocking; give it a thread of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from . import upscaler
from .errors import EngineError, Unrenderable, WeightsMissing, WeightsRefused

#: Raised whenever the same request may give other pixels than before.
ENGINE_VERSION = 2
#: Libraries whose classes a pipeline folder may name; anything else would be code from a checkpoint.
TRUSTED = frozenset({"diffusers", "transformers"})
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
#: Largest side of a picture that the model itself draws, as a multiple of the size it was trained at.
LARGEST = 2


class Cancelled(Exception):
    """Raised out of `on_step` to leave at a step boundary."""


class Engine:
    """One pipeline on one device."""

    def __init__(self, weights: Path, *, device: str = "auto", threads: int | None = None) -> None:
        self.weights = weights
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if threads is not None:
            torch.set_num_threads(threads)
        self._pipeline: StableDiffusionPipeline | None = None
        self._upscaler: upscaler.Upscaler | None = None
        self._digest = self._upscaler_digest = ""

    def load(self) -> None:
        """Read the weights; slow.

        Raises:
            WeightsMissing: there is no pipeline in the folder.
            WeightsRefused: it holds pickles, names foreign code, or is damaged.
        """
        check_folder(self.weights)
        # bf16 has no fast path on CPUs; fp16 keeps our half-precision weights exact on CUDA.
        kind = torch.float16 if self.device.startswith("cuda") else torch.float32
        try:
            pipeline = DiffusionPipeline.from_pretrained(
                self.weights, dtype=kind, local_files_only=True, use_safetensors=True, safety_checker=None
            )
            pipeline.to(self.device)
        except (SafetensorError, OSError, ValueError, RuntimeError) as problem:
            raise WeightsRefused(
                f"The weights in {self.weights} cannot be used on {self.device}: {problem}. Fetch or export them again."
            ) from problem
        if not isinstance(pipeline, StableDiffusionPipeline):
            raise WeightsRefused(
                f"{self.weights} holds a {type(pipeline).__name__}; only Stable Diffusion class pipelines."
            )
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
        if self.device == "cpu":
            rows_apart(pipeline.unet)
        beside = self.weights / upscaler.FOLDER
        self._upscaler = upscaler.load(beside, kind=kind, device=self.device) if beside.is_dir() else None
        self._upscaler_digest = digest(beside) if self._upscaler else "none"
        self._pipeline, self._digest = pipeline, digest(self.weights)

    def describe(self) -> Mapping[str, Any]:
        """What is written into every picture's metadata: enough, with the request, to make it again."""
        return {
            "model": self.weights.name,
            "model_digest": self._digest,
            "device": self.device,
            "upscaler": self._upscaler_digest,
            "sampler": type(self._pipeline.scheduler).__name__ if self._pipeline else "",
            "engine": ENGINE_VERSION,
            "torch": torch.__version__,
            "diffusers": version("diffusers"),
        }

    @torch.inference_mode()
    def generate(
        self,
        prompt: str,
        *,
        negative: str = "",
        seeds: Sequence[int],
        steps: int,
        guidance: float,
        width: int,
        height: int,
        on_step: Callable[[int, int], None] = lambda step, steps: None,
    ) -> list[Image.Image]:
        """Render one picture for each seed.

        `width` and `height` are the delivered size in pixels: the model draws at its own size with that aspect, the
        result goes through the upscaler, where the weights have one, and is scaled. `on_step(k, n)` is called after
        each step and may raise `Cancelled`. On a processor a seed gives the same pixels alone and among others.

        Raises:
            EngineError: `load` was not called.
            Unrenderable: not enough memory, or a shape that the model cannot draw.
        """
        pipeline = self._pipeline
        if pipeline is None:
            raise EngineError("The engine has no weights yet: call load() first.")
        drawn_width, drawn_height = native_size(
            width, height, pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        )
        # One generator for each picture, on the CPU: noise depends on the seed alone, not on device or neighbours.
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

        def after_step(_: Any, index: int, __: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            on_step(index + 1, steps)
            return tensors

        try:
            latents: Tensor = pipeline(
                prompt,
                negative_prompt=negative,
                # The prompt is encoded once, whatever the number of pictures.
                num_images_per_prompt=len(seeds),
                num_inference_steps=steps,
                guidance_scale=guidance,
                width=drawn_width,
                height=drawn_height,
                generator=generators,
                callback_on_step_end=after_step,
                callback_on_step_end_tensor_inputs=["latents"],
                output_type="latent",
            ).images
            # One at a time: less memory, and no pixel depends on the neighbours.
            return [self._finish(pipeline, latent[None], (width, height)) for latent in latents]
        except torch.OutOfMemoryError as problem:
            raise Unrenderable(
                f"{len(seeds)} pictures of {drawn_width} × {drawn_height} do not fit into the memory of {self.device}; "
                "ask for fewer or smaller ones."
            ) from problem

    def _finish(self, pipeline: StableDiffusionPipeline, latent: Tensor, size: tuple[int, int]) -> Image.Image:
        """Decode one latent (1, 4, h, w), enlarge it, and bring it to `size`."""
        picture: Tensor = pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample
        if self._upscaler is not None:
            picture = upscaler.upscale(self._upscaler, picture.clamp(-1, 1))
        finished: Image.Image = pipeline.image_processor.postprocess(picture, output_type="pil")[0]
        return finished if finished.size == size else finished.resize(size, Image.Resampling.LANCZOS)


def rows_apart(unet: nn.Module) -> None:
    """Let no row of a batch on a processor depend on how many there are, to the last bit.

    Matrix products sum in another order for other numbers of rows, convolutions only for a single row (measured). So
    linear layers take the rows one at a time, and a single row goes in twice.
    """
    for module in unet.modules():
        if isinstance(module, nn.Linear):
            module.forward = partial(_linear, module)
    forward = unet.forward

    def at_least_two(sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **others: Any) -> Any:
        if len(sample) > 1:
            return forward(sample, timestep, encoder_hidden_states, **others)
        if (condition := others.get("timestep_cond")) is not None:
            others["timestep_cond"] = condition.repeat(2, 1)
        made = forward(sample.repeat(2, 1, 1, 1), timestep, encoder_hidden_states.repeat(2, 1, 1), **others)
        return (made[0][:1],)

    unet.forward = at_least_two


def _linear(layer: nn.Linear, rows: Tensor) -> Tensor:
    return torch.cat([functional.linear(row, layer.weight, layer.bias) for row in rows.split(1)])


def native_size(width: int, height: int, native: int) -> tuple[int, int]:
    """Size the model draws at for a delivered size: about native², the same aspect, multiples of 8 pixels."""
    aspect = (width / height) ** 0.5
    longest = native * LARGEST

    def side(length: float) -> int:
        return max(8, min(longest, 8 * round(length / 8)))

    return side(native * aspect), side(native / aspect)


def check_folder(weights: Path) -> None:
    """Refuse a folder before anything in it is opened.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    index = weights / "model_index.json"
    if not index.is_file():
        raise WeightsMissing(
            f"No pipeline in {weights} (model_index.json is missing). The shipped weights lie in models/weights/ "
            "of the repository; another folder is named by [render] weights in config.toml."
        )
    pickles = sorted(file.name for file in weights.rglob("*") if file.suffix in PICKLES)
    if pickles:
        raise WeightsRefused(
            f"{weights} holds pickled files ({', '.join(pickles[:3])}), which can run code when opened. "
            "Convert them to safetensors and delete them."
        )
    try:
        parts: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise WeightsRefused(f"{index} is damaged: {problem}. Fetch or export the weights again.") from problem
    for name, value in parts.items():
        if isinstance(value, list) and value and value[0] is not None and value[0] not in TRUSTED:
            raise WeightsRefused(f"{index} wants code of its own for {name} ({value[0]}). That is never run.")


def digest(weights: Path) -> str:
    """sha256 over every weight and configuration file, in order of their names."""
    total = hashlib.sha256()
    for file in sorted(weights.rglob("*")):
        if file.suffix in {".safetensors", ".json"} and file.name not in {"training.json", "evaluation.json"}:
            total.update(file.relative_to(weights).as_posix().encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
