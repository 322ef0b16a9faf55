"""Files that leave a worker say in four ways where they come from; /verify reads them and believes nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from shapekit import drawn

from daguerre.app.finishing import Finisher, make_finisher
from daguerre.app.verify import describe, read_origin
from daguerre.models.provenance.certificates import CertificateUnusable, development_certificate, load_certificate
from daguerre.models.provenance.manifest import Signer, read_statement
from daguerre.models.provenance.metadata import TRAINED_MEDIA
from daguerre.models.provenance.safety import JudgeMissing, load_judge
from daguerre.queue.moderation.options import ModerationOptions
from daguerre.queue.records.requests import ImageRequest, image_request

JOB = "19f0123456789abc00112233445566ff"
ASKED = image_request(prompt="a red apple", seed=7, steps=9, width=256, height=256)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificate")


@pytest.fixture(scope="module")
def finisher(folder: Path) -> Finisher:
    return Finisher(signer=Signer(development_certificate(folder)), watermark=True)


def finished(finisher: Finisher, request: ImageRequest = ASKED, picture: Image.Image | None = None) -> bytes:
    files, _ = finisher.finish([picture or drawn(3, 256)], request, job=JOB, model="first-light abc")
    return files[0]


def again(data: bytes, kind: str, **how: object) -> bytes:
    """Saved anew by another program: metadata gone."""
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, kind, **how)
    return file.getvalue()


def test_a_finished_file_says_where_it_comes_from(finisher: Finisher) -> None:
    """Text chunks, XMP with IPTC's source type, a signed C2PA statement and the watermark."""
    data = finished(finisher)
    with Image.open(io.BytesIO(data)) as picture:
        info = dict(picture.info)
    assert (info["Seed"], info["Steps"], info["Job"], info["Model"]) == ("7", "9", JOB, "first-light abc")
    assert TRAINED_MEDIA in info["XML:com.adobe.xmp"]
    statement = read_statement(data, "image/png")
    assert statement is not None
    assert (statement.intact, statement.trained, statement.development) == (True, True, True)
    assert statement.generator.startswith("daguerre/")
    origin = read_origin(data)
    assert (origin.ours, origin.watermark, origin.job) == (True, JOB[:16], JOB[:16])
    assert (origin.said["seed"], origin.said["model"], origin.trained) == ("7", "first-light abc", True)


@pytest.mark.parametrize(("kind", "how"), [("PNG", {}), ("JPEG", {"quality": 85}), ("WEBP", {"quality": 85})])
def test_without_metadata_the_watermark_still_names_the_job(finisher: Finisher, kind: str, how: dict[str, int]) -> None:
    origin = read_origin(again(finished(finisher, picture=drawn(4, 512)), kind, **how))
    assert (origin.ours, origin.job, origin.signer, origin.said) == (True, JOB[:16], None, {})


def test_a_picture_that_no_job_asked_for_is_marked_as_well(finisher: Finisher) -> None:
    """What `sheet` and `synthesize` write: watermark, statement and text chunks, with a number of its own."""
    texts = {"Description": "a red apple", "Seed": "7", "Model": "first-light abc"}
    files = [finisher.file_of(drawn(3, 256), texts, "apple.png") for _ in range(2)]
    origins = [read_origin(data) for data in files]
    assert all(origin.ours and origin.intact and origin.trained for origin in origins)
    assert origins[0].watermark != origins[1].watermark
    assert origins[0].said["job"].startswith(origins[0].watermark or "no mark")
    assert origins[0].said["seed"] == "7"
    plain = read_origin(Finisher().file_of(drawn(3, 256), texts, "apple.png"))
    assert not plain.ours, "[moderation] can turn both off"


def test_a_changed_file_does_not_fit_its_statement(finisher: Finisher) -> None:
    """One bit of the pixels is enough; without a watermark such a file is not ours."""
    plain = Finisher(signer=finisher.signer)
    data = bytearray(finished(plain))
    assert read_origin(bytes(data)).ours
    data[data.rindex(b"IEND") - 60] ^= 1
    statement = read_statement(bytes(data), "image/png")
    assert statement is not None
    assert not statement.intact


def test_text_chunks_alone_prove_nothing() -> None:
    """Anybody can write them."""
    data = finished(Finisher())
    origin = read_origin(data)
    assert origin.said["job"] == JOB
    assert (origin.ours, origin.job) == (False, None)
    assert describe(origin)[0].startswith("not ours")


def test_a_strangers_picture_is_not_ours() -> None:
    assert not read_origin(again(finished(Finisher()), "PNG")).ours


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), b"not a picture" * 100])
def test_what_is_no_picture_is_said_so(data: bytes) -> None:
    with pytest.raises(ValueError, match="no PNG, JPEG or WebP"):
        read_origin(data)


def test_a_huge_picture_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 9_000)).save(file, "PNG")
    assert len(file.getvalue()) < 100_000
    with pytest.raises(ValueError, match=r"pixels|no PNG"):
        read_origin(file.getvalue())


def test_the_label_is_seen_only_where_it_is_wanted() -> None:
    """White letters on a dark plate in the lower right corner; the rest stays as it was."""
    picture = Image.new("RGB", (256, 256), (200, 40, 40))
    bare = Image.open(io.BytesIO(finished(Finisher(), picture=picture)))
    labelled = Image.open(io.BytesIO(finished(Finisher(), ASKED.model_copy(update={"label": True}), picture)))
    assert bare.tobytes() == picture.tobytes()
    corner = labelled.crop((200, 225, 256, 256)).getcolors(4096)
    assert corner is not None
    assert max(min(colour) for _, colour in corner if isinstance(colour, tuple)) > 230
    assert labelled.crop((0, 0, 200, 225)).tobytes() == picture.crop((0, 0, 200, 225)).tobytes()


def test_every_picture_is_judged_before_it_is_labelled() -> None:
    """Whatever takes a picture and gives a number can judge; transparency is judged as it is seen."""
    seen: list[Image.Image] = []

    def judge(picture: Image.Image) -> float:
        seen.append(picture)
        return 0.123456

    pictures = [Image.new("RGBA", (64, 64), (255, 0, 0, 0)), Image.new("RGB", (64, 64), (0, 0, 9))]
    request = image_request(prompt="a", seed=1, count=2, label=True)
    _, found = Finisher(judge=judge).finish(pictures, request, job=JOB, model="m")
    assert found.pop("pixels")
    assert found == {"scores": [0.1235, 0.1235]}
    assert [each.getpixel((0, 0)) for each in seen] == [(255, 255, 255), (0, 0, 9)]


def test_the_shipped_check_scores_harmless_pictures_low() -> None:
    """The weights come with the package: real scores of real pictures."""
    judge = load_judge("open-nsfw")
    assert judge is not None
    scores = [judge(drawn(number, 256)) for number in range(4)]
    assert all(0 <= score < 0.5 for score in scores)
    assert len(set(scores)) > 1
    assert load_judge("off") is None
    with pytest.raises(JudgeMissing, match="open-nsfw, off"):
        load_judge("tea leaves")


def test_a_development_certificate_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = development_certificate(tmp_path), development_certificate(tmp_path)
    assert first == second
    assert first.development
    assert b"PRIVATE" not in repr(first).encode()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_an_own_certificate_that_cannot_sign_is_refused_with_what_to_do(tmp_path: Path, folder: Path) -> None:
    development_certificate(folder)
    with pytest.raises(CertificateUnusable, match=r"\[moderation\] certificate"):
        load_certificate(tmp_path / "absent.pem", tmp_path / "absent.key")
    (tmp_path / "key.pem").write_text("nonsense")
    with pytest.raises(CertificateUnusable, match="unencrypted"):
        make_finisher(
            ModerationOptions(
                certificate=str(folder / "development-certificate.pem"),
                key=str(tmp_path / "key.pem"),
                output_check="off",
            ),
            tmp_path,
        )


def test_the_command_line_tells_ours_from_others(finisher: Finisher, tmp_path: Path) -> None:
    """Exit code 0 and what is known, or 1 and "not ours"."""
    ours, other = tmp_path / "ours.jpg", tmp_path / "other.png"
    ours.write_bytes(again(finished(finisher, picture=drawn(4, 512)), "JPEG", quality=90))
    drawn(9, 256).save(other)
    told = [
        subprocess.run(
            [sys.executable, "-m", "daguerre.app", "verify", str(file)],
            capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for file in (ours, other)
    ]  # fmt: skip
    assert [each.returncode for each in told] == [0, 1]
    assert f"watermark: job {JOB[:16]}" in told[0].stdout
    assert told[1].stdout.startswith("not ours")


def test_findings_travel_as_json(finisher: Finisher) -> None:
    """They go through NATS and the job table."""
    _, found = finisher.finish([drawn(3, 256)], ASKED, job=JOB, model="m")
    told = json.loads(json.dumps(found))
    assert re.fullmatch("[0-9a-f]{32}", *told.pop("pixels"))
    assert told == {"watermarked": [True]}


def test_the_same_pixels_have_the_same_digest_whatever_job_drew_them(finisher: Finisher) -> None:
    """By this the studio proves that a picture was drawn again: watermarks differ from job to job, digests do not."""
    files, found = zip(
        *(finisher.finish([drawn(3, 256)], ASKED, job=job, model="m") for job in (JOB, "f" * 32)), strict=True
    )
    assert files[0] != files[1]
    assert found[0]["pixels"] == found[1]["pixels"]
    _, other = finisher.finish([drawn(4, 256)], ASKED, job=JOB, model="m")
    assert other["pixels"] != found[0]["pixels"]
