"""What a network is drawn with: its adapters, words, pictures and ControlNets, from the operator's folders."""

from __future__ import annotations

from pathlib import Path

from ..common import upscaler
from ..layout import Names
from .adapters import Adapters
from .begin import RenderContext
from .controls import Controls
from .embeddings import Embeddings
from .images import image_prompts_of
from .network import Network
from .offers import Offers
from .previews import Sketch


def context_of(
    network: Network, weights: Path, offers: Offers, enlarge: upscaler.Upscaler | None, names: Names
) -> RenderContext:
    """Of pipelines whose pictures share steps."""
    adapters = Adapters(network, weights, offers.adapter_folder)
    images = image_prompts_of(network, weights)

    def learnt() -> None:
        # Copies of the encoders know no new words.
        adapters.forget()
        if images is not None:
            images.forget()

    words = Embeddings(network.plain.pipeline, offers.embedding_folder, learnt)
    controls = Controls(network, offers.control_folder)
    return RenderContext(network, adapters, enlarge, Sketch(network), names, words, images, controls)
