"""Where the program `daguerre` begins: even a package of the base that is missing is told in one line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line (cli.py)."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("daguerre"):
            raise  # a fault of ours
        # After an update of the clone, for one: scripts/start sees it and installs, bin/daguerre by itself does not.
        sys.stderr.write(f"daguerre: the package {error.name} is missing here: scripts/start brings what is new\n")
        sys.exit(78)
    run()
