"""ControlNets (arXiv:2302.05543): a picture that says where things are, while the prompt says what they are.

Folders of stock diffusers ControlNets, named as they are asked for, in a folder of the operator's. One whose name says
`canny` is given the edges of the picture (edges.py); every other one the picture as it is, which then is a map of its
kind already: depth, pose, lines. For Stable Diffusion and SDXL, row by row with everybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel
from PIL import Image
from torch import Tensor

from ..common import digest
from ..errors import ControlUnfit, explained
from .attached import Stamp, split_weight, stamp
from .edges import edges
from .exact import filled, layers_apart, least_rows
from .network import Network, Variant

#: ControlNets that stay loaded.
KEPT = 2
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")


def known_controls(folder: Path | None) -> Sequence[str]:
    """Names of those in a folder, in order."""
    if folder is None or not folder.is_dir():
        return ()
    return sorted(each.name for each in folder.iterdir() if (each / "config.json").is_file() and _file(each))


def _file(folder: Path) -> Path | None:
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class Control:
    """A loaded ControlNet, and how much it counts."""

    network: Any
    scale: float
    #: Whether rows of a batch are kept apart, as on a processor.
    apart: bool

    def residuals(
        self, samples: Tensor, times: Tensor, states: Tensor, pictures: Tensor, added: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """What the U-Net is given besides.

        Args:
            samples: (R, C, h, w), as the U-Net gets them; `times` (R,), `states` (R, length, width).
            pictures: (R, 3, H, W) in [0, 1].
            added: what else the U-Net is conditioned by, (R, …) each.
        """
        rows = len(samples)
        given = {
            "sample": samples, "timestep": times, "encoder_hidden_states": states, "controlnet_cond": pictures,
            "added_cond_kwargs": added,
        }  # fmt: skip
        if self.apart:
            given = filled(given, least_rows())
        down, middle = self.network(**given, conditioning_scale=self.scale, return_dict=False)
        return {
            "down_block_additional_residuals": [each[:rows] for each in down],
            "mid_block_additional_residual": middle[:rows],
        }


class Controls:
    """Those of one network."""

    def __init__(self, network: Network, folder: Path | None) -> None:
        self._network = network
        self._folder = folder
        self._loaded: OrderedDict[str, tuple[Stamp, Any, str]] = OrderedDict()

    def forget(self) -> None:
        """Give up what is loaded; it is read again when it is asked for."""
        self._loaded.clear()

    def names(self) -> Sequence[str]:
        return known_controls(self._folder)

    def variant(self, base: Variant, asked: str) -> tuple[Variant, str]:
        """The networks with a ControlNet beside them, and its digest; `canny:0.6` counts less than `canny`.

        Raises:
            ControlUnfit: there is none of that name, it is damaged, or was made for another model.
        """
        name, scale = split_weight(asked)
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise ControlUnfit(f"There is no ControlNet {name!r} on this worker; it has: {known}.")
        loaded, told, now = self._load(name)
        control = Control(loaded, scale, self._network.device == "cpu")
        stamped = "-".join(str(each) for each in now)
        return replace(base, name=f"{base.name}+control:{name}@{stamped}@{scale:g}", control=control), told

    def _load(self, name: str) -> tuple[Any, str, Stamp]:
        assert self._folder is not None
        folder = self._folder / name
        file = _file(folder)
        assert file is not None
        now = stamp(file)
        if self._loaded.get(name, ((), None, ""))[0] != now:
            self._loaded.pop(name, None)
            with torch.inference_mode(False), torch.no_grad():
                self._loaded[name] = (now, self._read(name, folder, file), digest(folder))
            while len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(name)
        _, network, told = self._loaded[name]
        return network, told, now

    def _read(self, name: str, folder: Path, file: Path) -> Any:
        network = self._network
        variant = {"variant": "fp16"} if ".fp16." in file.name else {}
        with explained(ControlUnfit, f"The ControlNet {name} is damaged: {{problem}}. Copy it again."):
            loaded: Any = ControlNetModel.from_pretrained(
                folder, torch_dtype=network.kind, local_files_only=True, use_safetensors=True, **variant
            )
        unet = network.plain.unet.config
        for told in ("in_channels", "cross_attention_dim", "addition_embed_type"):
            if getattr(loaded.config, told, None) != getattr(unet, told, None):
                raise ControlUnfit(
                    f"The ControlNet {name} was made for another base model: its {told} is "
                    f"{getattr(loaded.config, told, None)}, this model's {getattr(unet, told, None)}."
                )
        if tuple(loaded.config.block_out_channels) != tuple(unet.block_out_channels):
            raise ControlUnfit(f"The ControlNet {name} was made for another base model: its blocks have other widths.")
        if not all(bool(torch.isfinite(weight.float()).all()) for weight in loaded.parameters()):
            raise ControlUnfit(f"The ControlNet {name} has values that are no numbers: it is damaged.")
        loaded = loaded.to(network.device).eval().requires_grad_(False).to(memory_format=torch.channels_last)
        if network.device == "cpu":
            layers_apart(loaded)
        return loaded


def map_of(name: str, picture: Image.Image) -> Tensor:
    """What a ControlNet is shown of a picture, (1, 3, H, W) in [0, 1]."""
    shown = edges(picture) if "canny" in split_weight(name)[0].lower() else picture.convert("RGB")
    return torch.from_numpy(np.array(shown, np.float32) / 255).permute(2, 0, 1)[None]
