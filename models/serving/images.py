"""Image prompts by an IP-Adapter (arXiv:2308.06721): a picture read as words are, in place of being begun from.

A model's folder has one where a file `ip-adapter*.safetensors` and an `image_encoder` lie in it, as they are published:
side by side at the top or in `ip_adapter`, `models` or `sdxl_models`. For Stable Diffusion and SDXL, whose rows go
through a second U-Net that shares every weight of the first and has the adapter's attention besides.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from ..common import digest
from ..errors import EngineError, WeightsRefused, explained
from .network import Network, Variant, Words

log = logging.getLogger(__name__)

#: Folders of a model where the files lie.
PLACES = ("", "ip_adapter", "ip-adapter", "models", "sdxl_models")
#: U-Nets that are kept: one for each set of adapters.
KEPT = 3
#: Scales are told apart by so much; each is drawn in steps of its own.
STEP = 0.05


@dataclass(frozen=True, slots=True)
class Files:
    """An IP-Adapter and the encoder of its pictures."""

    adapter: Path
    encoder: Path
    #: Folder of the encoder's preprocessor; None: CLIP's own.
    preprocessor: Path | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as rows read it, each (1, 1, …): where it is asked for, and where it is not."""

    asked: Tensor
    unasked: Tensor

    def rows(self, words: Words, *, asked: bool) -> Words:
        """The words of a row, with the picture beside them."""
        return replace(words, image=self.asked if asked else self.unasked)


def files_in(weights: Path) -> Files | None:
    """What a model's folder has of it; None: nothing. Of several the first one by name that is no FaceID's."""
    if not weights.is_dir():
        return None
    for place in PLACES:
        folder = weights / place if place else weights
        found = [file for file in sorted(folder.glob("ip-adapter*.safetensors")) if "faceid" not in file.name.lower()]
        encoders = [each for each in (folder / "image_encoder", weights / "image_encoder") if _has_encoder(each)]
        if found and encoders:
            extractor = weights / "feature_extractor"
            told = extractor if (extractor / "preprocessor_config.json").is_file() else None
            return Files(found[0], encoders[0], told)
    return None


def _has_encoder(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


class ImagePrompts:
    """Of one network whose folder has an IP-Adapter."""

    def __init__(self, network: Network, files: Files) -> None:
        """Reads the files, and puts the adapter on once, so that one that does not fit is known.

        Raises:
            WeightsRefused: it is damaged, or made for another base; says which.
        """
        self._network = network
        self._files = files
        self.digest = digest(files.adapter)
        with explained(WeightsRefused, f"The IP-Adapter {files.adapter} is damaged: {{problem}}. Fetch it again."):
            self._state = _read(files.adapter)
            self.encoder: Any = CLIPVisionModelWithProjection.from_pretrained(
                files.encoder, dtype=network.kind, local_files_only=True, use_safetensors=True
            )
            self.encoder = self.encoder.to(network.device).eval().requires_grad_(False)
            size = int(self.encoder.config.image_size)
            self._processor: Any = (
                CLIPImageProcessor.from_pretrained(files.preprocessor, local_files_only=True)
                if files.preprocessor is not None
                else CLIPImageProcessor(size=size, crop_size=size)
            )
        self._made: OrderedDict[str, tuple[Variant, Any]] = OrderedDict()
        try:
            self.variant(network.plain, 1.0)
        except EngineError:
            raise
        except Exception as problem:
            said = str(problem)
            misfit = "size mismatch" in said or "shape" in said
            why = "it was made for another base model" if misfit else said.splitlines()[0][:200] if said else ""
            raise WeightsRefused(
                f"The IP-Adapter {files.adapter} does not fit this model: {why or type(problem).__name__}."
            ) from problem

    def forget(self) -> None:
        """Give back what was made for adapters; it is made again when it is asked for."""
        self._made.clear()

    def see(self, picture: Image.Image) -> Seen:
        """A picture through its encoder, by the stock pipeline's own way."""
        pipeline = self._with(self._network.plain)[1]
        if picture.mode in ("RGBA", "LA", "P"):
            clear = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        (both,) = pipeline.prepare_ip_adapter_image_embeds(
            [picture.convert("RGB")], None, self._network.device, 1, True
        )
        unasked, asked = both.to(self._network.kind).chunk(2)
        return Seen(asked, unasked)

    def variant(self, base: Variant, scale: float) -> Variant:
        """The networks with the picture counting by `scale`, 0 to 1, beside the words."""
        scale = round(round(scale / STEP) * STEP, 2)
        made, _ = self._with(base)
        return replace(made, name=f"{base.name}+image@{scale:g}", scale=scale)

    def _with(self, base: Variant) -> tuple[Variant, Any]:
        """A U-Net that shares the weights of `base` and reads a picture, and the pipeline that it is in."""
        if base.name not in self._made:
            with torch.inference_mode(False), torch.no_grad():
                self._made[base.name] = self._make(base)
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(base.name)
        return self._made[base.name]

    def _make(self, base: Variant) -> tuple[Variant, Any]:
        plain = base.pipeline
        with torch.device("meta"):
            unet = type(base.unet).from_config(base.unet.config).requires_grad_(False)
        # The very tensors, not copies of them.
        unet.load_state_dict(base.unet.state_dict(), assign=True)
        parts = {**plain.components, "unet": unet, "image_encoder": self.encoder, "feature_extractor": self._processor}
        names = ("requires_safety_checker", "force_zeros_for_empty_prompt")
        switches = {name: plain.config[name] for name in names if name in plain.config}
        pipeline = type(plain)(**parts, **switches)
        pipeline.load_ip_adapter(self._state, subfolder="", weight_name="", image_encoder_folder=None)
        unet.to(self._network.device, self._network.kind)
        made = self._network.variant(base.name, pipeline)
        return replace(made, pipeline=plain), pipeline


def _read(file: Path) -> dict[str, dict[str, Tensor]]:
    """The tensors as diffusers takes them.

    Raises:
        WeightsRefused: it is no IP-Adapter, or its values are no numbers.
    """
    state: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    with safe_open(file, "pt") as opened:
        for key in opened.keys():  # noqa: SIM118  not a dict
            part, _, name = key.partition(".")
            if part in state:
                state[part][name] = opened.get_tensor(key)
    if not all(state.values()):
        raise WeightsRefused(f"{file} holds no IP-Adapter: its tensors are named as in none.")
    if not all(bool(torch.isfinite(each.float()).all()) for part in state.values() for each in part.values()):
        raise WeightsRefused(f"The IP-Adapter {file} has values that are no numbers: it is damaged.")
    return state


def image_prompts_of(network: Network, weights: Path) -> ImagePrompts | None:
    """Those of a model whose folder has an IP-Adapter that can be used; else pictures are begun from, and the log says
    why."""
    files = files_in(weights)
    if files is None:
        return None
    try:
        # What is made here may be moved and changed later, wherever this is called.
        with torch.inference_mode(False), torch.no_grad():
            return ImagePrompts(network, files)
    except EngineError as problem:
        log.warning("pictures are begun from and not read as prompts reason=%s", problem)
        return None
