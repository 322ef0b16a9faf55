"""Draw what `benchmarks/render.py --json` wrote: p95 over the load, one line for each way of serving.

python -P benchmarks/render_plot.py render.json docs/performance-render.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

NAMES = {
    "ours": "Daguerre",
    "sequential": "pipe(prompt), one by one",
    "compiled": "pipe(prompt), compiled",
    "request_batching": "request batching, 50 ms",
}


def main(source: Path, file: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot

    found = json.loads(source.read_text())
    loads = sorted(
        float(name.removeprefix("single_")) for name in found["traces"] if name[-1].isdigit() and name[0] == "s"
    )
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for who, label in NAMES.items():
        if who in found["traces"][f"single_{loads[0]}"]:
            axes.plot(loads, [found["traces"][f"single_{load}"][who]["p95"] for load in loads], "o-", label=label)
    axes.set(
        xlabel="arrivals ÷ capacity of one by one", ylabel="p95, seconds", ylim=(0, None),
        title=f"{found['model']} on {found['threads']} processor thread(s), {found['requests']} requests each",
    )  # fmt: skip
    axes.legend()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
