"""What a stock pipeline is called with for a request, whatever its family calls it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    FlowMatchEulerDiscreteScheduler,
)
from PIL import Image

from ..errors import Unsupported
from . import families, sources
from .requests import RenderRequest
from .wording import cut_tokens

#: Fields of a request that stock pipelines know nothing of, and their names where those differ.
UNKNOWN = ("parts", "tile", "draft", "chaos", "control")
NAMES = {"parts": "parts with weights (::)", "negative": "negative prompt", "control": "ControlNet"}


class Calls:
    """One pipeline, and its siblings that begin from pictures where diffusers has them."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.kind = type(pipeline).__name__
        self._takes = takes(pipeline)
        self._siblings: dict[str, Any] = {}
        self.factor = families.factor_of(pipeline)
        self.native = families.native_of(pipeline)
        #: Pixels that both sides are multiples of: transformers take latents in patches of 2 × 2, U-Nets halve them a
        #: few times and cope.
        self.multiple = max(8, 2 * self.factor)

    def sibling(self, use: str) -> Any:
        """The pipeline that begins from a picture (`vary`), or paints into one; the same networks.

        Raises:
            Unsupported: diffusers has none for this family.
        """
        if use not in self._siblings:
            auto = AutoPipelineForImage2Image if use == "vary" else AutoPipelineForInpainting
            try:
                self._siblings[use] = auto.from_pipe(self.pipeline)
            except Exception as problem:
                what = "begins from no picture" if use == "vary" else "paints into no picture"
                raise Unsupported(
                    f"{self.kind} {what}: diffusers has no pipeline of its family for that.",
                    "source" if use == "vary" else "inpaint",
                ) from problem
            self._siblings[use].set_progress_bar_config(disable=True)
        return self._siblings[use]

    def check(self, request: RenderRequest) -> None:
        """Refuse what this pipeline does not know.

        Raises:
            Unsupported: says what.
        """
        refused = [name for name in UNKNOWN if getattr(request, name)]
        if request.negative and not self.takes_negative:
            refused.append("negative")
        # Only along a flow's straight lines do two steps tell the picture that they lead to.
        if request.stop < 100 and not (
            isinstance(self.pipeline.scheduler, FlowMatchEulerDiscreteScheduler) and hasattr(self.pipeline, "interrupt")
        ):
            refused.append("stop")
        if refused:
            named = ", ".join(NAMES.get(name, name) for name in refused)
            raise Unsupported(f"{self.kind} is drawn job by job and knows no {named}.", refused[0])

    @property
    def takes_negative(self) -> bool:
        """Whether a negative prompt changes anything."""
        unet = self.pipeline.components.get("unet")
        # Guidance that a distilled U-Net takes as a number knows none.
        distilled = getattr(getattr(unet, "config", None), "time_cond_proj_dim", None) is not None
        return "negative_prompt" in self._takes and not distilled

    def cut(self, prompt: str) -> int:
        """Tokens at the end of a prompt that are not read, by whichever encoder reads most."""
        parts = self.pipeline.components
        tokenizer = next((parts[f"tokenizer{k}"] for k in ("_4", "_3", "_2", "") if parts.get(f"tokenizer{k}")), None)
        if not callable(tokenizer):
            return 0
        most = inspect.signature(self.pipeline.__call__).parameters.get("max_sequence_length")
        length = most.default if most is not None and isinstance(most.default, int) else tokenizer.model_max_length
        return cut_tokens(tokenizer, prompt, min(length, tokenizer.model_max_length))

    def told(
        self,
        request: RenderRequest,
        prompt: str,
        seeds: Sequence[int],
        size: tuple[int, int],
        canvas: sources.Canvas | None,
    ) -> tuple[Any, dict[str, Any]]:
        """The pipeline and its arguments, but for callbacks.

        Raises:
            Unsupported: it begins from no pictures.
        """
        width, height = size
        pipeline = self.pipeline
        told: dict[str, Any] = {
            "prompt": prompt,
            "num_images_per_prompt": len(seeds),
            "num_inference_steps": request.steps,
            "width": width,
            "height": height,
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "output_type": "pil",
            # Bins of sizes are for those who ask for any; what is asked for here fits already.
            "use_resolution_binning": False,
            **self._guidance(request),
        }
        if request.steps != 2:
            told["intermediate_timesteps"] = None  # SANA-Sprint's default is for two steps alone.
        if canvas is not None:
            pipeline = self.sibling("vary" if canvas.mask is None else "inpaint")
            told["image"] = canvas.picture.resize(size, Image.Resampling.LANCZOS)
            told["strength"] = canvas.strength
            if canvas.mask is not None:
                told["mask_image"] = canvas.mask.resize(size)
        known = takes(pipeline)
        if "generator" in known and len(seeds) == 1:
            told["generator"] = told["generator"][0]
        return pipeline, {name: value for name, value in told.items() if name in known}

    def _guidance(self, request: RenderRequest) -> Mapping[str, Any]:
        """How strongly the prompt counts, as the family names it.

        Some networks learnt guidance as a number; those that also have `true_cfg_scale` ask the network twice by it,
        and only where they are told what is not wanted, if only nothing.
        """
        told: dict[str, Any] = {"guidance_scale": request.guidance, "negative_prompt": request.negative}
        if "true_cfg_scale" not in self._takes:
            return told
        network = self.pipeline.components.get("transformer")
        learnt = bool(getattr(getattr(network, "config", None), "guidance_embeds", False))
        if request.negative or (not learnt and request.guidance > 1):
            told |= {"true_cfg_scale": request.guidance, "negative_prompt": request.negative or " "}
        else:
            told |= {"true_cfg_scale": 1.0, "negative_prompt": None}
        if not learnt:
            # Where it is no input of the network it must not be given at all, or is passed over.
            told["guidance_scale"] = None if self.kind.startswith("Qwen") else request.guidance
        return told


def takes(pipeline: Any) -> set[str]:
    """Names of what it may be called with."""
    return set(inspect.signature(pipeline.__call__).parameters)
