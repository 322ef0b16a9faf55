"""C2PA manifests: a signed statement inside the file that a trained model made it. By the initiative's own library.

Nothing is fetched: there is no time stamp authority, and remote manifests are not followed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .certificates import DEVELOPMENT, Certificate, CertificateUnusable
from .metadata import TRAINED_MEDIA, software

#: Label of the assertion with what only we say: job, seed, model.
ASSERTION = "org.daguerre.job"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a file's manifest says."""

    #: Whether file and signature belong together: nothing was changed since.
    intact: bool
    #: Program that claims to have made it, such as `daguerre/0.1.0`.
    generator: str
    #: Who signed, as the certificate says.
    signer: str
    #: Whether the certificate is one that a Daguerre made for itself.
    development: bool
    #: Whether it names a trained model as the origin.
    trained: bool
    #: Ours: job, seed, model; empty for others' files.
    job: Mapping[str, str]


class Signer:
    """Signs PNG files with one certificate. Make it once: reading the key takes longer than signing."""

    def __init__(self, certificate: Certificate) -> None:
        """Raises: CertificateUnusable."""
        import c2pa

        self._c2pa: Any = c2pa
        info = c2pa.C2paSignerInfo(_algorithm(certificate), certificate.chain, certificate.key, None)
        try:
            self._signer: Any = c2pa.Signer.from_info(info)
            # c2pa checks the certificate when it signs, so that is tried at once.
            self._context: Any = _context(c2pa)
        except c2pa.C2paError as problem:
            raise CertificateUnusable(f"the certificate cannot sign pictures: {problem}") from None

    def sign(self, png: bytes, about: Mapping[str, str], title: str) -> bytes:
        """The file with a manifest.

        Raises:
            CertificateUnusable: c2pa does not take this certificate.
        """
        name, _, version = software().partition(" ")
        manifest = {
            "claim_generator_info": [{"name": name, "version": version}],
            "title": title,
            "format": "image/png",
            "assertions": [
                {
                    "label": "c2pa.actions",
                    "data": {
                        "actions": [
                            {
                                "action": "c2pa.created",
                                "digitalSourceType": TRAINED_MEDIA,
                                "softwareAgent": {"name": name, "version": version},
                            }
                        ]
                    },
                },
                {"label": ASSERTION, "data": dict(about)},
            ],
        }
        signed = io.BytesIO()
        try:
            builder = self._c2pa.Builder(json.dumps(manifest), context=self._context)
            builder.sign(self._signer, "image/png", io.BytesIO(png), signed)
        except self._c2pa.C2paError as problem:
            raise CertificateUnusable(f"the picture could not be signed: {problem}") from None
        return signed.getvalue()


def read_statement(data: bytes, media_type: str) -> Statement | None:
    """What a picture's manifest says; None where there is none, or it cannot be read."""
    import c2pa

    library: Any = c2pa
    try:
        with library.Reader(media_type, io.BytesIO(data), context=_context(library)) as reader:
            told: dict[str, Any] = json.loads(reader.json())
    except library.C2paError:
        return None
    manifest: dict[str, Any] = told.get("manifests", {}).get(told.get("active_manifest"), {})
    assertions: list[dict[str, Any]] = manifest.get("assertions", [])
    generators: list[dict[str, Any]] = manifest.get("claim_generator_info") or [{}]
    signature: dict[str, Any] = manifest.get("signature_info", {})
    signer = " ".join(str(signature[key]) for key in ("issuer", "common_name") if signature.get(key))
    job = next((each["data"] for each in assertions if each["label"] == ASSERTION), {})
    return Statement(
        intact=told.get("validation_state") in ("Valid", "Trusted"),
        generator=f"{generators[0].get('name', '')}/{generators[0].get('version', '')}".strip("/"),
        signer=signer,
        development=DEVELOPMENT in signer,
        trained=TRAINED_MEDIA in json.dumps(assertions),
        job={str(key): str(value) for key, value in job.items()} if isinstance(job, dict) else {},
    )


def _context(c2pa: Any) -> Any:
    """Settings of our own: no network, no thumbnails, certificates that nobody lists are no fault of the file."""
    settings = {
        "verify": {"ocsp_fetch": False, "remote_manifest_fetch": False, "verify_trust": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    return c2pa.Context(settings=c2pa.Settings.from_dict(settings))


def _algorithm(certificate: Certificate) -> Any:
    """The signature algorithm that belongs to the key.

    Raises:
        CertificateUnusable: C2PA knows none for it.
    """
    from c2pa import C2paSigningAlg as Algorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(certificate.key, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        known = {256: Algorithm.ES256, 384: Algorithm.ES384, 521: Algorithm.ES512}.get(key.curve.key_size)
        if known is not None:
            return known
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Algorithm.ED25519
    if isinstance(key, rsa.RSAPrivateKey):
        return Algorithm.PS256
    raise CertificateUnusable("the key for signing pictures is of a kind that C2PA does not know: use ECDSA P-256")
