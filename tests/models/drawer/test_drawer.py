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
from safetensors import safe_open
from toyweights import write_toy_weights
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from daguerre.models.data.drawer import CELLS, THINGS, Drawer, drawer
from daguerre.models.data.store import SpriteSet
from daguerre.models.drawer.network import STYLE, THING, Context, DrawerDenoiser
from daguerre.models.errors import TrainingError
from daguerre.models.training.drawer import DrawerRecipe, Words, loss_of, read, train_drawer
from daguerre.models.training.drawer_feed import Feed, FeedRecipe, premultiplied, styled, worded
from daguerre.models.training.drawer_run import export_denoiser, read_drawer
from daguerre.models.training.progress import Lines

QUIET = Lines(str)
STYLES = ("noto", "twemoji", "fluent", "blob", "3d")
SIDE = 16
TINY = DrawerRecipe(size=SIDE, patch=4, width=16, depth=2, batch=4, steps=6, warmup=2, ema=0.9, bfloat16=False)


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
    torch.manual_seed(3)
    model = DrawerDenoiser(size=SIDE, patch=4, width=16, depth=2, heads=2, inner=32, words_width=24)
    # The modulation begins at zero: wake it, or words and times would not be heard.
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape)
    return model.eval()


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
    seen: set[bytes] = set()
    for number in range(60):
        batch = feed.batch(16, random.Random(number))
        seen |= {picture.numpy().tobytes() for picture in batch.targets}
        seen |= {picture.numpy().tobytes() for picture in batch.references[batch.known]}
    hidden = [i for thing in feed.drawer.things if thing.key in feed.drawer.heldout for i in thing.drawings]
    pixels = torch.from_numpy(found.images[np.array([*hidden, *feed.drawer.cells])]).permute(0, 3, 1, 2).float() / 255
    shades = {picture.numpy().tobytes() for picture in premultiplied(pixels)}
    trained = [i for thing in feed.drawer.trained() for i in feed.drawer.targets(thing)]
    usual = torch.from_numpy(found.images[np.array(trained)]).permute(0, 3, 1, 2).float() / 255
    assert seen & {picture.numpy().tobytes() for picture in premultiplied(usual)}
    assert len(shades) == len(hidden) + len(feed.drawer.cells)
    assert not shades & seen


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


def test_the_words_name_the_colour_that_the_drawing_was_given() -> None:
    """A recoloured drawing differs from the one in the drawer, and its words begin with the colour."""
    found = sprites()
    feed = Feed(found, drawer(found.rows))
    thing = feed.drawer.trained()[0]
    plain = FeedRecipe(0, 0, 0, 0, 0, 0, 0, 0)
    asked = [thing] * 8, [thing.drawings[0]] * 8, 2
    as_drawn = feed.asked(*asked, random.Random(1), plain)
    blue = feed.asked(*asked, random.Random(1), dataclasses.replace(plain, recoloured=1.0))
    assert as_drawn.texts == (f"{thing.caption}, {feed.drawer.styles[thing.drawings[0]]} style",) * 8
    assert all(text.split()[1:2] == ["thing"] for text in blue.texts)
    changed = [not torch.equal(one, two) for one, two in zip(as_drawn.targets, blue.targets, strict=True)]
    assert sum(changed) >= 6
    assert torch.equal(as_drawn.targets[:, 3], blue.targets[:, 3])


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


def _batch(found: SpriteSet, count: int = 4) -> Any:
    return Feed(found, drawer(found.rows)).batch(count, random.Random(2))


def test_a_reference_that_is_not_there_is_not_seen(network: DrawerDenoiser, words: Words) -> None:
    """Pixels of a left-out reference change nothing; those of one that is there do."""
    batch = _batch(sprites())
    states, known, pooled = words(batch.texts)
    there = torch.ones_like(batch.known)
    there[:, 0] = False
    noisy, time = torch.randn(4, 4, SIDE, SIDE), torch.full((4,), 0.5)
    other = batch.references.clone()
    other[:, 0] = torch.randn_like(other[:, 0])

    def drawn(references: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        return network(noisy, time, network.read(states, known, pooled, references, batch.roles, which))

    assert torch.equal(drawn(batch.references, there), drawn(other, there))
    assert not torch.allclose(drawn(batch.references, batch.known | True), drawn(other, batch.known | True))


def test_it_draws_from_text_alone(network: DrawerDenoiser, words: Words) -> None:
    """No places for references at all is the same as places that are empty."""
    batch = _batch(sprites())
    states, known, pooled = words(batch.texts)
    noisy, time = torch.randn(4, 4, SIDE, SIDE), torch.full((4,), 0.7)
    nothing = torch.zeros_like(batch.known)
    empty = network.read(states, known, pooled, batch.references, batch.roles, nothing)
    without = network.read(states, known, pooled, batch.references[:, :0], batch.roles[:, :0], nothing[:, :0])
    assert torch.allclose(network(noisy, time, empty), network(noisy, time, without), atol=1e-5)


def test_contexts_are_picked_by_row(network: DrawerDenoiser, words: Words) -> None:
    """Rows of a context draw what they drew in the batch."""
    batch = _batch(sprites())
    context: Context = read(network, batch, words)
    noisy, time = torch.randn(4, 4, SIDE, SIDE), torch.rand(4)
    index = torch.tensor([2, 0])
    picked = network(noisy[index], time[index], context.rows(index))
    assert torch.allclose(picked, network(noisy, time, context)[index], atol=1e-5)


def test_role_words_and_time_are_heard(network: DrawerDenoiser, words: Words) -> None:
    """Another role of a reference, other words, another time: another picture."""
    batch = _batch(sprites())
    noisy = torch.randn(4, 4, SIDE, SIDE)
    states, known, pooled = words(("a red apple",) * 4)
    others = words(("pizza",) * 4)
    there = torch.ones_like(batch.known)

    def drawn(said: Any, role: int, time: float) -> torch.Tensor:
        roles = torch.full_like(batch.roles, role)
        return network(noisy, torch.full((4,), time), network.read(*said, batch.references, roles, there))

    usual = drawn((states, known, pooled), THING, 0.5)
    assert not torch.allclose(usual, drawn((states, known, pooled), STYLE, 0.5), atol=1e-4)
    assert not torch.allclose(usual, drawn(others, THING, 0.5), atol=1e-4)
    assert not torch.allclose(usual, drawn((states, known, pooled), THING, 0.9), atol=1e-4)


# Training


def _train(run: Path, words: Words, steps: int, **more: Any) -> DrawerDenoiser:
    recipe = DrawerRecipe(**{**{name: getattr(TINY, name) for name in TINY.__dataclass_fields__}, "steps": steps})
    return train_drawer(
        recipe, FeedRecipe(), sprites(), words._text, words._tokenizer, run, QUIET, **more
    )  # fmt: skip


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, words: Words) -> None:
    """Stopped after two steps and begun again, it ends where an unbroken run ends."""
    whole = _train(tmp_path / "whole", words, 6)
    asked = iter([False, False, True])
    _train(tmp_path / "broken", words, 6, stop=lambda: next(asked, True))
    again = _train(tmp_path / "broken", words, 6)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_a_checkpoint_is_named_and_made_as_before(tmp_path: Path, words: Words) -> None:
    """Runs that an earlier version began can be gone on with: file, recipe, numbers, and every tensor's name."""
    asked = iter([False, False, True])
    _train(tmp_path, words, 6, stop=lambda: next(asked, True))
    assert json.loads((tmp_path / "drawer.json").read_text()) == {
        **json.loads(json.dumps(dataclasses.asdict(TINY))), "feed": dataclasses.asdict(FeedRecipe()),
    }  # fmt: skip
    model = DrawerDenoiser(size=SIDE, patch=4, width=16, depth=2, heads=1, inner=64, words_width=24)
    weights = list(model.state_dict())
    moments = {f"optimizer.adam/{k}/{name}" for k in range(len(weights)) for name in ("exp_avg", "exp_avg_sq", "step")}
    with safe_open(tmp_path / "drawer.safetensors", "pt") as file:
        assert json.loads(file.metadata()["numbers"]) == {"step": 2, "samples": 8}
        assert set(file.keys()) == {
            "random", "average/n_averaged", *moments, *(f"model/{name}" for name in weights),
            *(f"average/module.{name}" for name in weights),
        }  # fmt: skip


def test_training_lowers_the_loss(tmp_path: Path, words: Words) -> None:
    """On fixed noise, after 60 steps, the trained network predicts better than the fresh one."""
    found = sprites()
    torch.manual_seed(TINY.seed)
    fresh = DrawerDenoiser(size=SIDE, patch=4, width=16, depth=2, heads=1, inner=64, words_width=24)
    trained = _train(tmp_path, words, 60)
    batch = _batch(found, 16)
    with torch.no_grad():
        before, after = (
            loss_of(model, batch, words, TINY, torch.Generator().manual_seed(0)) for model in (fresh, trained)
        )
    assert after < 0.8 * before


def test_an_export_opens_and_replaces_the_older(tmp_path: Path, network: DrawerDenoiser) -> None:
    """Half precision, readable by others, whole at every moment; the newest weights are there."""
    export_denoiser(network, tmp_path / "denoiser")
    network.patch_out.bias.data.fill_(0.5)
    export_denoiser(network, tmp_path / "denoiser")
    opened = DrawerDenoiser.from_pretrained(tmp_path / "denoiser", local_files_only=True)
    with safe_open(tmp_path / "denoiser" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118  not a dict
    assert torch.equal(opened.patch_out.bias, torch.full_like(opened.patch_out.bias, 0.5))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["denoiser"]
    weights = tmp_path / "denoiser" / "diffusion_pytorch_model.safetensors"
    assert weights.stat().st_mode & 0o777 == 0o644


def test_a_recipe_says_what_it_lacks(tmp_path: Path) -> None:
    """Without words, or with a key that nothing knows, the file and the key are named."""
    file = tmp_path / "x.toml"
    file.write_text('kind = "drawer"\nname = "x"\n')
    with pytest.raises(TrainingError, match="words"):
        read_drawer(file)
    file.write_text('kind = "drawer"\nname = "x"\nwords = "w"\n[drawer]\ndeep = 3\n')
    with pytest.raises(TrainingError, match="deep"):
        read_drawer(file)


def test_the_shipped_recipe_is_read() -> None:
    """`models/recipes/drawer.toml` names a run that can begin."""
    run = read_drawer(Path(__file__).parents[3] / "models/recipes/drawer.toml")
    assert isinstance(drawer([]), Drawer)
    assert run.drawer.size % run.drawer.patch == 0
