"""The denoiser that draws from drawings: what is held out, what it is shown and told, and how it reads that."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from drawerkit import toy_denoiser
from safetensors import safe_open
from toyweights import write_toy_weights
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from daguerre.models.data.drawer import CELLS, THINGS, Drawer, drawer
from daguerre.models.data.store import SpriteSet
from daguerre.models.drawer.network import SLOTS, Context, DrawerDenoiser, opened
from daguerre.models.errors import TrainingError
from daguerre.models.training.drawer import DrawerRecipe, Lesson, Words, loss_of, read, train_drawer
from daguerre.models.training.drawer_feed import Batch, Feed, FeedRecipe, styled, worded
from daguerre.models.training.drawer_latents import FILE, Drawings, premultiplied, straight_pixels
from daguerre.models.training.drawer_run import export_denoiser, open_start, read_drawer
from daguerre.models.training.progress import Lines

QUIET = Lines(str)
STYLES = ("noto", "twemoji", "fluent", "blob", "3d")
SIDE = 16
TINY = DrawerRecipe(size=SIDE, batch=4, steps=6, warmup=2, ema=0.9, bfloat16=False)


def sprites(things: int = 60) -> SpriteSet:
    """Emoji in five styles, each a square of its own shade, and some clip art that no emoji knows."""
    images, rows = [], []

    def add(**row: Any) -> None:
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        # No two alike: 2,000 shades of red.
        picture[3:13, 3:13] = (200 + len(rows) % 50, 20 + len(rows) // 50, 30, 255)
        images.append(picture)
        rows.append({"i": len(rows), "tier": "A", "keywords_en": [], "keywords_zh": [], "group": 4, "name": ""} | row)

    for thing in range(things):
        for style in STYLES:
            add(
                code=f"1F{thing:03X}", caption_en=f"thing {thing}", caption_zh=f"东西{thing}", style=style, kind="emoji"
            )
    for k in range(3):
        add(code="", caption_en="Castle", caption_zh="", style="clip art", kind="clipart", group=-1, name=str(k))
    return SpriteSet(np.stack(images), rows)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    folder = write_toy_weights(tmp_path_factory.mktemp("words"))
    return Words(
        T5EncoderModel.from_pretrained(folder / "text_encoder"),
        PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
    )


@pytest.fixture
def network() -> DrawerDenoiser:
    return toy_denoiser()


# What is held out


def test_things_and_cells_are_held_out_by_name_alone() -> None:
    """About the named shares, the same for a larger drawer, and never something that few styles show."""
    small, large = drawer(sprites(60).rows), drawer(sprites(400).rows)
    assert {key for key in large.heldout if key in {thing.key for thing in small.things}} == small.heldout
    assert 0.6 * THINGS < len(large.heldout) / 400 < 1.6 * THINGS
    kept = [thing for thing in large.trained() if thing.emoji]
    assert 0.6 * CELLS < len(large.cells) / sum(len(thing.drawings) for thing in kept) < 1.6 * CELLS
    assert not {"castle"} & large.heldout


def test_a_training_never_asks_for_what_is_held_out() -> None:
    """No held-out thing is a target or a reference, no held-out cell either, over many batches."""
    found = sprites()
    feed = Feed(found, drawer(found.rows))
    seen: set[int] = set()
    for number in range(60):
        batch = feed.batch(16, random.Random(number))
        seen |= {*batch.targets, *batch.shown[batch.known].tolist()}
    hidden = {i for thing in feed.drawer.things if thing.key in feed.drawer.heldout for i in thing.drawings}
    assert seen & {i for thing in feed.drawer.trained() for i in feed.drawer.targets(thing)}
    assert hidden
    assert feed.drawer.cells
    assert not (hidden | feed.drawer.cells) & seen


def test_references_leave_the_target_out() -> None:
    """A drawing is never its own reference, and other styles come first."""
    found = drawer(sprites().rows)
    for thing in found.things:
        for target in thing.drawings:
            others = found.references(thing, target)
            assert target not in others
            if thing.emoji:
                assert all(found.styles[i] != found.styles[target] for i in others)
    castle = next(thing for thing in found.things if thing.key == "castle")
    assert len(found.references(castle, castle.drawings[0])) == 2


# What it is told


def test_the_words_name_the_colour_that_the_drawing_was_given(network: DrawerDenoiser, tmp_path: Path) -> None:
    """A recoloured drawing differs from the one in the drawer, and its words begin with the colour."""
    found = sprites()
    feed = Feed(found, drawer(found.rows))
    thing = feed.drawer.trained()[0]
    plain = FeedRecipe(0, 0, 0, 0, 0, 0, 0, 0)
    asked = [thing] * 8, [thing.drawings[0]] * 8
    drawings = Drawings(found, network, tmp_path / FILE, QUIET)
    as_drawn = feed.asked(*asked, random.Random(1), plain)
    blue = feed.asked(*asked, random.Random(1), dataclasses.replace(plain, recoloured=1.0))
    assert as_drawn.texts == (f"{thing.caption}, {feed.drawer.styles[thing.drawings[0]]} style",) * 8
    assert all(text.split()[1:2] == ["thing"] for text in blue.texts)
    assert as_drawn.colours == {}
    assert [text.split()[0] for text in blue.texts] == [blue.colours[place] for place in range(8)]
    plain_latents, blue_latents = drawings.targets(as_drawn), drawings.targets(blue)
    changed = [not torch.equal(one, two) for one, two in zip(plain_latents, blue_latents, strict=True)]
    assert sum(changed) >= 6


def test_what_guidance_goes_away_from_is_shown(words: Words) -> None:
    """With `empty`, pictures have neither words nor references, both at once."""
    found = sprites()
    feed = Feed(found, drawer(found.rows), FeedRecipe(0, 0, 0, empty=0.5))
    batch = feed.batch(64, random.Random(4))
    said = torch.tensor([bool(text) for text in batch.texts])
    assert torch.equal(said, batch.known[:, 0])
    assert 16 < int(said.sum()) < 48


@pytest.mark.parametrize(
    ("caption", "colour", "said"),
    [("red apple", "blue", "blue apple"), ("cat", "green", "green cat"), ("orange", "blue", "blue orange"),
     ("cat", None, "cat")],
)  # fmt: skip
def test_a_colour_takes_the_place_of_the_captions_own(caption: str, colour: str | None, said: str) -> None:
    """A blue "red apple" is a blue apple; a thing that is only called by a colour keeps its name."""
    assert worded(caption, colour) == said
    assert styled(said, "noto") == f"{said}, noto style"


# How it reads


def _batch(found: SpriteSet, count: int = 4) -> Batch:
    return Feed(found, drawer(found.rows)).batch(count, random.Random(2))


def _shown(found: SpriteSet, batch: Batch) -> torch.Tensor:
    """The drawings to draw from, (B, SLOTS, 4, S, S); where there is none, another."""
    pixels = premultiplied(straight_pixels(found, batch.shown.clamp(min=0).flatten().tolist()))
    return pixels.unflatten(0, (-1, SLOTS))


def test_a_reference_that_is_not_there_is_not_seen(network: DrawerDenoiser, words: Words) -> None:
    """Pixels of a left-out reference change nothing; those of one that is there do."""
    found = sprites()
    batch = _batch(found)
    states, references = words(batch.texts), _shown(found, batch)
    there = torch.ones_like(batch.known)
    there[:, 0] = False
    noisy, time = torch.randn(4, 4, 4, 4), torch.full((4,), 0.5)
    other = references.clone()
    other[:, 0] = torch.rand_like(other[:, 0]) * 2 - 1

    def drawn(references: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        return network(noisy, time, network.read(states, references, which))

    assert torch.equal(drawn(references, there), drawn(other, there))
    assert not torch.allclose(drawn(references, batch.known | True), drawn(other, batch.known | True))


def test_it_draws_from_text_alone(network: DrawerDenoiser, words: Words) -> None:
    """No references at all is the same as places that are empty."""
    found = sprites()
    batch = _batch(found)
    states = words(batch.texts)
    noisy, time = torch.randn(4, 4, 4, 4), torch.full((4,), 0.7)
    empty = network.read(states, _shown(found, batch), torch.zeros_like(batch.known))
    assert torch.equal(network(noisy, time, empty), network(noisy, time, network.read(states)))


def test_contexts_are_picked_by_row(network: DrawerDenoiser, words: Words) -> None:
    """Rows of a context draw what they drew in the batch."""
    found = sprites()
    batch = _batch(found)
    context: Context = network.read(words(batch.texts), _shown(found, batch), batch.known)
    noisy, time = torch.randn(4, 4, 4, 4), torch.rand(4)
    index = torch.tensor([2, 0])
    picked = network(noisy[index], time[index], context.rows(index))
    assert torch.allclose(picked, network(noisy, time, context)[index], atol=1e-4)


def test_role_words_and_time_are_heard(network: DrawerDenoiser, words: Words) -> None:
    """The same drawing in the place of another role, other words, another time: another picture."""
    found = sprites()
    batch = _batch(found)
    noisy = torch.randn(4, 4, 4, 4)
    usual, others = words(("a red apple",) * 4), words(("pizza",) * 4)
    references = _shown(found, batch)[:, :1].expand(-1, SLOTS, -1, -1, -1)

    def drawn(states: torch.Tensor, place: int, time: float) -> torch.Tensor:
        there = torch.zeros_like(batch.known)
        there[:, place] = True
        return network(noisy, torch.full((4,), time), network.read(states, references, there))

    first = drawn(usual, 0, 0.5)
    assert not torch.allclose(first, drawn(usual, SLOTS - 1, 0.5), atol=1e-4)
    assert not torch.allclose(first, drawn(others, 0, 0.5), atol=1e-4)
    assert not torch.allclose(first, drawn(usual, 0, 0.9), atol=1e-4)


def test_what_was_drawn_is_cut_from_its_ground(network: DrawerDenoiser) -> None:
    """Pictures come premultiplied with an alpha, each as if it were decoded alone."""
    latents = torch.randn(3, 4, 4, 4)
    drawn = network.decode(latents)
    assert drawn.shape == (3, 4, SIDE, SIDE)
    assert (drawn[:, :3] <= drawn[:, 3:] + 1e-6).all()
    assert torch.equal(drawn[1], network.decode(latents[1:2])[0])
    clear = torch.full((1, 4, SIDE, SIDE), -1.0)
    white = torch.ones(1, 4, SIDE, SIDE)
    assert torch.equal(network.encode(clear), network.encode(white))


def test_a_pipelines_network_learns_to_read_drawings(tmp_path: Path, words: Words) -> None:
    """Widened it says at first what it said before, whatever is shown; not widened it is refused; exports stay."""
    folder = write_toy_weights(tmp_path / "toy")
    with pytest.raises(ValueError, match="reads 4 channels, not 19"):
        opened(folder)
    start = opened(folder, widen=True).eval()
    old = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True).eval()
    states, noisy, time = words(("a red apple",)), torch.randn(1, 4, 4, 4), torch.tensor([0.25])
    there = torch.ones(1, SLOTS, dtype=torch.bool)
    with torch.no_grad():
        velocity = old(noisy, 250.0, encoder_hidden_states=states).sample
        clean = start(noisy, time, start.read(states, torch.ones(1, SLOTS, 4, SIDE, SIDE), there))
    assert torch.allclose(clean, noisy - 0.25 * velocity, atol=1e-5)
    export_denoiser(start, tmp_path / "export")
    assert opened(tmp_path / "export", widen=True).unet.config.in_channels == 19


# Training


def _start() -> DrawerDenoiser:
    return toy_denoiser()


def _train(run: Path, words: Words, steps: int, **more: Any) -> DrawerDenoiser:
    recipe = dataclasses.replace(TINY, steps=steps)
    return train_drawer(
        recipe, FeedRecipe(), sprites(), words._text, words._tokenizer, _start(), run, QUIET, **more
    )  # fmt: skip


def test_drawings_are_encoded_once(network: DrawerDenoiser, tmp_path: Path) -> None:
    """They are read again where codec and drawings are the same; a batch's are those of its drawings."""
    found, file = sprites(20), tmp_path / FILE
    lines: list[str] = []
    drawings = Drawings(found, network, file, QUIET)
    pixels = premultiplied(straight_pixels(found, range(len(found.images))))
    assert torch.allclose(drawings.latents.float(), network.encode(pixels), atol=5e-3)
    batch = _batch(found)
    lesson = Lesson.of(batch, drawings)
    kept = [place for place in range(4) if place not in batch.colours]
    assert torch.equal(lesson.targets[kept], drawings.latents[[batch.targets[place] for place in kept]].float())
    assert torch.equal(lesson.references[lesson.known], drawings.latents[batch.shown[batch.known]].float())

    class Counted(Lines):
        def step(self, *told: Any) -> None:
            lines.append(str(told))

    Drawings(found, network, file, Counted(str))
    assert not lines
    Drawings(sprites(21), network, file, Counted(str))
    assert lines
    lines.clear()
    network.vae.encoder.conv_in.bias.data += 1
    Drawings(sprites(21), network, file, Counted(str))
    assert lines


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, words: Words) -> None:
    """Stopped after two steps and begun again, it ends where an unbroken run ends."""
    whole = _train(tmp_path / "whole", words, 6)
    asked = iter([False, False, True])
    _train(tmp_path / "broken", words, 6, stop=lambda: next(asked, True))
    again = _train(tmp_path / "broken", words, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    fresh = _start().state_dict()
    assert any(not torch.equal(a, fresh[name]) for name, a in whole.state_dict().items())
    assert all(torch.equal(a, fresh[name]) for name, a in whole.state_dict().items() if name.startswith("vae."))


def test_a_checkpoint_is_named_and_made_as_before(tmp_path: Path, words: Words) -> None:
    """Runs that an earlier version began can be gone on with: file, recipe, numbers, and every tensor's name.

    The codec is not in it; a run with another one is refused.
    """
    asked = iter([False, False, True])
    _train(tmp_path, words, 6, stop=lambda: next(asked, True))
    assert json.loads((tmp_path / "drawer.json").read_text()) == {
        **json.loads(json.dumps(dataclasses.asdict(TINY))), "feed": dataclasses.asdict(FeedRecipe()),
    }  # fmt: skip
    start = _start()
    weights = list(start.unet.state_dict())
    moments = {f"optimizer/{k}/{name}" for k in range(len(weights)) for name in ("exp_avg", "exp_avg_sq", "step")}
    with safe_open(tmp_path / "drawer.safetensors", "pt") as file:
        numbers = json.loads(file.metadata()["numbers"])
        assert numbers == {"step": 2, "samples": 8, **Drawings(sprites(), start, tmp_path / FILE, QUIET).made_of}
        assert set(file.keys()) == {
            "random", "average/n_averaged", *moments, *(f"model/{name}" for name in weights),
            *(f"average/module.{name}" for name in weights),
        }  # fmt: skip
    start.vae.encoder.conv_in.bias.data += 1
    with pytest.raises(TrainingError, match="another base"):
        train_drawer(TINY, FeedRecipe(), sprites(), words._text, words._tokenizer, start, tmp_path, QUIET)


def test_training_lowers_the_loss(tmp_path: Path, words: Words) -> None:
    """On fixed noise, after 60 steps, the trained network predicts better than the fresh one."""
    found = sprites()
    trained = _train(tmp_path, words, 60)
    batch = _batch(found, 16)
    with torch.no_grad():
        losses = []
        for model in (_start(), trained):
            lesson = Lesson.of(batch, Drawings(found, model, tmp_path / FILE, QUIET))
            losses.append(loss_of(model, lesson, read(lesson, words), TINY, torch.Generator().manual_seed(0)))
    assert losses[1] < 0.8 * losses[0]


def test_an_export_opens_and_replaces_the_older(tmp_path: Path, network: DrawerDenoiser) -> None:
    """Half precision, readable by others, whole at every moment; the newest weights are there."""
    export_denoiser(network, tmp_path / "denoiser")
    network.unet.conv_out.bias.data.fill_(0.5)
    export_denoiser(network, tmp_path / "denoiser")
    found = opened(tmp_path / "denoiser")
    for part in ("unet", "vae"):
        weights = tmp_path / "denoiser" / part / "diffusion_pytorch_model.safetensors"
        with safe_open(weights, "pt") as file:
            assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118  not a dict
        assert weights.stat().st_mode & 0o777 == 0o644
    assert torch.equal(found.unet.conv_out.bias, torch.full_like(found.unet.conv_out.bias, 0.5))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["denoiser"]
    assert network.dtype == torch.float32


def test_weights_of_another_size_are_refused(tmp_path: Path, words: Words) -> None:
    """By what is to be made alike."""
    start = toy_denoiser(32)
    with pytest.raises(TrainingError, match="draw at 32 px"):
        train_drawer(TINY, FeedRecipe(), sprites(), words._text, words._tokenizer, start, tmp_path, QUIET)


def test_a_recipe_says_what_it_lacks(tmp_path: Path) -> None:
    """Without words or a start, or with a key that nothing knows, the file and the key are named."""
    file = tmp_path / "x.toml"
    file.write_text('kind = "drawer"\nname = "x"\n')
    with pytest.raises(TrainingError, match="words"):
        read_drawer(file)
    file.write_text('kind = "drawer"\nname = "x"\nwords = "w"\n')
    with pytest.raises(TrainingError, match="start"):
        read_drawer(file)
    file.write_text('kind = "drawer"\nname = "x"\nwords = "w"\nstart = "s"\n[drawer]\ndeep = 3\n')
    with pytest.raises(TrainingError, match="deep"):
        read_drawer(file)


def test_the_shipped_recipe_is_read() -> None:
    """`models/recipes/drawer.toml` names a run that can begin."""
    run = read_drawer(Path(__file__).parents[3] / "models/recipes/drawer.toml")
    assert isinstance(drawer([]), Drawer)
    project = Path(__file__).parents[3]
    _, _, start = open_start(dataclasses.replace(run, words=str(project / run.words), start=str(project / run.start)))
    assert start.size == run.drawer.size
