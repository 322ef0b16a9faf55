"""Two real processes train one run together, over gloo on the loopback device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from daguerre.models.training.processes import Processes

PROGRAM = ("-P", str(Path(__file__).parents[2] / "support" / "training_process.py"))
#: The first has its work done; the other is stopped in its own; then one of two loops ends.
STOPPED = """
import os, sys, torch
from daguerre.models.training.processes import Processes
torch.distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[1], rank=int(os.environ["RANK"]), world_size=2
)
both = Processes()
print(both.first(lambda: "done" if both.main else None), both.any(not both.main), both.any(False), flush=True)
both.leave()
"""


class Pair:
    """Both processes of a run, and what each says."""

    def __init__(self, run: Path, name: str, program: Sequence[str] = PROGRAM) -> None:
        self._logs = [run.parent / f"{name}-{rank}.txt" for rank in range(2)]
        environment = os.environ | {
            "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": os.pathsep.join(sys.path), "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.processes = []
        for rank, log in enumerate(self._logs):
            command = [sys.executable, *program, str(run.parent / f"{name}-meet"), str(run)]
            own = environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            with log.open("w") as out:
                self.processes.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=own))

    def said(self, rank: int) -> str:
        return self._logs[rank].read_text()

    def until(self, rank: int, words: str) -> None:
        deadline = time.monotonic() + 240
        while words not in self.said(rank):
            assert time.monotonic() < deadline, self.said(rank)
            assert all(one.poll() is None for one in self.processes), self.said(0) + self.said(1)
            time.sleep(0.05)

    def end(self) -> list[int]:
        try:
            return [one.wait(timeout=240) for one in self.processes]
        finally:
            for one in self.processes:
                one.kill()


def test_two_processes_train_one_run_stop_together_and_go_on(tmp_path: Path) -> None:
    """Asked of one, both stop; stages before and behind the denoiser are worked on by the first alone."""
    run = tmp_path / "run"
    first = Pair(run, "first")
    try:
        first.until(0, "denoiser step 2/10")
        first.processes[1].send_signal(signal.SIGTERM)
    finally:
        assert first.end() == [0, 0], first.said(0) + first.said(1)
    assert "codec step" in first.said(0)
    assert "codec step" not in first.said(1)
    assert "denoiser step" not in first.said(1)

    second = Pair(run, "second")
    assert second.end() == [0, 0], second.said(0) + second.said(1)
    assert "resumed at step" in second.said(0)
    assert "codec step" not in second.said(0)
    assert "student step 2/2" in second.said(0)
    assert "student step" not in second.said(1)
    card = json.loads((run / "out" / "training.json").read_text())
    assert (card["steps"], card["samples"]) == (10, 10 * 8 * 2)
    assert second.said(0).split("ends with ")[1] == second.said(1).split("ends with ")[1]
    pipeline = DiffusionPipeline.from_pretrained(run / "out", local_files_only=True, use_safetensors=True)
    assert all(torch.isfinite(value).all() for value in pipeline.unet.state_dict().values())


def test_who_is_stopped_in_a_stage_takes_the_others_along(tmp_path: Path) -> None:
    """Else the first would wait in the next stage for one that has left."""
    pair = Pair(tmp_path / "run", "stopped", ("-c", STOPPED))
    assert pair.end() == [0, 0], pair.said(0) + pair.said(1)
    assert [pair.said(rank).splitlines()[-1] for rank in range(2)] == ["None True False"] * 2


def test_alone_it_does_what_it_is_asked() -> None:
    """No launcher: every way is the plain one."""
    alone, done = Processes(), list[str]()
    assert (alone.number, alone.main, alone.any(True), alone.any(False)) == (1, True, True, False)
    assert alone.first(lambda: "found") == "found"
    assert alone.first(lambda: None) is None
    alone.alone(lambda: done.append("worked"))
    assert done == ["worked"]
