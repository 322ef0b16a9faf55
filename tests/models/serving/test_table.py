"""Every text-to-image family of the pinned diffusers that can be built tiny goes through the same table of requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import familykit_more
import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging
from PIL import Image
from smallkit import small

from daguerre.models.errors import Unrenderable, Unsupported, WeightsMissing, WeightsRefused
from daguerre.models.serving import families
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.requests import Progress, RenderRequest, Source

#: What libraries say to those who wrote them.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "RuntimeWarning")]
ASK = RenderRequest("a red apple", (3, 4), 2, 3.0, 64, 64)
#: Families of which diffusers has no pipeline that begins from a picture.
NO_SOURCE = {
    "chroma", "pixart", "pixart_sigma", "sana", "sana_sprint", "hunyuan", "auraflow", "lumina2", "cogview3",
    "cogview4",
}  # fmt: skip
#: And of which it takes no negative prompt, or passes over it.
NO_NEGATIVE = {"lcm", "sana_sprint", "flux2_klein"}
#: And of which nothing is shown before the end.
NO_PREVIEW = {"kandinsky22", "kandinsky3", "deepfloyd", "flux2_klein"}


REAL_NATIVE = families.native_of


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Toys draw at 64 px, whatever their families' real sizes are; how fast they are is nobody's question here."""
    with small(64):
        yield


def saved(write: Callable[[], Any], folder: Path) -> Path:
    torch.manual_seed(1)
    logging.set_verbosity_error()
    write().save_pretrained(folder, safe_serialization=True)
    return folder


def loaded(folder: Path, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", **more)
    engine.load()
    return engine


@pytest.mark.parametrize("write", familykit_more.FAMILIES, ids=lambda write: write.__name__)
def test_a_family_draws(write: Callable[[], Any], tmp_path: Path) -> None:
    """Pictures of the asked size that guidance and seed decide; progress to the end; cancelling at the next step; a
    negative prompt, or word that there is none; an odd size at the nearest that it draws; its own picture again.
    """
    engine = loaded(saved(write, tmp_path / "toy"))
    seen: list[Progress] = []
    drawn = engine.draw(ASK, seen.append)
    assert [each.size for each in drawn.pictures] == [(64, 64)] * 2
    assert drawn.pictures[0].tobytes() != drawn.pictures[1].tobytes()
    assert seen[-1].step == seen[-1].steps
    assert [each.step for each in seen] == list(range(1, len(seen) + 1))
    one = replace(ASK, seeds=(3,))
    again, other = engine.draw(ASK), engine.draw(replace(one, guidance=9.0))
    assert [each.tobytes() for each in again.pictures] == [each.tobytes() for each in drawn.pictures]
    assert other.pictures[0].tobytes() != drawn.pictures[0].tobytes()

    if write.__name__ in NO_NEGATIVE:
        with pytest.raises(Unsupported) as unasked:
            engine.draw(replace(one, negative="blue blue"))
        assert unasked.value.code == "unsupported_negative"
    else:
        kept_away = engine.draw(replace(one, negative="blue blue blue", guidance=9.0))
        assert kept_away.pictures[0].tobytes() != other.pictures[0].tobytes()

    longer = list[Progress]()
    steps = 4 if write.__name__ != "sana_sprint" else 2
    engine.draw(replace(one, steps=steps), longer.append)
    assert bool([each for each in longer if each.preview]) == (write.__name__ not in NO_PREVIEW)

    odd = engine.draw(replace(one, width=100, height=57, steps=1 if write.__name__ != "sana_sprint" else 2))
    assert odd.pictures[0].size == (100, 57)
    assert all(side % 8 == 0 for side in odd.about["drawn"])

    def leave(_: Progress) -> None:
        raise KeyError

    forwards = engine.loop.forwards
    with pytest.raises(KeyError):
        engine.draw(replace(one, steps=20), leave)
    assert engine.loop.forwards - forwards <= 2

    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    for use in ("vary", "inpaint"):
        source = Source(drawn.pictures[0], use, mask if use == "inpaint" else None, strength=0.5)
        asked = replace(one, steps=4, source=source)
        if write.__name__ in NO_SOURCE:
            with pytest.raises(Unsupported) as refused:
                engine.draw(asked)
            assert refused.value.code == ("unsupported_source" if use == "vary" else "unsupported_inpaint")
        else:
            try:
                assert engine.draw(asked).pictures[0].size == (64, 64)
            except Unrenderable as problem:
                # Stock pipelines that paint into pictures want real codecs of 16 channels; some families have none.
                assert use == "inpaint", problem  # noqa: PT017  some do


@pytest.mark.parametrize(
    ("write", "side", "numbers"),
    [
        (familykit_more.sd15_with_checker, 32, "float16"),
        (familykit_more.playground, 32, "float16"),
        (familykit_more.kandinsky22, 512, "float16"),
        (familykit_more.deepfloyd, 32, "float16"),
        (familykit_more.flux, 256, "bfloat16"),
        (familykit_more.qwen, 256, "bfloat16"),
        (familykit_more.sana, 32, "bfloat16"),
        (familykit_more.lumina2, 128, "bfloat16"),
        (familykit_more.cogview4, 32, "bfloat16"),
        (familykit_more.z_image, 1024, "bfloat16"),
    ],
)
def test_sizes_and_numbers_are_the_familys_own(write: Callable[[], Any], side: int, numbers: str) -> None:
    """Toys' codecs halve once where real ones do three times: DeepFloyd's pixels are pixels, Z-Image's side is told
    nowhere and is 1024; a GPU computes in what a family was trained in."""
    torch.manual_seed(1)
    pipeline = write()
    assert REAL_NATIVE(pipeline) == side
    assert families.half_of(type(pipeline).__name__) == numbers


def changed(folder: Path, **values: Any) -> Path:
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | values))
    return folder


def test_a_hub_clone_is_served_as_it_is(tmp_path: Path) -> None:
    """Safety checker with pickles alone, `.bin` beside `.safetensors`, and weights in half precision only."""
    folder = saved(familykit_more.sd15_with_checker, tmp_path / "toy")
    plain = loaded(folder).draw(ASK)
    (folder / "safety_checker" / "model.safetensors").rename(folder / "safety_checker" / "pytorch_model.bin")
    for part, name in (("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")):
        (folder / part / name).write_bytes(b"\x80\x04 would run")
    (folder / "v1-5-pruned.ckpt").write_bytes(b"\x80\x04")
    again = loaded(folder).draw(ASK)
    assert [each.tobytes() for each in again.pictures] == [each.tobytes() for each in plain.pictures]
    for part in ("unet", "vae", "text_encoder"):
        for file in (folder / part).glob("*.safetensors"):
            file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    halved = loaded(folder).draw(ASK)
    assert [each.tobytes() for each in halved.pictures] == [each.tobytes() for each in plain.pictures]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "holds no object"),
        (b'\xef\xbb\xbf{"_class_name": "FluxPipeline"}', "byte order mark"),
        (b"{", "damaged"),
        (b"{}", "names no pipeline class"),
        (
            b'{"_class_name": "Flux9Pipeline", "_diffusers_version": "0.99.0"}',
            r"Flux9Pipeline.*does not know.*0\.99\.0",
        ),
        (b'{"_class_name": ["pipeline", "MyPipeline"]}', "code of its own"),
        (b'{"_class_name": "StableDiffusionInpaintPipeline"}', "a picture and a mask"),
        (b'{"_class_name": "StableDiffusionXLImg2ImgPipeline"}', "a picture to begin from"),
        (b'{"_class_name": "FluxControlNetPipeline"}', "a control picture"),
        (b'{"_class_name": "KandinskyV22PriorPipeline"}', "the decoder"),
        (b'{"_class_name": "KandinskyV22Pipeline"}', "image_embeds"),
        (b'{"_class_name": "StableCascadeDecoderPipeline"}', "image_embeddings beside a prompt"),
        (b'{"_class_name": "StableCascadePriorPipeline"}', "the decoder"),
        (b'{"_class_name": "IFSuperResolutionPipeline"}', "image"),
        (b'{"_class_name": "KolorsPipeline"}', "sentencepiece"),
        (b'{"_class_name": "FluxPipeline", "vae": ["diffusers", "AutoencoderKL"]}', "The part vae"),
    ],
)
def test_what_cannot_draw_is_named_when_it_is_loaded(content: bytes, said: str, tmp_path: Path) -> None:
    """Never at the first member's request, and never as `damaged` when it is something else."""
    (tmp_path / "model_index.json").write_bytes(content)
    with pytest.raises((WeightsRefused, WeightsMissing), match=said):
        loaded(tmp_path)


def with_unet(folder: Path, **values: Any) -> Path:
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    settings = {key: value for key, value in pipeline.unet.config.items() if not key.startswith("_")}
    torch.manual_seed(2)
    pipeline.unet = UNet2DConditionModel(**(settings | values))
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def test_unets_that_want_more_than_a_text_are_named(tmp_path: Path) -> None:
    """Nine channels are an inpainting model, eight one that is told how to change a picture."""
    with pytest.raises(WeightsRefused, match="inpainting model"):
        loaded(with_unet(familykit.write_sd15(tmp_path / "nine"), in_channels=9))
    with pytest.raises(WeightsRefused, match="InstructPix2Pix"):
        loaded(with_unet(familykit.write_sd15(tmp_path / "eight"), in_channels=8))


@pytest.mark.parametrize(("told", "native"), [([16, 16], 32), ([8, 32], 32), (None, 64)])
def test_a_sample_size_may_be_a_list_or_nothing(told: Any, native: int, tmp_path: Path) -> None:
    """Then the family's own size counts (512, here kept to 64)."""
    folder = familykit.write_sd15(tmp_path / "toy")
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sample_size": told}))
    engine = loaded(folder)
    assert engine.describe()["native"] == native
    assert isinstance(engine.loop, Loop)
    assert engine.draw(replace(ASK, seeds=(3,))).about["drawn"] == [native, native]


@pytest.mark.parametrize("part", ["unet", "vae"])
@pytest.mark.parametrize("write", [familykit_more.sd21, familykit_more.sd3])
def test_what_is_no_picture_is_not_delivered(write: Callable[[], Any], part: str, tmp_path: Path) -> None:
    """NaN in the network or the codec: an error that says so, whichever way the pictures are drawn."""
    engine = loaded(saved(write, tmp_path / "toy"))
    loop: Any = engine.loop
    pipeline = loop._context.network.plain.pipeline if isinstance(engine.loop, Loop) else loop._pipeline
    broken = getattr(pipeline, part) if part == "vae" or hasattr(pipeline, part) else pipeline.transformer
    with torch.no_grad():
        next(iter(broken.decoder.parameters() if part == "vae" else broken.parameters())).fill_(float("nan"))
    with pytest.raises(Unrenderable, match="computed no picture") as refused:
        engine.draw(replace(ASK, seeds=(3,)))
    assert refused.value.code == "no_picture"


@pytest.mark.parametrize("write", [familykit_more.sd3, familykit_more.sd15_pag])
def test_a_codec_that_overflows_in_half_precision_goes_on_in_float32(write: Callable[[], Any], tmp_path: Path) -> None:
    """Job by job: the picture, not a black one, and at once from the next request on; also begun from a picture."""
    engine = loaded(saved(write, tmp_path / "toy"))
    loop: Any = engine.loop
    codec = loop._pipeline.vae
    with torch.no_grad():
        codec.decoder.conv_in.weight.mul_(3e5)
    one = replace(ASK, seeds=(3,))
    wanted = engine.draw(one).pictures[0]
    loop._pipeline.to(torch.float16)
    made = engine.draw(one).pictures[0]
    assert codec.dtype == torch.float32
    apart = [abs(a - b) for a, b in zip(made.tobytes(), wanted.tobytes(), strict=True)]
    assert sum(apart) / len(apart) < 4
    forwards = engine.loop.forwards
    assert engine.draw(one).pictures[0].tobytes() == made.tobytes()
    assert engine.loop.forwards - forwards <= 2
    engine.draw(replace(one, steps=4, source=Source(made, "vary", strength=0.5)))


def test_a_codec_that_tells_each_channels_measure_is_read_so(tmp_path: Path) -> None:
    """Playground 2.5: the stock pipeline's picture to rounding."""
    folder = saved(familykit_more.playground, tmp_path / "toy")
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    expected = stock(
        ASK.prompt, num_inference_steps=2, guidance_scale=3.0, height=32, width=32,
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    made = loaded(folder).draw(replace(ASK, seeds=(3,), width=32, height=32)).pictures[0]
    apart = max(abs(a - b) for a, b in zip(made.tobytes(), expected.tobytes(), strict=True))
    assert apart <= 1
