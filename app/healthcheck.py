"""What a container runtime asks every half minute: does /healthz answer 200? Quick: standard library only."""

from __future__ import annotations

import os
import sys
import urllib.request


def main() -> int:
    """0 when the API of this machine says that the queue is up, else 1."""
    port = os.environ.get("DAGUERRE_WEB__PORT", "8600")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=3):
            return 0
    except OSError as error:
        sys.stderr.write(f"not healthy: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
