"""LoRA adapters by name, merged into copies of the networks: as fast and as exact as the plain ones."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ..common import digest
from ..common.adapter import WEIGHTS, check_adapter
from ..errors import AdapterUnfit, EngineError, ModelError
from .attached import check_lora, known_adapters, reason_for, split_weight, stamp
from .laying import stream, streams
from .network import Network, Variant

#: Folder of the student's adapter in a weights folder, and how it is asked for here; no adapter of a member has it.
STUDENT = "student"
ENCODERS = ("text_encoder", "text_encoder_2")
#: Merged copies that are kept; each is as large as the U-Net.
KEPT = 3


class Adapters:
    """The merged variants of one network."""

    def __init__(self, network: Network, weights: Path, folder: Path | None) -> None:
        """`folder` holds one folder, or one .safetensors file, for each adapter that may be asked for by name."""
        self._network = network
        self._weights = weights
        self._folder = folder
        self._made: OrderedDict[str, Variant] = OrderedDict()
        self._digests: dict[tuple[str, str], str] = {}
        self._triggers: dict[str, str] = {}
        self.student = read_student(weights)

    def names(self) -> Sequence[str]:
        """What may be asked for, in order."""
        return known_adapters(self._folder)

    def forget(self) -> None:
        """Give back the merged copies; they are made again when they are asked for."""
        self._made.clear()

    def variant(self, names: Sequence[str], *, draft: bool) -> Variant:
        """The networks with these adapters, and the student's where `draft`. `style:0.6` counts less than `style`.

        Raises:
            AdapterUnfit: no such adapter, or it does not fit.
        """
        wanted = [*names, *([STUDENT] if draft and self.student else [])]
        if not wanted:
            return self._network.plain
        for name in names:
            if split_weight(name)[0] not in self.names():
                known = ", ".join(self.names()) or "none"
                raise AdapterUnfit(f"There is no adapter {split_weight(name)[0]!r} on this worker; it has: {known}.")
        parts = [split_weight(name) for name in wanted]
        places = [self._place(name, [split_weight(each)[0] for each in names]) for name, _ in parts]
        # A file that was replaced is another adapter.
        key = "+".join(f"{told}@{_stamp(place)}" for told, place in zip(wanted, places, strict=True))
        if key not in self._made:
            self._made[key] = self._merge(key, "+".join(wanted), places, [weight for _, weight in parts])
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]

    def prompt(self, prompt: str, names: Sequence[str]) -> str:
        """The prompt with the words that the adapters were trained to listen to, where it lacks them."""
        plain = [split_weight(name)[0] for name in names]
        missing = [self._triggers[name] for name in plain if self._triggers.get(name, "")]
        return " ".join([*(word for word in missing if word not in prompt), prompt])

    def about(self, names: Sequence[str], *, draft: bool) -> Mapping[str, str]:
        """Digest of each adapter in use, for the metadata, and how much it counts."""
        wanted = [*names, *([STUDENT] if draft and self.student else [])]
        plain = [split_weight(name)[0] for name in names]
        told: dict[str, str] = {}
        for each in wanted:
            name, weight = split_weight(each)
            place = self._place(name, plain)
            key = (name, _stamp(place))
            if key not in self._digests:
                self._digests[key] = digest(place)
            told[name] = self._digests[key] + (f" × {weight:g}" if weight != 1 else "")
        return told

    def _place(self, name: str, asked: Sequence[str]) -> Path:
        if name == STUDENT and name not in asked:
            return self._weights / STUDENT
        assert self._folder is not None
        folder = self._folder / name
        return folder if folder.is_dir() else self._folder / f"{name}.safetensors"

    def _merge(self, key: str, told: str, places: Sequence[Path], weights: Sequence[float]) -> Variant:
        plain = self._network.plain.pipeline
        try:
            copied = _copy(plain)
            for number, place in enumerate(places):
                file = place if place.is_file() else place / WEIGHTS
                check_lora(file)
                if place.is_dir() and self._weights.is_dir() and place.name != STUDENT:
                    self._triggers[place.name] = check_adapter(place, self._weights).trigger
                copied.load_lora_weights(
                    file.parent, weight_name=file.name, adapter_name=f"a{number}", local_files_only=True,
                    use_safetensors=True,
                )  # fmt: skip
            numbers = [f"a{number}" for number in range(len(places))]
            found = {each for part in copied.get_list_adapters().values() for each in part}
            if missing := [place for number, place in zip(numbers, places, strict=True) if number not in found]:
                raise AdapterUnfit(  # noqa: TRY301  told as all others
                    f"The adapter {missing[0].stem} does not fit this model: nothing in it belongs to a layer of it."
                )
            copied.set_adapters(numbers, list(weights))
            copied.fuse_lora(adapter_names=numbers)
            copied.unload_lora_weights()
            for name in ENCODERS:
                # Encoders that wait in main memory do so with adapters, too.
                if streams(plain.components.get(name)):
                    stream(getattr(copied, name), self._network.device)
        except AdapterUnfit:
            raise
        except EngineError as problem:
            raise AdapterUnfit(str(problem)) from problem
        except (ModelError, SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as problem:
            raise AdapterUnfit(f"The adapter {told} cannot be used: {reason_for(problem)}.") from problem
        return self._network.variant(key, copied)


def _stamp(place: Path) -> str:
    """Changes when the adapter's file does."""
    return "-".join(str(each) for each in stamp(place if place.is_file() else place / WEIGHTS))


def _copy(pipeline: Any) -> Any:
    """The pipeline with networks of its own where adapters change them; the others are shared.

    Built anew from configuration and weights: the plain U-Net may have been changed to keep its rows apart.
    """
    own: dict[str, Any] = {}
    for name in ("unet", *ENCODERS):
        part = pipeline.components.get(name)
        if part is None:
            continue
        fresh = type(part).from_config(part.config) if name == "unet" else type(part)(part.config)
        fresh.load_state_dict(part.state_dict())
        own[name] = fresh.to(part.device, part.dtype).eval()
    return type(pipeline)(**{**pipeline.components, **own}, **_switches(pipeline))


def _switches(pipeline: Any) -> dict[str, Any]:
    names = ("requires_safety_checker", "force_zeros_for_empty_prompt")
    return {name: pipeline.config[name] for name in names if name in pipeline.config}


def read_student(weights: Path) -> Mapping[str, Any] | None:
    """How the student of a weights folder is sampled: steps, guidance, solver_order; None where there is none."""
    folder = weights / STUDENT
    try:
        if not (folder / WEIGHTS).is_file():
            return None
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return {name: told[name] for name in ("steps", "guidance", "solver_order")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
