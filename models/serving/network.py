"""A pipeline taken apart for step batching: words to vectors, rows through the U-Net, pictures to latents and back.

Stable Diffusion 1.x/2.x class pipelines (ours is one) and SDXL class ones; others run job by job (jobwise.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor, nn

from .exact import circular, padded, rows_apart
from .program import MOST, Program
from .samplers import Sampler, sampler_of

#: Prompts whose vectors are remembered.
REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Words:
    """One text: (1, length, width), and for SDXL the pooled vector (1, width)."""

    states: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A U-Net and text encoders with some adapters merged in. The empty name is the plain one."""

    name: str
    pipeline: Any
    unet: Any


class Network:
    """The parts of one loaded pipeline on its device, and how a row goes through them."""

    def __init__(self, pipeline: Any, device: str, sampler: str = "") -> None:
        """Takes over `pipeline`. `sampler`: one of `samplers.SAMPLERS`; empty: the checkpoint's own.

        Raises:
            WeightsRefused: rows cannot be stepped by that sampler.
        """
        unet, vae = pipeline.unet, pipeline.vae
        self.device = device
        self.xl = isinstance(pipeline, StableDiffusionXLPipeline)
        if self.xl and vae.config.force_upcast and vae.dtype == torch.float16:
            vae.float()  # SDXL's codec overflows in half precision.
        self.vae: Any = vae.to(memory_format=torch.channels_last)
        self.factor: int = pipeline.vae_scale_factor
        self.native: int = unet.config.sample_size * self.factor
        self.channels: int = unet.config.in_channels
        #: What the U-Net computes in.
        self.kind: torch.dtype = unet.dtype
        #: What steps rows; found out now, not at the first picture.
        self.sampler: Sampler = sampler_of(pipeline.scheduler, sampler)
        self.plain = self.variant("", pipeline)
        #: The plain U-Net compiled, where that is wanted and was found to be of use.
        self.program: Program | None = None
        self._words: OrderedDict[tuple[str, str], Words] = OrderedDict()

    @property
    def exact_rows(self) -> bool:
        """Whether a row's bits do not depend on the number of rows, whatever it is.

        In bfloat16 they do for some shapes (measured on the shipped network).
        """
        return self.device == "cpu" and self.kind == torch.float32

    def variant(self, name: str, pipeline: Any) -> Variant:
        """Make a pipeline's U-Net ready to be drawn with."""
        unet = pipeline.unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        if self.device == "cpu":
            rows_apart(unet)
        return Variant(name, pipeline, unet)

    def compiled(self, variant: Variant, height: int, width: int, *, tile: bool, canonical: int = 0) -> Program | None:
        """The program that computes these rows, if one does; latents of `height` × `width`."""
        program = self.program
        if program is None or variant is not self.plain or tile or canonical > MOST:
            return None
        return program if program.fits(height, width) else None

    # Words

    def words(self, variant: Variant, text: str) -> Words:
        """The vectors of one text, remembered; encoded by itself, so that no bit depends on another."""
        if (variant.name, text) not in self._words:
            self._encode(variant, [text])
        self._words.move_to_end((variant.name, text))
        return self._words[variant.name, text]

    def read(self, variant: Variant, texts: Sequence[str]) -> None:
        """Remember the vectors of texts that are about to be asked for, in one forward: faster, and the last bits of
        one may depend on the others (sums in another order; activations are approximated in blocks of lanes).
        """
        unknown = list(dict.fromkeys(text for text in texts if (variant.name, text) not in self._words))
        if len(unknown) > 1:
            self._encode(variant, unknown[:REMEMBERED])

    def _encode(self, variant: Variant, texts: Sequence[str]) -> None:
        made = self._states_xl(variant.pipeline, texts) if self.xl else self._states(variant.pipeline, texts)
        for text, words in zip(texts, made, strict=True):
            self._words[variant.name, text] = words
        while len(self._words) > REMEMBERED:
            self._words.popitem(last=False)

    def _states(self, pipeline: StableDiffusionPipeline, texts: Sequence[str]) -> list[Words]:
        tokenizer: Any = pipeline.tokenizer
        found = tokenizer(
            list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True,
            return_tensors="pt",
        )  # fmt: skip
        encoder: Any = pipeline.text_encoder
        mask = found.attention_mask.to(self.device) if getattr(encoder.config, "use_attention_mask", False) else None
        states = encoder(found.input_ids.to(self.device), attention_mask=mask)[0].to(self.kind)
        return [Words(each) for each in states.split(1)]

    def _states_xl(self, pipeline: StableDiffusionXLPipeline, texts: Sequence[str]) -> list[Words]:
        states, _, pooled, _ = pipeline.encode_prompt(
            list(texts), device=self.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        made: list[Words] = []
        for text, one, whole in zip(texts, states.to(self.kind).split(1), pooled.to(self.kind).split(1), strict=True):
            nothing = not text and pipeline.config.force_zeros_for_empty_prompt
            made.append(Words(torch.zeros_like(one), torch.zeros_like(whole)) if nothing else Words(one, whole))
        return made

    # The U-Net

    def forward(
        self,
        variant: Variant,
        samples: Tensor,
        times: Tensor,
        words: Sequence[Words],
        *,
        tile: bool = False,
        canonical: int = 0,
    ) -> Tensor:
        """One pass of R rows.

        Args:
            samples: (R, C, h, w), float32.
            times: (R,).
            words: one for each row.
            tile: edges that fit together.
            canonical: rows of each pass, filled up where fewer are left; 0: all at once.

        Returns:
            What the network says, (R, C, h, w), float32.
        """
        height, width = samples.shape[-2:]
        program = self.compiled(variant, height, width, tile=tile, canonical=canonical)
        size = canonical or (len(samples) if program is None else MOST)
        made = [
            self._pass(
                variant, samples[k : k + size], times[k : k + size], words[k : k + size], tile, canonical, program
            )
            for k in range(0, len(samples), size)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)

    def _pass(
        self,
        variant: Variant,
        samples: Tensor,
        times: Tensor,
        words: Sequence[Words],
        tile: bool,
        canonical: int,
        program: Program | None,
    ) -> Tensor:
        unet = variant.unet
        rows = len(samples)
        states = padded(torch.cat([each.states for each in words]), canonical)
        inputs = padded(samples, canonical).to(states.dtype, memory_format=torch.channels_last)
        others: dict[str, Any] = {}
        if self.xl:
            height, width = (side * self.factor for side in samples.shape[-2:])
            ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=states.dtype).to(self.device)
            pooled = padded(torch.cat([each.pooled for each in words if each.pooled is not None]), canonical)
            others["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.expand(len(pooled), -1)}
        if program is not None:
            added = others.get("added_cond_kwargs", {})
            return program(inputs, padded(times, canonical), states, *added.values())[:rows].float()
        with circular([unet], tile):
            made = unet(inputs, padded(times, canonical), encoder_hidden_states=states, return_dict=False, **others)[0]
        return made[:rows].float()

    # The codec

    def encode(self, pictures: Tensor) -> Tensor:
        """(1, 3, H, W) in [-1, 1] → latents (1, C, h, w), the most likely ones: the same each time."""
        config = self.vae.config
        found = self.vae.encode(pictures.to(self.device, self.vae.dtype)).latent_dist.mode().float()
        return (found - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor

    def decode(self, latents: Tensor, *, tile: bool = False) -> Tensor:
        """Latents (1, C, h, w) → (1, 3, H, W), about [-1, 1]."""
        config = self.vae.config
        raw = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
        with circular([self.vae.decoder], tile):
            return self.vae.decode(raw.to(self.vae.dtype), return_dict=False)[0].float()


def steps_together(pipeline: Any) -> bool:
    """Whether rows of this pipeline can share a step: a U-Net that wants no more than text, time and latents."""
    if not isinstance(pipeline, StableDiffusionPipeline | StableDiffusionXLPipeline):
        return False
    unet, vae = pipeline.unet.config, pipeline.vae.config
    return unet.in_channels == vae.latent_channels and unet.time_cond_proj_dim is None


def parameters(pipeline: Any) -> int:
    """All numbers of a pipeline's networks."""
    parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    return sum(weight.numel() for part in parts for weight in part.parameters())
