"""`python -m daguerre.app`: the command line without its script."""

from __future__ import annotations

from .entry import main

if __name__ == "__main__":
    main()
