"""How a process signs in to nats-server: token, credentials file, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import QueueUnavailable

#: What stands above the two parts of a file of credentials.
_CREDS = ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to get in. Files are looked at when a connection is made."""

    token: str = ""
    #: JWT and seed, as `nsc generate creds` writes them.
    creds_file: str = ""
    #: Who signed the server's certificate; empty: those that this machine trusts.
    ca_file: str = ""
    #: Certificate and key of this side, where the server asks for them.
    cert_file: str = ""
    key_file: str = ""

    def check(self) -> None:
        """Raises: QueueUnavailable when a file is not there or cannot be used."""
        for name, file in (("nats_creds_file", self.creds_file), ("nats_ca_file", self.ca_file),
                           ("nats_cert_file", self.cert_file), ("nats_key_file", self.key_file)):  # fmt: skip
            if file and not Path(file).is_file():
                raise QueueUnavailable(f"[queue] {name} names {file}, which is no file")
        if self.creds_file and not all(sign in _read(self.creds_file) for sign in _CREDS):
            raise QueueUnavailable(
                f"[queue] nats_creds_file: {self.creds_file} holds no JWT and seed as `nsc generate creds` writes them"
            )
        self.context(())

    def context(self, urls: Sequence[str]) -> ssl.SSLContext | None:
        """For TLS, where an address or a file asks for it."""
        addresses = [urlsplit(url) for url in urls]
        if not (self.ca_file or self.cert_file or any(address.scheme in ("tls", "wss") for address in addresses)):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if addresses and all(address.hostname in ("127.0.0.1", "::1", "localhost") for address in addresses):
                # A certificate names the machine as others see it, and this traffic does not leave it.
                context = unchecked_tls()
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (ssl.SSLError, OSError) as problem:
            raise QueueUnavailable(
                f"a certificate or key for nats-server cannot be used ({problem}): see [queue] nats_ca_file, "
                "nats_cert_file and nats_key_file"
            ) from None
        return context


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise QueueUnavailable(f"{path} cannot be read ({problem.strerror})") from None


def unchecked_tls() -> ssl.SSLContext:
    """TLS with whoever answers: for this machine's own server, which the token identifies."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
