"""The render engine: requests in, pictures out. One pipeline on one device.

`load` and `run` block and belong into a thread of their own; `submit` may be called from any. Without `run`, `generate`
and `draw` do the work themselves.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..common import digest, upscaler
from ..drawer.pipeline import DrawerPipeline
from ..errors import TooLarge, WeightsRefused
from ..layout import NOTHING, names_of_weights
from .about import about_of
from .attached import Attached
from .begin import RenderContext
from .compiling import compiled
from .context import context_of
from .drawer_finish import DrawerSketch
from .drawer_network import drawer_network
from .embeddings import Embeddings
from .exact import can_bfloat16
from .face import Face
from .footprint import Footprints
from .jobwise import Jobwise
from .loading import load_pipeline
from .loop import Loop
from .memory import GIB, Plan, Quantise
from .network import Network
from .offers import offers_of
from .parking import Held
from .parts import steps_together
from .planning import Room, budget_of, plan_of
from .profile import Paces
from .quantised import is_quantised
from .samplers import chosen, name_of
from .schedule import slots_for
from .trials import footprint_of
from .usual import Usual, usual_of

log = logging.getLogger(__name__)


class Engine(Face):
    """Draws all requests it has together, one denoising step at a time."""

    def __init__(
        self,
        weights: Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        adapters: Path | None = None,
        triggers: Mapping[str, str] | None = None,
        embeddings: Path | None = None,
        controls: Path | None = None,
        profile: Path | None = None,
        exact: bool = True,
        precision: str = "float32",
        layout: bool = True,
        programs: Path | None = None,
        own_bank: Path | None = None,
        sampler: str = "",
        dtype: str = "",
        megapixels: float = 0.0,
        name: str = "",
        memory: float = 0.0,
        quantize: Quantise = "auto",
    ) -> None:
        """`adapters`: folder of LoRA adapters that may be asked for; `triggers`: words that some of them listen to.
        `embeddings`: folder of textual inversions that prompts may name. `controls`: folder of ControlNets. `profile`:
        file that remembers measured speeds.

        Without `exact`, pictures on a GPU are drawn in batches as large as they happen to be: faster for few requests,
        and the same seed may differ in some bits with its neighbours. The metadata says so. `precision`: of the U-Net
        on a processor; "bfloat16" counts only where the processor has native bfloat16; rows are filled up to numbers
        whose bits agree, but for weights that draw from drawings. `layout`: things that a prompt lists are drawn one by
        one and set out, where the weights say what they can draw. `programs`: folder where the U-Net is kept compiled
        for this machine; it is compiled when it is not there yet, for minutes, and used where it is faster; None: not
        compiled. `sampler`: one of `samplers.SAMPLERS`, in place of the checkpoint's own. `dtype`: what a GPU computes
        in, "float16", "bfloat16" or "float32"; empty: what the family was made for. `megapixels`: pictures of up to so
        many are drawn as large as they are asked for; others at about the model's own size, and scaled. `memory`: GiB
        of the device that may be used; 0: what is free. `quantize`: whether weights are brought to fewer bits: "auto"
        where nothing else fits, "off", "int8" or "nf4". `own_bank`: folder of drawings of one's own, beside those of
        weights that draw from drawings; looked at before each request. `name`: what
        the model is called; empty: as its folder or file.
        """
        self.weights = weights
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if threads is not None:
            torch.set_num_threads(threads)
        #: What the operator's folders offer besides.
        self.offers = offers_of(adapters, triggers, embeddings, controls)
        self._profile = profile
        self._exact = exact
        self._precision = precision
        self._layout = layout
        self._programs = programs
        self._own_bank = own_bank
        self._sampler = sampler
        self._dtype = dtype
        self._most_pixels = round(megapixels * 1_000_000)
        self._room = Room(round(memory * GIB), quantize, self._most_pixels)
        self._laid = Plan("whole", 0)
        self._loop: Loop | Jobwise | None = None
        self._slots = 2
        self._about: dict[str, Any] = {}
        self._usual: Usual | None = None
        self._image_prompts = False
        self._name = name or (weights.stem if weights.is_file() else weights.name)
        #: What holds the weights.
        self.held = Held(weights)

    def load(self) -> None:
        """Read the weights and measure how many rows are worth putting together; slow.

        Raises:
            WeightsMissing: there is no pipeline in the folder.
            WeightsRefused: it holds pickles, names foreign code, or is damaged.
            DeviceMissing: torch has no such device here.
        """
        budget = budget_of(self.device, self._room.memory)
        found = self.held.digest() if self.weights.exists() else ""
        footprints = Footprints(
            self._machine(found, self._dtype or "own"),
            self._profile.with_name("memory.json") if self._profile else None,
        )
        takes, slower, problem = footprints.known(), 0, ""
        while True:
            try:
                self._laid = plan_of(self.weights, self.device, self._dtype, self._room, budget, takes, slower)
            except WeightsRefused:
                if problem:
                    raise TooLarge(problem) from None
                raise
            if budget:
                log.info("the weights are laid out device=%s plan=%s", self.device, self._laid.told())
            try:
                self._ready(load_pipeline(self.weights, self.device, self._dtype, self._laid), found)
                if budget and takes is None and self._laid.way in ("whole", "encoders"):
                    self._measure(footprints)
            except TooLarge as full:
                if not budget:
                    raise
                problem = str(full)
            else:
                return
            # Less is free than was thought, or pictures take more.
            log.warning("memory of %s full as planned (%s); laid out anew", self.device, self._laid.told())
            slower, self._loop = slower + 1, None
            gc.collect()
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()

    def _measure(self, footprints: Footprints) -> None:
        """What pictures take beside the weights, for the next start and for how large the codec's tiles are.

        Raises:
            TooLarge: less than was thought is free.
        """
        loop = self.loop
        if isinstance(loop, Loop) and not loop.draws_latents:
            return
        drawing = loop if isinstance(loop, Jobwise) else loop.network
        takes = footprint_of(drawing)
        footprints.keep(takes)
        self._laid = self._laid.knowing(takes)
        drawing.decoded = self._laid.decoded

    def _ready(self, pipeline: Any, found: str) -> None:
        """Make what draws of a loaded pipeline."""
        together = steps_together(pipeline) and self._laid.way in ("whole", "encoders") and not is_quantised(pipeline)
        if self.device == "cpu" and self._precision == "bfloat16" and together and can_bfloat16():
            pipeline.unet.to(torch.bfloat16)
        self._usual = usual_of(pipeline, self.weights)
        self._about = about_of(pipeline, self.weights, found, self.device, self._laid, self._name)
        self.held.begin(pipeline)
        self._load_parts(pipeline, together=together)
        self.held.weigh()

    def _load_parts(self, pipeline: Any, *, together: bool) -> None:
        if isinstance(pipeline, DrawerPipeline):
            self._load_drawer(pipeline)
            return
        network = self._network(pipeline) if together else None
        if network is None:
            if self._sampler:
                pipeline.scheduler = chosen(pipeline.scheduler, self._sampler)
                self._about["sampler"] = name_of(pipeline.scheduler)
            jobwise = Jobwise(
                pipeline, self.device, about=self._about, attached=Attached(pipeline, self.offers.adapter_folder),
                embeddings=Embeddings(pipeline, self.offers.embedding_folder),
                most_pixels=self._most_pixels, decoded=self._laid.decoded,
            )  # fmt: skip
            jobwise.try_out()
            self._loop = jobwise
            return
        network.most_pixels, network.decoded = self._most_pixels, self._laid.decoded
        self._about["sampler"] = network.samplers.usual.name
        enlarge = self._upscaler(network.vae.dtype)
        if self._programs is not None:
            network.program = compiled(network, self._programs, self._about["model_digest"])
        try:
            with torch.inference_mode():
                names = names_of_weights(self.weights) if self._layout else NOTHING
                context = context_of(network, self.weights, self.offers, enlarge, names)
                if context.images is not None:
                    self._image_prompts = True
                    self.held.parts.append(context.images.encoder)
                paces = Paces(self._machine() + (" compiled" if network.program else ""), self._profile)
                cells = network.native // network.factor
                self._slots = slots_for(paces.get(network, network.plain, cells, cells))
        except torch.OutOfMemoryError as problem:
            raise TooLarge(
                f"The weights in {self.weights} leave no room for pictures in the memory of {self.device}. Use a "
                "smaller model."
            ) from problem
        self._loop = Loop(context, paces, exact=self._exact, about=self._about)

    def _load_drawer(self, pipeline: DrawerPipeline) -> None:
        """Of weights that draw from drawings; where their bank cannot be used they draw from words alone."""
        if self.device == "cpu" and self._precision == "bfloat16" and can_bfloat16():
            pipeline.unet.to(torch.bfloat16)
            self._about["precision"] = "bfloat16"
        network = drawer_network(pipeline, self.device, self.weights, self._own_bank)
        with torch.inference_mode():
            names = names_of_weights(self.weights) if self._layout else NOTHING
            context = RenderContext(network, None, self._upscaler(torch.float32), DrawerSketch(network.denoiser), names)
            paces = Paces(self._machine(), self._profile)
            self._slots = slots_for(paces.get(network, network.plain, network.cells, network.cells))
        exact = self._exact and (self.device != "cpu" or network.kind == torch.float32)
        self._loop = Loop(context, paces, exact=exact, about=self._about)

    def _upscaler(self, kind: torch.dtype) -> upscaler.Upscaler | None:
        beside = self.weights / upscaler.FOLDER
        if not beside.is_dir():
            return None
        self._about["upscaler"] = digest(beside)
        loaded = upscaler.load(beside, kind=kind, device=self.device)
        self.held.parts.append(loaded)
        return loaded

    def _network(self, pipeline: Any) -> Network | None:
        """The pipeline taken apart, or None where only its own loop knows how its scheduler is stepped."""
        try:
            return Network(pipeline, self.device, self._sampler)
        except WeightsRefused:
            if self._sampler:
                raise
            return None

    def _machine(self, model: str = "", numbers: str = "") -> str:
        """What measurements hold for; without a word the loaded model as it computes."""
        model, numbers = model or self._about.get("model_digest", ""), numbers or self._about.get("precision", "")
        name = torch.cuda.get_device_name(self.device) if self.device.startswith("cuda") else "cpu"
        threads = torch.get_num_threads() if self.device == "cpu" else 0
        return f"{model[:16]} {name} {threads} {torch.__version__} {numbers}"
