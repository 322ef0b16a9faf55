"""The sections of config.toml that belong to the composition root. Pure.

`[queue]`, `[discord]` and `[web]` lie beside the code that uses them. The description of a field is its comment
in config.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

#: Longest name of a model; requests take no longer one.
LONGEST_NAME = 100


class RenderOptions(BaseModel):
    """Section `[render]`: what renders, and on what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(
        default="models/weights/first-light",
        min_length=1,
        description="Folder of the diffusion pipeline; a relative path counts from the folder of this file.",
    )
    models: tuple[str, ...] = Field(
        default=(),
        max_length=32,
        description=(
            "More models that prompts may ask for by --model, each a folder or a .safetensors file; "
            '"turbo = /srv/models/sdxl-turbo" gives one a name, which is otherwise that of its folder or file. What '
            "names no model is drawn by the one of weights. Workers load what is asked for, one at a time."
        ),
    )
    keep_gigabytes: float = Field(
        default=8.0,
        ge=0.0,
        le=4096.0,
        description=(
            "Memory in gigabytes that models may take which are loaded and do not draw just now, in each worker "
            "process; the ones used last stay. 0: a model is read from the disk whenever it has its turn."
        ),
    )
    devices: tuple[str, ...] = Field(
        default=("auto",),
        max_length=16,
        description=(
            'Devices of this machine: one worker process each. "auto" takes every NVIDIA GPU, or the processor where '
            'there is none; "cpu", "cuda:0", "cuda:1" name them; [] starts no worker here.'
        ),
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Processor threads for rendering (1 to 256); 0 leaves the choice to torch.",
    )
    pool: str = Field(
        default="gpu",
        min_length=1,
        max_length=60,
        description="Name of the pool that the workers of this machine belong to.",
    )
    largest_side: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Longest side in pixels that they render; larger pictures go to other workers. 0: any.",
    )
    adapters: str = Field(
        default="models/adapters",
        description=(
            "Folder of LoRA adapters that prompts may ask for by name, one folder or .safetensors file each; a "
            "relative path counts from the folder of this file."
        ),
    )
    triggers: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        description=(
            'Words that adapters listen to, which /info lists: "ink = ink drawing". What is not named here is read '
            "from the adapters' own files, where those tell it."
        ),
    )
    embeddings: str = Field(
        default="models/embeddings",
        description=(
            "Folder of textual inversions (.safetensors) that prompts for Stable Diffusion and SDXL may name; a "
            "relative path counts from the folder of this file."
        ),
    )
    controlnets: str = Field(
        default="models/controlnets",
        description=(
            "Folder of ControlNets for Stable Diffusion and SDXL, one folder each, that prompts may ask for by "
            "--control; a relative path counts from the folder of this file."
        ),
    )
    slots: int = Field(
        default=0,
        ge=0,
        le=64,
        description=(
            "How many jobs one worker process draws together (1 to 64); 0: as many as were measured to be worth it."
        ),
    )
    longest_seconds: float = Field(
        default=600.0,
        gt=0.0,
        le=86_400.0,
        description="How long a worker may take for one job, in seconds; after that it is refused.",
    )
    exact: bool = Field(
        default=True,
        description=(
            "The same seed gives the same pixels whatever else is drawn. false: faster for single pictures on a GPU, "
            "where the last bits may then differ; pictures say so."
        ),
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description=(
            'What the denoiser computes in on a processor. "bfloat16" takes about two thirds of the time where the '
            "processor has native bfloat16 (AVX-512 BF16; a third with AMX); details of the pictures are others, as "
            "the pictures say. Elsewhere it counts for nothing; GPUs always compute in half precision."
        ),
    )
    sampler: str = Field(
        default="",
        max_length=40,
        description=(
            'Scheduler that steps the pictures, such as "euler a" or "dpm++ 2m karras"; docs/models.md lists them. '
            "Empty: the one that the checkpoint names. Pictures say which drew them."
        ),
    )
    dtype: Literal["", "float16", "bfloat16", "float32"] = Field(
        default="",
        description=(
            "What a GPU computes in. Empty: what the model's family was made for, bfloat16 for most, float16 for "
            "Stable Diffusion 1, 2 and XL. float32 takes twice the memory."
        ),
    )
    memory: float = Field(
        default=0.0,
        ge=0.0,
        le=1000.0,
        description=(
            "GiB of each device's memory that a worker may take, where it is shared with something else. 0: what is "
            "free when it starts. By it is decided, before anything is loaded, which parts stay there; docs/gpu.md."
        ),
    )
    quantize: Literal["auto", "off", "int8", "nf4"] = Field(
        default="auto",
        description=(
            'Whether weights are brought to fewer bits: "int8" (package torchao) and "nf4" (bitsandbytes) for half '
            'and a third of the memory, and slightly other pictures, which say so. "auto": only where nothing else '
            'fits and the package is installed; "off": never. Pictures are then drawn one job after the other.'
        ),
    )
    megapixels: float = Field(
        default=0.0,
        ge=0.0,
        le=4.2,
        description=(
            "Pictures of up to so many million pixels are drawn as large as they are asked for (0 to 4.2); others at "
            "about the model's own size, and scaled. Sides of more than 1024 pixels, up to 2048, may be asked for up "
            "to here, or up to the model's own size where that is more."
        ),
    )
    compile: bool = Field(
        default=False,
        description=(
            "Compile the denoiser for this machine when a worker first starts with its weights: minutes, once, with a "
            "C++ compiler (Debian's package g++); then pictures take about a fifth less time. It is kept in programs/ "
            "of the data folder, and left out where it gains nothing. Pictures say so: their last bits are others."
        ),
    )
    layout: bool = Field(
        default=True,
        description=(
            "Whether the things that a prompt lists are drawn one by one and set out as it says, where the weights "
            "tell what they can draw. Members turn it off for one prompt with --raw."
        ),
    )
    drain_seconds: float = Field(
        default=10.0,
        ge=0.0,
        le=600.0,
        description=(
            "How long a stopping worker goes on with what it renders (0 to 600 seconds); the rest is handed back "
            "and rendered later. Stopping takes up to fifteen seconds more: whoever stops it must wait so long."
        ),
    )

    @field_validator("models")
    @classmethod
    def _different(cls, models: tuple[str, ...], before: ValidationInfo) -> tuple[str, ...]:
        named_models(str(before.data.get("weights", "")), models)
        return models

    @field_validator("triggers")
    @classmethod
    def _readable(cls, triggers: tuple[str, ...]) -> tuple[str, ...]:
        for line in triggers:
            name, _, words = line.partition("=")
            if not name.strip() or not words.strip():
                raise ValueError(f'"{line}": write an adapter and its words, such as "ink = ink drawing"')
        return triggers

    @property
    def words_of_adapters(self) -> Mapping[str, str]:
        """Words by adapter."""
        return {name.strip(): words.strip() for name, _, words in (line.partition("=") for line in self.triggers)}

    @property
    def named(self) -> Mapping[str, str]:
        """Folder or file of each model by its name; the first draws what names none."""
        return named_models(self.weights, self.models)


def named_models(weights: str, models: tuple[str, ...]) -> Mapping[str, str]:
    """`"turbo = /srv/models/x"` is turbo at /srv/models/x, `"/srv/models/x"` is x. Pure.

    Raises:
        ValueError: names the entry and what is wrong with it.
    """
    found: dict[str, str] = {}
    for line in (weights, *models):
        name, equals, path = line.partition("=")
        if line == weights or not equals or "/" in name:
            name, path = "", line
        path = path.strip()
        told = PurePath(path)
        name = name.strip() or (told.stem if told.suffix == ".safetensors" else told.name)
        if not path or not name:
            raise ValueError(f'"{line}": write a folder or a .safetensors file, or "name = folder"')
        if any(character.isspace() for character in name) and line != weights:
            raise ValueError(f'"{line}": a name has no spaces, or nobody could ask for it; write "name = {path}"')
        if len(name) > LONGEST_NAME:
            raise ValueError(f'"{line}": a name has at most {LONGEST_NAME} characters')
        if name in found:
            raise ValueError(f'"{line}": there is a model {name} already; write "another-name = {path}"')
        found[name] = path
    return found


class StorageOptions(BaseModel):
    """Section `[storage]`: the only folder that daguerre writes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: str = Field(
        default="data",
        min_length=1,
        description="Folder for the job table, pictures and NATS; a relative path counts from the folder of this file.",
    )


class LogOptions(BaseModel):
    """Section `[log]`: one line for each event on standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description='How much is logged: "debug", "info", "warning" or "error". Tokens never are.',
    )
    format: Literal["text", "json", "auto"] = Field(
        default="text",
        description=(
            '"text": one line for people; "json": one JSON object a line, for programs that gather logs; "auto": text '
            "on a terminal, JSON elsewhere, which the container images choose."
        ),
    )
    prompts: bool = Field(
        default=False,
        description="Whether the log quotes the prompt of each new job. Tell your members when you turn it on.",
    )
    traces: str = Field(
        default="",
        max_length=500,
        description=(
            "Address of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces, that "
            "gets the times of each piece of a job's way. Needs the extra `tracing`. Empty: none."
        ),
    )
