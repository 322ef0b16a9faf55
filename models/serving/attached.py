"""LoRA adapters of pipelines that run job by job: put beside the networks while a request is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from ..common import digest
from ..common.adapter import WEIGHTS
from ..errors import AdapterUnfit, explained

LOKR = "a LoKr"
#: Kinds of adapters that are no LoRA, by the ends of their tensors' names.
_OTHERS: tuple[tuple[str, str], ...] = (
    (".hada_w1_a", "a LoHa"), (".lokr_w1", LOKR), (".lokr_w1_a", LOKR), (".lokr_w2", LOKR),
    ("emb_params", "a textual inversion"), ("string_to_param", "a textual inversion"),
    ("clip_l", "a textual inversion"), (".oft_diag", "an OFT"), (".on_input", "an IA3"),
)  # fmt: skip
_LORA = ("lora_A", "lora_B", "lora_down", "lora_up", "lora.down", "lora.up")


def known_adapters(folder: Path | None) -> Sequence[str]:
    """Names of the adapters in a folder, one folder or one .safetensors file each, in order."""
    if folder is None or not folder.is_dir():
        return ()
    inside = [each for each in folder.iterdir() if (each / WEIGHTS).is_file() or each.suffix == ".safetensors"]
    return sorted(each.stem if each.is_file() else each.name for each in inside)


def file_of(folder: Path, name: str) -> Path:
    """The weights of an adapter that is there."""
    return folder / name / WEIGHTS if (folder / name).is_dir() else folder / f"{name}.safetensors"


#: How a file was found; another when it was changed or replaced.
Stamp = tuple[int, ...]


def stamp(file: Path) -> Stamp:
    """Changes when a file does, also where a copy keeps the old one's time and size."""
    told = file.stat()
    return told.st_mtime_ns, told.st_ctime_ns, told.st_size, told.st_ino


def split_weight(name: str) -> tuple[str, float]:
    """`style` → style, 1; `style:0.6` → style, 0.6."""
    plain, colon, weight = name.rpartition(":")
    if colon:
        try:
            found = float(weight)
        except ValueError:
            return name, 1.0
        if math.isfinite(found) and abs(found) <= 4:
            return plain, found
    return name, 1.0


def check_lora(file: Path, *, lokr: bool = False) -> bool:
    """Refuse a file that is no LoRA, or whose numbers are none, by what it is; gives whether it is a LoKr.

    `lokr`: those may be: diffusers loads them for some families (FLUX.2, Z-Image).

    Raises:
        AdapterUnfit: says which.
    """
    damaged = explained(AdapterUnfit, f"The adapter {file.stem} is damaged: {{problem}}. Copy it again.")
    with damaged, safe_open(file, "pt") as opened:
        names = list(opened.keys())
        kinds = {kind for ending, kind in _OTHERS if any(name.endswith(ending) for name in names)}
        for kind in sorted(kinds):
            if not (lokr and kind == LOKR):
                raise AdapterUnfit(
                    f"The adapter {file.stem} is {kind}; only LoRA adapters can be used. Look for a LoRA of it."
                )
        if not kinds and not any(sign in name for name in names for sign in _LORA):
            raise AdapterUnfit(f"The file {file.name} holds no LoRA: its tensors are named as nothing that is known.")
        broken = [name for name in names if not bool(torch.isfinite(opened.get_tensor(name).float()).all())]
    if broken:
        raise AdapterUnfit(f"The adapter {file.stem} has values that are no numbers in {broken[0]}: it is damaged.")
    return LOKR in kinds


def reason_for(problem: BaseException) -> str:
    """Why an adapter does not go with the model, without the libraries' list of every tensor."""
    said = str(problem)
    if "size mismatch" in said or "shape" in said:
        return "its matrices have other sizes than the model's: it was made for another base model"
    if "Target modules" in said or "not found in" in said or "No modules were targeted" in said:
        return "it changes layers that this model does not have: it was made for another base model"
    return said.splitlines()[0][:200] if said else type(problem).__name__


class Attached:
    """The adapters of one pipeline."""

    def __init__(self, pipeline: Any, folder: Path | None) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._loaded: dict[str, tuple[str, Stamp]] = {}
        self._digests: dict[tuple[str, Stamp], str] = {}
        self._count = 0

    def names(self) -> Sequence[str]:
        """What may be asked for, in order."""
        return known_adapters(self._folder)

    def prompt(self, prompt: str, names: Sequence[str]) -> str:
        """As it is: other programs' adapters say no words of theirs."""
        return prompt

    def use(self, names: Sequence[str]) -> Mapping[str, str]:
        """Put adapters on for the next request; gives their digests. `style:0.6` counts less.

        Raises:
            AdapterUnfit: no such adapter, or it does not fit.
        """
        if not hasattr(self._pipeline, "load_lora_weights"):
            raise AdapterUnfit(
                f"{type(self._pipeline).__name__} takes no adapters: diffusers knows none for its family."
            )
        wanted = [split_weight(name) for name in names]
        for name, _ in wanted:
            if name not in self.names():
                raise AdapterUnfit(
                    f"There is no adapter {name!r} on this worker; it has: {', '.join(self.names()) or 'none'}."
                )
        assert self._folder is not None
        told: dict[str, str] = {}
        for name, weight in wanted:
            file = file_of(self._folder, name)
            now = stamp(file)
            if self._loaded.get(name, ("", ()))[1] != now:
                self._load(name, file, now)
            key = (name, now)
            self._digests.setdefault(key, digest(file))
            told[name] = self._digests[key] + (f" × {weight:g}" if weight != 1 else "")
        try:
            self._pipeline.enable_lora()
            self._pipeline.set_adapters([self._loaded[name][0] for name, _ in wanted], [weight for _, weight in wanted])
        except Exception as problem:
            raise AdapterUnfit(
                f"The adapters {', '.join(names)} cannot be used together: {reason_for(problem)}."
            ) from problem
        return told

    def rest(self) -> None:
        """Take all of them off."""
        if self._loaded:
            self._pipeline.disable_lora()

    def _load(self, name: str, file: Path, now: Stamp) -> None:
        if name in self._loaded:
            self._pipeline.delete_adapters([self._loaded.pop(name)[0]])
        is_lokr = check_lora(file, lokr=True)
        self._count += 1
        own = f"a{self._count}"
        try:
            self._pipeline.load_lora_weights(
                file.parent, weight_name=file.name, adapter_name=own, local_files_only=True, use_safetensors=True
            )
            here = {each for part in self._pipeline.get_list_adapters().values() for each in part}
        except Exception as problem:
            self._forget(own)
            if is_lokr:
                raise AdapterUnfit(self._no_lokr(name)) from problem
            raise AdapterUnfit(f"The adapter {name} does not fit this model: {reason_for(problem)}.") from problem
        if own not in here and is_lokr:
            raise AdapterUnfit(self._no_lokr(name))
        if own not in here:
            raise AdapterUnfit(f"The adapter {name} does not fit this model: nothing in it belongs to a layer of it.")
        self._loaded[name] = (own, now)

    def _no_lokr(self, name: str) -> str:
        return (
            f"The adapter {name} is a LoKr that does not fit this model, or of a family for which diffusers loads none "
            f"({type(self._pipeline).__name__}). Look for a LoRA of it."
        )

    def _forget(self, own: str) -> None:
        try:
            self._pipeline.delete_adapters([own])
        except Exception:
            return
