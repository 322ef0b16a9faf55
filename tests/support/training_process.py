"""One of several training processes for tests: `MEET RUN`, and a launcher's environment; prints all.

They meet over a file instead of an address: what a launcher opens listens beyond this machine.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import modelkit
import torch

from daguerre.models.commands.kinds import read_pipeline
from daguerre.models.common.stopping import stopping
from daguerre.models.training.pipeline import train_pipeline
from daguerre.models.training.processes import Processes
from daguerre.models.training.progress import Lines

RECIPE = Path(__file__).resolve().parents[2] / "models" / "recipes" / "smoke.toml"


def main(meet: str, run: Path) -> None:
    rank, number = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=number)

    def say(line: str) -> None:
        print(line, flush=True)

    whole = read_pipeline(RECIPE, "")
    assert whole.student is not None
    recipe = replace(
        whole,
        codec=replace(whole.codec, steps=2),
        text=replace(whole.text, steps=2),
        denoiser=replace(whole.denoiser, steps=10),
        student=replace(whole.student, steps=2),
    )
    with stopping(say) as stop:
        train_pipeline(recipe, run, modelkit.sprite_set(), run / "cache", run / "out", Lines(say, every=0.0), stop)
    if (run / "denoiser.safetensors").is_file():
        digest = hashlib.sha256((run / "denoiser.safetensors").read_bytes()).hexdigest()
        say(f"ends with {digest}")
    Processes().leave()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
