"""A pipeline taken apart for step batching: words to vectors, rows through the U-Net, pictures to latents and back.

Stable Diffusion 1.x/2.x class pipelines (ours is one) and SDXL class ones; others run job by job (jobwise.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from . import families
from .exact import circular, padded, rows_apart
from .laying import take
from .parts import encoders_of, finite, tokenizers_of, weigh
from .program import MOST, Program
from .rows import Variant, Words
from .samplers import Samplers
from .wording import chunks, cut_tokens, plain_text, weighted

#: Prompts whose vectors are remembered.
REMEMBERED = 512


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
        self.native: int = families.native_of(pipeline)
        self.channels: int = unet.config.in_channels
        #: Of a picture that is drawn as large as it is asked for; see `native_size`.
        self.most_pixels = 0
        #: Pixels that the codec decodes in one go; 0: any.
        self.decoded = 0
        #: What the U-Net computes in.
        self.kind: torch.dtype = unet.dtype
        #: What steps rows; found out now, not at the first picture.
        self.samplers = Samplers(pipeline.scheduler, sampler)
        self.plain = self.variant("", pipeline)
        #: The plain U-Net compiled, where that is wanted and was found to be of use.
        self.program: Program | None = None
        self._words: OrderedDict[tuple[str, str, int], Words] = OrderedDict()
        #: Numbers of rows that agree, by shape; see `trials.canonical`.
        self.counts: dict[tuple[int, int, bool, int], tuple[int, ...]] = {}

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

    def chunks(self, variant: Variant, text: str) -> int:
        """How many chunks a text is read in: more than one only of CLIP encoders, which read 77 tokens at a time."""
        if not self._reads_clip(variant.pipeline):
            return 1
        return max(len(chunks(each, text).ids) for each in tokenizers_of(variant.pipeline))

    def cut(self, variant: Variant, text: str) -> int:
        """Tokens at the end of a text that are not read."""
        tokenizers = tokenizers_of(variant.pipeline)
        if self._reads_clip(variant.pipeline):
            return max(chunks(each, text).cut for each in tokenizers)
        return max(cut_tokens(each, text, each.model_max_length) for each in tokenizers)

    def encode_prompt(self, variant: Variant, text: str, count: int = 1) -> Words:
        """The vectors of one text, remembered; encoded by itself, so that no bit depends on another.

        `count`: chunks that it is filled up to, as long as others of its picture.
        """
        key = (variant.name, text, count)
        if key not in self._words:
            self._encode(variant, [text], count)
        self._words.move_to_end(key)
        return self._words[key]

    def read(self, variant: Variant, texts: Sequence[str]) -> None:
        """Remember the vectors of texts that are about to be asked for, in one forward: faster, and the last bits of
        one may depend on the others (sums in another order; activations are approximated in blocks of SIMD lanes).
        """
        unknown = list(dict.fromkeys(text for text in texts if (variant.name, text, 1) not in self._words))
        if self._reads_clip(variant.pipeline):
            unknown = [text for text in unknown if self._plain(variant.pipeline, text)]
        if len(unknown) > 1:
            self._encode(variant, unknown[:REMEMBERED], 1)

    def _encode(self, variant: Variant, texts: Sequence[str], count: int) -> None:
        pipeline = variant.pipeline
        if self._reads_clip(pipeline) and (count > 1 or not all(self._plain(pipeline, text) for text in texts)):
            made = [self._weighted(pipeline, text, count) for text in texts]
        else:
            read = [plain_text(text) for text in texts] if self._reads_clip(pipeline) else texts
            made = self._states_xl(pipeline, read) if self.xl else self._states(pipeline, read)
        for text, words in zip(texts, made, strict=True):
            self._words[variant.name, text, count] = words
        while len(self._words) > REMEMBERED:
            self._words.popitem(last=False)

    def _reads_clip(self, pipeline: Any) -> bool:
        return all("CLIPText" in type(encoder).__name__ for _, encoder in encoders_of(pipeline))

    def _plain(self, pipeline: Any, text: str) -> bool:
        return all(chunks(each, text).plain for each in tokenizers_of(pipeline))

    def _weighted(self, pipeline: Any, text: str, count: int) -> Words:
        """A text with weights, or of more than one chunk; as the stock pipeline reads each chunk."""
        if self.xl and not text and pipeline.config.force_zeros_for_empty_prompt:
            one = self._states_xl(pipeline, [text])[0]
            return Words(one.states.repeat(1, count, 1), one.pooled)
        both = encoders_of(pipeline)
        count = max(count, *(len(chunks(tokenizer, text).ids) for tokenizer, _ in both))
        pooled: list[Tensor] = []

        def read(encoder: Any, ids: Tensor) -> Tensor:
            made = encoder(ids, output_hidden_states=self.xl)
            if not self.xl:
                return made[0]
            pooled.append(made[0][:1])
            return made.hidden_states[-2]

        states = [
            weighted(partial(read, encoder), chunks(tokenizer, text, count), self.device).to(self.kind)
            for tokenizer, encoder in both
        ]
        return Words(torch.cat(states, -1), pooled[-1].to(self.kind) if self.xl else None)

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
        if variant.control is not None:
            shown = padded(torch.cat([each.shown for each in words if each.shown is not None]), canonical)
            others |= variant.control.residuals(
                inputs, padded(times, canonical), states, shown.to(states.dtype), others.get("added_cond_kwargs")
            )
        if variant.scale is not None:
            images = [each.image for each in words if each.image is not None]
            others.setdefault("added_cond_kwargs", {})["image_embeds"] = [padded(torch.cat(images), canonical)]
            weigh(unet, variant.scale)
        if program is not None:
            added = others.get("added_cond_kwargs", {})
            return program(inputs, padded(times, canonical), states, *added.values())[:rows].float()
        with circular([unet], tile):
            made = unet(inputs, padded(times, canonical), encoder_hidden_states=states, return_dict=False, **others)[0]
        return made[:rows].float()

    @staticmethod
    def bounded(outputs: Tensor) -> Tensor:
        """What guidance made of the outputs, as it is: latents know no bounds."""
        return outputs

    # The codec

    def encode(self, pictures: Tensor) -> Tensor:
        """(1, 3, H, W) in [-1, 1] → latents (1, C, h, w), the most likely ones: the same each time."""
        config = self.vae.config
        take(self.vae, pictures.shape[-1] * pictures.shape[-2], 1, self.decoded)
        found = self.vae.encode(pictures.to(self.device, self.vae.dtype)).latent_dist.mode().float()
        if (measured := self._measured()) is not None:
            mean, deviation = measured
            return (found - mean) * config.scaling_factor / deviation
        return (found - (getattr(config, "shift_factor", None) or 0.0)) * config.scaling_factor

    def decode(self, latents: Tensor, *, tile: bool = False) -> Tensor:
        """Latents (1, C, h, w) → (1, 3, H, W), about [-1, 1]."""
        made = self._decoded(latents, tile=tile)
        if self.vae.dtype != torch.float32 and bool(torch.isfinite(latents).all()) and not finite(made):
            # Half precision overflows in codecs that were not made for it; from now on this one is not asked to.
            self.vae.float()
            made = self._decoded(latents, tile=tile)
        return made

    def _decoded(self, latents: Tensor, *, tile: bool) -> Tensor:
        config = self.vae.config
        self.tiles(*latents.shape[-2:])
        if (measured := self._measured()) is not None:
            mean, deviation = measured
            raw = latents * deviation / config.scaling_factor + mean
        else:
            raw = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
        with circular([self.vae.decoder], tile):
            return self.vae.decode(raw.to(self.vae.dtype), return_dict=False)[0].float()

    def tiles(self, height: int, width: int) -> bool:
        """Whether latents of this size are decoded in tiles; the codec is told."""
        return bool(take(self.vae, height * width * self.factor**2, 1, self.decoded))

    def _measured(self) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation of each channel, (1, C, 1, 1), where the codec tells them (Playground 2.5)."""
        config = self.vae.config
        told = [getattr(config, name, None) for name in ("latents_mean", "latents_std")]
        if any(each is None for each in told):
            return None
        mean, deviation = (torch.tensor(each, device=self.device).view(1, -1, 1, 1) for each in told)
        return mean, deviation
