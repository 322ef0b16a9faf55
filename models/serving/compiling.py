"""The plain U-Net as a program of this machine: compiled ahead of time, once, and kept in a folder for the next start.

AOTInductor exports the network for any number of rows and any size, folds its weights into the program and joins what
lies between the convolutions. What was compiled is used only where it gives the same bits for any number of rows (on
a processor), agrees with the network, and is measurably faster.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .exact import linear_by_row
from .profile import seconds_of
from .program import FEWEST, MOST, Program

if TYPE_CHECKING:
    from .network import Network

log = logging.getLogger(__name__)

#: Sides of the latents, in multiples of what the U-Net halves them to, up to this many times its own.
LARGER = 4
#: What it must be faster by to be used.
LEAST_GAIN = 0.03
#: Programs that are kept: another device's, or one that a picture was made again with, must not cost a worker its own.
KEPT = 4
#: Numbers of rows that it is measured with, how often, and those that it is compared with.
MEASURED = (2, 16)
TURNS = 9
COMPARED = (2, 3, 5, 8, 17)
#: Relative difference from the network itself, by the numbers it computes in.
NEAR = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}


class _Positional(nn.Module):
    """A U-Net whose inputs are all tensors, one after the other."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self, samples: Tensor, times: Tensor, states: Tensor, pooled: Tensor | None = None, ids: Tensor | None = None
    ) -> Tensor:
        more = {} if pooled is None else {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}
        return self.unet(samples, times, encoder_hidden_states=states, return_dict=False, **more)[0]


def compiled(network: Network, folder: Path, model: str) -> Program | None:
    """The program of the plain U-Net, from `folder` or compiled now: minutes. None where it is not to be used.

    Args:
        network: drawn with otherwise.
        folder: where programs are kept. They are made here and never come with weights.
        model: digest of the weights.
    """
    name = _name(network, model)
    file, told = folder / f"{name}.pt2", folder / f"{name}.json"
    try:
        known = json.loads(told.read_text(encoding="utf-8"))
        if not known["used"]:
            log.info("the network is not compiled: %s (%s says so)", known["why"], told)
            return None
        program = _load(network, file)
        if (problem := _differs(network, program, MEASURED[:1])) is None:
            return program
        log.warning("the compiled network is made again: %s", problem)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        pass  # None yet, or a damaged one.
    if network.device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
        log.warning("the network is not compiled: there is no C++ compiler here (Debian's package g++)")
        return None
    log.info("compiling the network: this takes minutes, once for these weights on this machine")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _build(network, file)
        program = _load(network, file)
        problem = _differs(network, program, COMPARED)
        gain = _gain(network, program)
    except Exception as error:
        # Whatever the compiler trips over: the network itself draws as before.
        log.warning("the network could not be compiled (%s) and is used as it is", type(error).__name__)
        log.debug("compiling failed", exc_info=True)
        return None
    if problem is None and gain < LEAST_GAIN:
        problem = f"it would save {gain:.1%} of the time"
    with suppress(OSError):
        _forget(folder)
        told.write_text(json.dumps({"used": problem is None, "why": problem or "", "gain": gain}), encoding="utf-8")
    if problem is not None:
        file.unlink(missing_ok=True)
        log.warning("the network is not compiled: %s", problem)
        return None
    log.info("the network is compiled: it takes %.0f %% less time", 100 * gain)
    return program


def _name(network: Network, model: str) -> str:
    """Of everything that the program depends on."""
    cuda = network.device.startswith("cuda")
    machine = torch.cuda.get_device_name(network.device) if cuda else _processor()
    parts = (model, machine, network.kind, torch.get_num_threads(), torch.__version__, MOST, LARGER)
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return f"{'cuda' if cuda else 'cpu'}-{digest[:16]}"


def _processor() -> str:
    """Name and abilities: a program may use what another processor lacks."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.machine()} {platform.processor()}"


def _forget(folder: Path) -> None:
    """Remove all programs but the latest: those of earlier weights are of no use, those of another device may be."""
    for old in sorted(folder.glob("*.pt2"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        old.unlink()
        old.with_suffix(".json").unlink(missing_ok=True)


@torch.no_grad()
def _inputs(network: Network, rows: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs whose first row is the same for any number of rows."""
    words = network.encode_prompt(network.plain, "")
    made = [
        torch.randn(network.channels, height, width, generator=torch.Generator().manual_seed(k)) for k in range(rows)
    ]
    samples = torch.stack(made).to(network.device, network.kind, memory_format=torch.channels_last)
    times = torch.linspace(800.0, 100.0, rows)
    times[0] = 800.0
    states = words.states.repeat(rows, 1, 1)
    if words.pooled is None:
        return samples, times.to(network.device), states
    ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=states.dtype) * network.factor
    return (
        samples,
        times.to(network.device),
        states,
        words.pooled.repeat(rows, 1),
        ids.repeat(rows, 1).to(network.device),
    )


def _multiple(network: Network) -> int:
    return 2 ** (len(network.plain.unet.config.block_out_channels) - 1)


def _build(network: Network, file: Path) -> None:
    """Export, compile, and put the program into its place."""
    unet = network.plain.unet
    copied = type(unet).from_config(unet.config).eval()
    # Built anew: the plain one has its layers replaced by what a compiler cannot look into. The weights are shared.
    copied.load_state_dict(unet.state_dict(), assign=True)
    copied.requires_grad_(False)
    if network.exact_rows:
        for layer in copied.modules():
            if isinstance(layer, nn.Linear):
                layer.forward = partial(linear_by_row, layer)
    cells, multiple = network.native // network.factor, _multiple(network)
    rows = torch.export.Dim("rows", min=FEWEST, max=MOST)
    sides = [multiple * torch.export.Dim(name, min=2, max=LARGER * cells // multiple) for name in ("height", "width")]
    # Sizes that are all different, so that none is taken for another.
    inputs = _inputs(network, 3, max(2, cells // multiple - 1) * multiple, (cells // multiple + 1) * multiple)
    shapes = ({0: rows, 2: sides[0], 3: sides[1]}, *({0: rows} for _ in inputs[1:]))
    with (
        tempfile.TemporaryDirectory(dir=file.parent) as work,
        _environment("TORCHINDUCTOR_CACHE_DIR", work),
        torch.no_grad(),
        warnings.catch_warnings(),
    ):
        # Of the compiler, about what nobody here can change.
        warnings.simplefilter("ignore")
        exported = torch.export.export(_Positional(copied), inputs, dynamic_shapes=shapes)
        part = str(Path(work) / "program.pt2")
        torch._inductor.aoti_compile_and_package(exported, package_path=part, inductor_configs={"freezing": True})
        Path(part).replace(file)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _load(network: Network, file: Path) -> Program:
    cells = network.native // network.factor
    # As many rows as there are threads, as in `exact.rows_apart`.
    fewest = max(FEWEST, torch.get_num_threads()) if network.device == "cpu" else FEWEST
    # It is unpacked in order to be opened, and needs its files no longer then. Containers run no program from /tmp.
    with tempfile.TemporaryDirectory(dir=file.parent) as work, _environment("TMPDIR", work):
        run: Any = torch._inductor.aoti_load_package(str(file))
    return Program(run, _multiple(network), LARGER * cells, min(fewest, MOST))


@torch.inference_mode()
def _differs(network: Network, program: Program, counts: Iterable[int]) -> str | None:
    """What is wrong with what it computes, if anything."""
    cells = network.native // network.factor
    first: Tensor | None = None
    for rows in counts:
        inputs = _inputs(network, rows, cells, cells)
        made, wanted = program(*inputs), _network(network, inputs)
        distance = float((made.float() - wanted.float()).norm() / wanted.float().norm())
        if not distance < NEAR[network.kind]:
            return f"it computes something else ({distance:.1e})"
        first = made[0] if first is None else first
        if network.exact_rows and not torch.equal(made[0], first):
            return f"its bits depend on the number of rows ({rows})"
    return None


def _network(network: Network, inputs: tuple[Tensor, ...]) -> Tensor:
    samples, times, states, *others = inputs
    more = {"added_cond_kwargs": dict(zip(("text_embeds", "time_ids"), others, strict=True))} if others else {}
    return network.plain.unet(samples, times, encoder_hidden_states=states, return_dict=False, **more)[0]


@torch.inference_mode()
def _gain(network: Network, program: Program) -> float:
    """Share of the time that it saves, over few rows and many; in turns, since the machine may be busy."""
    cells = network.native // network.factor
    before = after = 0.0
    for rows in MEASURED:
        inputs = _inputs(network, rows, cells, cells)
        own, ours = partial(_network, network, inputs), partial(program, *inputs)
        turns = [(seconds_of(own, network.device), seconds_of(ours, network.device)) for _ in range(TURNS)]
        before += min(each for each, _ in turns) / rows
        after += min(each for _, each in turns) / rows
    return 1 - after / before
