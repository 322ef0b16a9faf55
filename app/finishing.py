"""The last step in a worker: look at each picture, label it, mark it, and write a file that says how it was made."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from PIL import Image

from ..models.provenance import (
    Judge,
    Signer,
    add_label,
    development_certificate,
    encode_png,
    load_certificate,
    load_judge,
    watermark,
)
from ..queue.moderation import ModerationOptions
from ..queue.records import ImageRequest
from .making import MAKING, Making

log = logging.getLogger(__name__)

#: Hexadecimal digits of a job's number that the watermark carries: its time in nanoseconds.
NUMBER_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Finisher:
    """What is done to each picture; the parts that are None are left out."""

    judge: Judge | None = None
    signer: Signer | None = None
    watermark: bool = False

    def finish(
        self,
        pictures: Sequence[Image.Image],
        request: ImageRequest,
        *,
        job: str,
        model: str,
        about: Mapping[str, Any] | None = None,
    ) -> tuple[tuple[bytes, ...], Mapping[str, Any]]:
        """PNG files, and what was found, one for each picture: `scores` of the judge, `watermarked`, and digests of the
        `pixels` before they were marked, by which two jobs are compared. Blocking.

        `about`: what the engine says of them; with the request enough for `daguerre reproduce`.
        """
        files: list[bytes] = []
        scores: list[float] = []
        marked: list[bool] = []
        pixels: list[str] = []
        for number_here, (picture, seed) in enumerate(zip(pictures, request.seeds, strict=True)):
            if self.judge is not None:
                scores.append(round(self.judge(_on_white(picture)), 4))
            shown = add_label(picture) if request.label else picture
            pixels.append(digest_of_pixels(shown))
            if self.watermark and job:
                number = int(job[:NUMBER_DIGITS], 16)
                shown = watermark.embed(shown, number)
                # Mostly transparent or very small pictures have no room for it; that is said, not hidden.
                marked.append(watermark.read(shown) == number)
            making = Making(request, number_here, about or {}, job if self.watermark else "").text()
            png = encode_png(shown, {**texts_of(request, seed, model, job), MAKING: making})
            if self.signer is not None and job:
                said = {"job": job, "seed": str(seed), "model": model}
                png = self.signer.sign(png, said, f"daguerre-{seed}.png")
            files.append(png)
        found: dict[str, Any] = {"pixels": pixels}
        if self.judge is not None:
            found["scores"] = scores
        if marked:
            found["watermarked"] = marked
        return tuple(files), found

    def file_of(self, picture: Image.Image, texts: Mapping[str, str], name: str) -> bytes:
        """Blocking: a PNG file of a picture that no job asked for (a sheet, a data set), marked like any other."""
        number = job_number()
        shown = watermark.embed(picture, int(number[:NUMBER_DIGITS], 16)) if self.watermark else picture
        png = encode_png(shown, {**texts, "Job": number})
        if self.signer is not None:
            said = {"job": number, "seed": texts.get("Seed", ""), "model": texts.get("Model", "")}
            png = self.signer.sign(png, said, name)
        return png


def job_number() -> str:
    """A number as the job table gives them (time first), for a picture that never was in one."""
    return f"{time.time_ns():0{NUMBER_DIGITS}x}{token_hex(8)}"


def make_finisher(options: ModerationOptions, folder: Path, threads: int = 1) -> Finisher:
    """The finisher that `[moderation]` asks for; `folder` is where config.toml and a development certificate lie.

    Raises:
        EngineError: the output check or the certificate cannot be used; says what to do.
    """
    signer = None
    if options.manifest:
        certificate = (
            load_certificate(folder / Path(options.certificate).expanduser(), folder / Path(options.key).expanduser())
            if options.certificate
            else development_certificate(folder / "certificate")
        )
        if certificate.development:
            log.info(
                "pictures are signed with a development certificate, which nobody trusts ([moderation] certificate)"
            )
        signer = Signer(certificate)
    return Finisher(load_judge(options.output_check, threads), signer, options.watermark)


def digest_of_pixels(picture: Image.Image) -> str:
    """The same for the same size, mode and pixels."""
    head = f"{picture.mode} {picture.width} {picture.height} ".encode()
    return hashlib.sha256(head + picture.tobytes()).hexdigest()[:32]


def texts_of(request: ImageRequest, seed: int, model: str, job: str) -> dict[str, str]:
    """What the text chunks of a PNG say: how to make it again."""
    return {
        "Description": request.prompt,
        "Negative": request.negative,
        "Seed": str(seed),
        "Steps": str(request.steps),
        "Guidance": f"{request.guidance:g}",
        "Model": model,
        "Job": job,
    }


def _on_white(picture: Image.Image) -> Image.Image:
    """As it is seen: without this, what transparency hides would be judged."""
    if not watermark.has_alpha(picture):
        return picture.convert("RGB")
    whole = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
