"""What is tried out of a loaded network: what its pictures take, and which numbers of rows agree."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import TooLarge
from .canonical import agreeing, filled_to
from .footprint import measured, peak
from .jobwise import TRIED, Jobwise
from .memory import Activations
from .network import Network, Variant
from .requests import RenderRequest
from .stock_calls import takes


@torch.inference_mode()
def footprint_of(drawing: Network | Jobwise) -> Activations:
    """What pictures take beside the weights, measured by two small ones; see `footprint.measured`.

    Raises:
        TooLarge: not even these fit.
    """
    try:
        return _of_jobs(drawing) if isinstance(drawing, Jobwise) else _of_rows(drawing)
    except torch.OutOfMemoryError as problem:
        raise TooLarge(f"The weights leave no room for pictures in the memory of {drawing.device}.") from problem


def _of_jobs(loop: Jobwise) -> Activations:
    calls = loop.calls
    small = max(2 * calls.multiple, calls.native // 4 // calls.multiple * calls.multiple)

    def draw(side: int) -> tuple[int, int]:
        request = RenderRequest("a", (0,), TRIED, 2.0, side, side)
        pipeline, told = calls.told(request, request.prompt, request.seeds, (side, side), None)
        stepped: list[int] = []
        with peak(loop.device) as found:
            # What follows the last step is the codec's.
            if "callback_on_step_end" in takes(pipeline):
                told["callback_on_step_end"] = lambda _, __, ___, tensors: stepped.append(found.lap()) or tensors
            pipeline(**told)
        return max(stepped, default=found.bytes), found.bytes

    return measured(draw, small, 2 * small)


def _of_rows(network: Network) -> Activations:
    multiple = 2 ** (len(network.plain.unet.config.block_out_channels) - 1) * network.factor
    small = max(2 * multiple, network.native // 4 // multiple * multiple)
    words = network.encode_prompt(network.plain, "")

    def draw(side: int) -> tuple[int, int]:
        cells = side // network.factor
        samples = torch.zeros(2, network.channels, cells, cells, device=network.device)
        with peak(network.device) as found:
            network.forward(network.plain, samples, torch.full((2,), 500.0, device=network.device), [words] * 2)
            stepped = found.lap()
            network.decode(samples[:1])
        return stepped, found.bytes

    return measured(draw, small, 2 * small)


def canonical(network: Network, variant: Variant, lane: tuple[int, int, bool, int], rows: int) -> int:
    """How many rows a pass of `rows` is filled up to, so that no bit tells how many they were; tried out once.

    For half precision on a processor. `lane`: height and width of the latents, whether edges fit together, chunks.
    """
    height, width, tile, chunks = lane
    # The network that reads pictures has the plain one's weights, and these rows read none.
    variant = network.plain if variant.reads_pictures else variant
    if lane not in network.counts:
        words = [network.encode_prompt(variant, text, chunks) for text in ("a", "")]

        def run(count: int, place: int) -> Tensor:
            draw = [torch.Generator().manual_seed(0 if k == place else 100 * count + k + 1) for k in range(count)]
            samples = torch.stack([torch.randn(network.channels, height, width, generator=each) for each in draw])
            times = torch.tensor([500.0 if k == place else 37.0 * (k % 20) + 11 for k in range(count)])
            texts = [words[k != place] for k in range(count)]
            return network.forward(variant, samples, times, texts, tile=tile)[place]

        network.counts[lane] = agreeing(run)
    return filled_to(rows, network.counts[lane])
