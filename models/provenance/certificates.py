"""A certificate to sign pictures with, for who has none of their own. Marked as such in its name; nobody trusts it.

C2PA wants an end-entity certificate that is not self-signed, for digital signatures, with an extended key usage
(C2PA specification 2.2, section 14.5), so a small authority is made for it and its key thrown away.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError

#: Stands in the names of certificates that are made here.
DEVELOPMENT = "Daguerre development certificate (not trusted)"
#: Years for which one is valid.
YEARS = 10


class CertificateUnusable(EngineError):
    """The certificate or key for signing pictures cannot be read. Check [moderation] certificate and key."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM texts: the chain, end entity first, and its key. The key is a secret."""

    chain: bytes
    key: bytes
    #: Whether it was made here.
    development: bool

    def __repr__(self) -> str:
        return f"Certificate(development={self.development})"


def load_certificate(chain: Path, key: Path) -> Certificate:
    """The owner's own certificate.

    Raises:
        CertificateUnusable: a file is missing, or is no PEM of what it should be.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        chain_text, key_text = chain.read_bytes(), key.read_bytes()
        first = x509.load_pem_x509_certificates(chain_text)[0]
        load_pem_private_key(key_text, None)
    except (OSError, ValueError, TypeError) as problem:
        raise CertificateUnusable(
            f"{chain} and {key} cannot sign pictures ({type(problem).__name__}): [moderation] certificate names a PEM "
            "chain, end entity first, and key its unencrypted PEM key. Leave both empty for a development certificate."
        ) from None
    return Certificate(chain_text, key_text, DEVELOPMENT in first.subject.rfc4514_string())


def development_certificate(folder: Path) -> Certificate:
    """The development certificate of a folder, made at the first call; files for their owner alone.

    Raises:
        CertificateUnusable: it cannot be written or read.
    """
    chain, key = folder / "development-certificate.pem", folder / "development-key.pem"
    if not (chain.is_file() and key.is_file()):
        made = _make()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The key first: a chain without its key would be taken for whole.
            _write(key, made.key)
            _write(chain, made.chain)
        except OSError as problem:
            raise CertificateUnusable(f"{folder} cannot be written ({problem.strerror})") from None
    return load_certificate(chain, key)


def _write(path: Path, text: bytes) -> None:
    """Whole or not at all, though several workers start at once."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)
    part.replace(path)


def _make() -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Daguerre"),
                x509.NameAttribute(NameOID.COMMON_NAME, common),
            ]
        )

    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    ends = begins + datetime.timedelta(days=365 * YEARS)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = name(f"{DEVELOPMENT} authority")
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
            .add_extension(_usage(authority=authority), critical=True)
        )

    authority = begin(authority_name, authority_key.public_key(), authority=True).sign(authority_key, hashes.SHA256())
    leaf = begin(name(DEVELOPMENT), key.public_key(), authority=False)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    pem = serialization.Encoding.PEM
    chain = leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem) + authority.public_bytes(pem)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(chain, private, development=True)


def _usage(*, authority: bool) -> object:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
