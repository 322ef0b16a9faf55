"""The judge of the drawer: what it is asked, what it sees, how pictures are drawn for it, copies, and its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from drawerkit import toy_denoiser
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor
from toyweights import write_toy_weights

from daguerre.models.data.colours import WORDS, looks
from daguerre.models.data.drawer import Drawer, drawer
from daguerre.models.data.siblings import sibling_group
from daguerre.models.data.store import SpriteSet, SpriteWriter
from daguerre.models.drawer.network import MOST, DrawerDenoiser
from daguerre.models.errors import DataMissing, WeightsMissing, WeightsRefused
from daguerre.models.evaluation import command as pipelines
from daguerre.models.evaluation.drawer import command
from daguerre.models.evaluation.drawer import figures as drawer_figures
from daguerre.models.evaluation.drawer.better import better
from daguerre.models.evaluation.drawer.command import draws_from_drawings
from daguerre.models.evaluation.drawer.copies import Drawings, copies, nearest
from daguerre.models.evaluation.drawer.evaluate import DrawerMaterial, DrawerPlan, evaluate_drawer, looks_when_asked
from daguerre.models.evaluation.drawer.features import GROUNDS, describe
from daguerre.models.evaluation.drawer.painter import (
    DrawerSampling,
    context,
    drawer_painter,
    open_denoiser,
    open_words,
    sample,
)
from daguerre.models.evaluation.drawer.questions import Question, Questions
from daguerre.models.evaluation.drawer.quick import main
from daguerre.models.evaluation.drawer.recogniser import load, on_ground, recognise
from daguerre.models.evaluation.drawer.scores import Judge, shares, straight
from daguerre.models.evaluation.drawer.training import (
    DrawerRecogniserRecipe,
    premultiplied,
    split,
    straight_pixels,
    train_drawer_recogniser,
)
from daguerre.models.training.drawer import Words
from daguerre.models.training.drawer_run import export_denoiser

STYLES = ("noto", "twemoji", "fluent", "blob", "3d", "tango", "sticky", "firefox")
THINGS = 50
RECIPE = DrawerRecogniserRecipe(width=32, hidden=32, views=1, epochs=5, batch=64, ema=0.9)


def drawing(thing: int, style: int) -> NDArray[np.uint8]:
    """A star-like shape of its own for each thing; styles differ in colour, size and outline."""
    choose = np.random.default_rng(thing)
    angles = np.linspace(0, 2 * np.pi, 10)[:9]
    radii = choose.uniform(8, 29, 9) * (1 - 0.04 * style)
    points = [(32 + r * np.cos(a), 32 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
    picture = Image.new("RGBA", (64, 64))
    fill = (60 + 20 * style, 90, 230 - 20 * style, 255)
    ImageDraw.Draw(picture).polygon(points, fill, (0, 0, 0, 255) if style % 2 else fill, 2)
    return np.asarray(picture)


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    """Fifty emoji in eight styles, and something that was drawn once."""
    images, rows = [], []
    for thing in range(THINGS):
        for place, style in enumerate(STYLES):
            images.append(drawing(thing, place))
            names = {f"caption_{one}": f"{one} {thing}" for one in ("zh", "ja", "ko", "fr", "de", "es", "pt", "ru")}
            rows.append(
                {"i": len(rows), "code": f"1F{thing:03X}", "caption_en": f"thing {thing}", "style": style,
                 "kind": "emoji", "group": thing % 9, "tier": "A", "source": style, "name": f"{thing}",
                 "keywords_en": [], "keywords_zh": [], "caption_ar": f"ar {thing}", "caption_hi": f"hi {thing}"} | names
            )  # fmt: skip
    images.append(drawing(999, 0))
    rows.append(rows[0] | {"i": len(rows), "code": "", "caption_en": "drawn once", "kind": "icon", "group": -1})
    return SpriteSet(np.stack(images), rows)


@pytest.fixture(scope="module")
def found(sprites: SpriteSet) -> Drawer:
    return drawer(sprites.rows)


@pytest.fixture(scope="module")
def recogniser(sprites: SpriteSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    train_drawer_recogniser(RECIPE, sprites, folder / "run", folder / "weights", str)
    return folder / "weights"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    return open_words(write_toy_weights(tmp_path_factory.mktemp("words")))


@pytest.fixture(scope="module")
def network() -> DrawerDenoiser:
    return toy_denoiser(64).requires_grad_(False)


@pytest.fixture(scope="module")
def questions(found: Drawer) -> Questions:
    return Questions(found, [thing.key for thing in found.things])


def real(sprites: SpriteSet, *which: int) -> Tensor:
    return premultiplied(straight_pixels(sprites, which))


# What is asked


def test_no_question_shows_its_answer(questions: Questions, found: Drawer) -> None:
    """References are other drawings of the thing in other styles, no held-out cell; the style is another thing's."""
    asks = questions.trained(40) + questions.cells(40) + questions.things(40)
    assert {ask.kind for ask in asks} == {"trained", "cell", "thing"}
    for ask in asks:
        assert ask.target in ask.thing.drawings
        assert ask.target not in ask.references
        assert len(ask.references) == MOST
        assert not {*ask.references, ask.shown_style} & found.cells
        assert all(found.styles[i] != ask.style for i in ask.references)
        assert ask.shown_style not in ask.thing.drawings
        assert found.styles[ask.shown_style] == ask.style
        assert ask.text == f"{ask.thing.caption}, {ask.style} style"


def test_what_is_held_out_is_asked_apart(questions: Questions, found: Drawer) -> None:
    """Trained things and styles, held-out styles of trained things, held-out things."""
    assert all(ask.thing.key not in found.heldout and ask.target not in found.cells for ask in questions.trained(60))
    assert {ask.target for ask in questions.cells(1000)} == found.cells
    assert {ask.thing.key for ask in questions.things(1000)} == found.heldout


def test_few_questions_are_the_first_of_many(questions: Questions, found: Drawer) -> None:
    """A set does not depend on how much is asked, and a fresh list is the same."""
    again = Questions(found, [thing.key for thing in found.things])
    assert questions.trained(5) == again.trained(20)[:5]
    assert questions.languages(4)[1]["ja"] == again.languages(9)[1]["ja"][:4]


def test_other_words_ask_for_the_same_picture(questions: Questions) -> None:
    """Languages and wordings change the words and nothing else."""
    plain, unseen = questions.wordings(6)
    english, foreign = questions.languages(6)
    assert len(foreign) == 10
    for first, others in ((plain, [unseen]), (english, list(foreign.values()))):
        for other in others:
            assert [(a.target, a.references, a.seed) for a in first] == [
                (b.target, b.references, b.seed) for b in other
            ]
            assert all(a.text != b.text for a, b in zip(first, other, strict=True))


def test_a_colour_is_asked_that_the_drawing_does_not_have(questions: Questions, sprites: SpriteSet) -> None:
    """All eleven in turn."""
    measured = looks_when_asked(sprites.images)
    asks = questions.colours(44, measured)
    assert {ask.colour for ask in asks} == set(WORDS)
    for ask in asks:
        assert ask.colour != looks(torch.from_numpy(sprites.images[[ask.target]]))[0].natural
        assert ask.text.startswith(f"{ask.colour} {ask.thing.caption}")


def test_swapped_references_have_nothing_in_common(questions: Questions) -> None:
    """The same words and noise."""
    pairs = questions.swapped(10)
    assert len(pairs) == 10
    for one, two in pairs:
        assert not set(one.references) & set(two.references)
        assert replace(one, references=()) == replace(two, references=())


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("woman cook", "man cook", True), ("three o’clock", "ten-thirty", True), ("new moon", "full moon", True),
        ("full moon", "full moon face", False), ("red apple", "green apple", False), ("mango", "man", False),
        ("family: man, boy", "kiss: woman, man", True), ("person walking: facing right", "woman walking", True),
    ],
)  # fmt: skip
def test_siblings(one: str, two: str, alike: bool) -> None:
    """Only what a word about people, an hour or a phase tells apart."""
    assert (sibling_group(one) == sibling_group(two)) is alike


# What it sees


def test_where_and_how_large_a_thing_lies_does_not_matter(sprites: SpriteSet) -> None:
    """A drawing that is moved and shrunk is described nearly alike; another thing is not; opaque pictures neither."""
    picture = real(sprites, 0)
    small = torch.nn.functional.interpolate(picture + 1, (44, 44), mode="bilinear", antialias=True)
    moved = torch.nn.functional.pad(small, (3, 17, 15, 5)) - 1
    one, again, opaque, other = (
        describe(each, 1.0)[:, :192] for each in (picture, moved, on_ground(picture, 1.0), real(sprites, 8))
    )
    apart = float((one - other).norm())
    assert float((one - again).norm()) < 0.35 * apart
    assert float((one - opaque).norm()) < 0.35 * apart


def test_nothing_at_all_is_described_too() -> None:
    """A clear picture, and one of a single colour, give numbers."""
    for picture in (torch.full((1, 4, 64, 64), -1.0), torch.zeros(1, 3, 64, 64)):
        for ground in GROUNDS:
            assert torch.isfinite(describe(picture, ground)).all()


def test_the_judge_knows_drawings_that_it_never_saw(sprites: SpriteSet, found: Drawer, recogniser: Path) -> None:
    """Of fifty things, and of what was drawn once nothing; its card says so, by group too."""
    model = load(recogniser)
    data = split(found)
    assert len(model.things) == THINGS
    places = sorted(data.kept)
    kept = [data.kept[place] for place in places]
    assert not set(kept) & {i for each in data.train for i in each}
    things, styles = recognise(model, real(sprites, *kept))
    top1 = float((things.argmax(1) == torch.tensor(places)).float().mean())
    assert top1 > 0.8
    card = json.loads((recogniser / "config.json").read_text())
    assert card["accuracy"]["top1"]["value"] == pytest.approx(top1, abs=0.03)
    assert card["accuracy"]["top1"]["pictures"] == THINGS
    assert set(card["by_group"]) > {"all emoji", "food and drink"}
    assert styles.shape == (THINGS, len(STYLES))


def test_a_stopped_training_goes_on_to_the_same_judge(sprites: SpriteSet, recogniser: Path, tmp_path: Path) -> None:
    """Stopped in the middle of the views and again while learning; to the bit."""
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls in (5, 40)

    tries = 0
    while train_drawer_recogniser(RECIPE, sprites, tmp_path / "run", tmp_path / "out", str, stop) is None:
        tries += 1
    assert tries == 2
    assert (tmp_path / "out/model.safetensors").read_bytes() == (recogniser / "model.safetensors").read_bytes()


def test_a_missing_or_damaged_judge_says_what_to_do(recogniser: Path, tmp_path: Path) -> None:
    """How to train one; which folder."""
    with pytest.raises(WeightsMissing, match=r"daguerre train models/recipes/recogniser-drawer\.toml"):
        load(tmp_path)
    (tmp_path / "config.json").write_text((recogniser / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((recogniser / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(WeightsRefused, match=tmp_path.name):
        load(tmp_path)


def test_a_set_without_a_thing_drawn_twice_is_refused(sprites: SpriteSet) -> None:
    """By what to build."""
    with pytest.raises(DataMissing, match="daguerre data build"):
        split(drawer(sprites.rows[-1:]))


def test_verdicts(sprites: SpriteSet, found: Drawer, recogniser: Path, questions: Questions) -> None:
    """The true drawing is right, another thing's is wrong, and colours are those of the pixels."""
    judge = Judge(load(recogniser), found)
    asks = [replace(ask, colour="red") for ask in questions.trained(20)]
    told = shares(judge(asks, real(sprites, *(ask.target for ask in asks))))
    assert (told["top1"].value or 0) > 0.9
    wrong = shares(judge(asks, real(sprites, *(ask.target for ask in asks[1:] + asks[:1]))))
    assert (wrong["top1"].value or 0) < 0.1
    square = torch.full((1, 4, 64, 64), -1.0)
    square[0, :, 10:50, 10:50] = torch.tensor([0.7, -0.6, -0.6, 1.0])[:, None, None]
    assert judge(asks[:1], square)[0].colour == "red"


def test_straight_undoes_premultiplied(sprites: SpriteSet) -> None:
    """Within a step of 8 bits where it can be seen."""
    pixels = torch.from_numpy(sprites.images[:4])
    again = straight(real(sprites, 0, 1, 2, 3))
    seen = pixels[..., 3] > 128
    assert int((again.int() - pixels.int()).abs()[seen].max()) <= 2


# How pictures are drawn


def test_a_picture_depends_on_its_own_seed_alone(
    network: DrawerDenoiser, words: Words, sprites: SpriteSet, questions: Questions
) -> None:
    """Neither on its batch nor on its place in it; another seed or other references give another one."""
    asks = questions.trained(5)
    paint = drawer_painter(network, words, sprites, DrawerSampling(3), batch=2)
    drawn = paint(asks)
    alone = drawer_painter(network, words, sprites, DrawerSampling(3), batch=8)([asks[3]])
    assert torch.allclose(drawn[3], alone[0], atol=0.02)
    others = paint([replace(asks[3], seed=1), asks[3].bare()])
    assert float((others - drawn[3]).abs().amax((1, 2, 3)).min()) > 0.02
    assert (drawn[:, :3] <= drawn[:, 3:] + 1e-6).all()
    assert paint([]).shape == (0, 4, 64, 64)


def test_guidance_of_one_is_the_network_itself(
    network: DrawerDenoiser, words: Words, sprites: SpriteSet, questions: Questions
) -> None:
    """x̂ = x̂(words and drawings) where both guidances are 1, x̂(drawings) where the words' is 0."""
    asks = questions.trained(2)
    given = context(network, words, sprites.images, asks)
    noise = torch.stack([torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(ask.seed)) for ask in asks])
    with torch.no_grad():
        told = network(noise.repeat(3, 1, 1, 1), torch.ones(6), given)
        for references, text, rows in ((1.0, 1.0, slice(4, 6)), (1.0, 0.0, slice(2, 4)), (0.0, 0.0, slice(0, 2))):
            drawn = sample(network, given, [ask.seed for ask in asks], DrawerSampling(1, references, text))
            assert torch.allclose(drawn, told[rows], atol=1e-4)


def test_the_solver_reaches_what_the_network_always_says(network: DrawerDenoiser) -> None:
    """Of a network that has one answer, any number of steps gives that answer."""
    answer = torch.randn(1, 4, 16, 16)

    class Sure:
        channels, latent = network.channels, network.latent

        def __call__(self, noisy: Tensor, time: Tensor, given: Any) -> Tensor:
            return answer.expand(len(noisy), -1, -1, -1)

    for steps in (1, 2, 7):
        drawn = sample(Sure(), None, [1, 2], DrawerSampling(steps))  # type: ignore[arg-type]
        assert torch.allclose(drawn, answer.expand(2, -1, -1, -1), atol=1e-5)


def test_drawings_of_another_size_are_refused(network: DrawerDenoiser, words: Words) -> None:
    """By what to build."""
    with pytest.raises(DataMissing, match="--size 64"):
        drawer_painter(network, words, SpriteSet(np.zeros((2, 32, 32, 4), np.uint8), []), DrawerSampling())


# Copies


def test_copies_are_found_wherever_they_lie(sprites: SpriteSet) -> None:
    """Moved, mirrored and softened; an average of two drawings is none; the true drawing may be left out."""
    drawings = Drawings(sprites.images[:160])
    picture = real(sprites, 16)
    moved = torch.nn.functional.pad(picture[:, :, 2:, :-3] + 1, (3, 0, 0, 2)) - 1
    mixed = (picture + real(sprites, 40)) / 2
    near = nearest(torch.cat([picture, moved, moved.flip(-1), mixed]), drawings)
    assert [each.first for each in near[:3]] == [16, 16, 16]
    assert [each.copied for each in near] == [True, True, True, False]
    assert copies(near).right == 3
    without = nearest(picture, drawings, [list(range(16, 24))])[0]
    assert without.first not in range(16, 24)
    assert not without.copied


def test_a_drawing_that_two_sets_share_is_one_drawing(sprites: SpriteSet) -> None:
    """The second nearest is the next other drawing, so that taking over what stands twice is a copy, too."""
    images = np.concatenate([sprites.images[:80], sprites.images[:80]])
    near = nearest(real(sprites, 3), Drawings(images))[0]
    assert near.first % 80 == 3
    assert near.second % 80 != 3
    assert near.copied


# The whole


def test_an_evaluation_measures_every_figure(
    network: DrawerDenoiser, words: Words, sprites: SpriteSet, found: Drawer, recogniser: Path, tmp_path: Path
) -> None:
    """With every key, an interval for each share, sheets and a report; what nobody gave is named as missing."""
    card = json.loads((recogniser / "config.json").read_text())
    material = DrawerMaterial(sprites, found, Judge(load(recogniser), found), card)
    paint = drawer_painter(network, words, sprites, DrawerSampling(2))
    result = evaluate_drawer("toy", paint, material, DrawerPlan(each=6, few=4, kid=8), tmp_path, str)
    assert set(result) == {"kind", "details", *drawer_figures.NAMES}
    assert result == json.loads((tmp_path / "evaluation.json").read_text())
    assert result["drawable"] == len(found.trained()) - 1
    sets = result["details"]["sets"]
    assert sets["trained, the true drawing"]["top1"]["value"] > 0.6
    assert sets["thing"]["top1"]["pictures"] == 6
    assert len([name for name in sets if name.startswith("in ")]) == 11
    assert 0 <= result["copies"] <= 1
    assert result["swap"] > 0
    assert result["details"]["intervals"]["cell_top5"][1] < 1 or result["cell_top5"] == 1
    assert {line.split(":")[0] for line in result["details"]["missing"]} == {"kid", "weights before"}
    report = (tmp_path / "EVALUATION.md").read_text()
    assert "| held-out thing, top-5 |" in report
    for file in ("trained", "cell", "thing", "colour", "nearest", "swap"):
        assert f"![evaluation-{file}.webp]" in report
        with Image.open(tmp_path / f"evaluation-{file}.webp") as sheet:
            assert sheet.width > 500


def test_other_words_are_drawn_as_they_are_served(
    network: DrawerDenoiser, words: Words, sprites: SpriteSet, found: Drawer, recogniser: Path, tmp_path: Path
) -> None:
    """Where there is a bank, its search says which words and drawings a prompt in other words becomes."""

    @dataclass(frozen=True)
    class Answer:
        text: str
        ids: tuple[str, ...]

    class Search:
        asked: ClassVar[list[tuple[str, str]]] = []

        def shown(self, prompt: str, style: str, seed: int) -> Answer:
            self.asked.append((prompt, style))
            return Answer(f"thing 7, {style} style", ("noto/7", "blob/7", f"style:{style}/9"))

    drawn: list[Question] = []
    paint = drawer_painter(network, words, sprites, DrawerSampling(1))

    def noted(asks: Sequence[Question]) -> Tensor:
        drawn.extend(asks)
        return paint(asks)

    material = DrawerMaterial(sprites, found, Judge(load(recogniser), found), {}, finder=Search())
    evaluate_drawer("toy", noted, material, DrawerPlan(each=2, few=2, kid=4), tmp_path, str)
    unseen = [ask for ask in drawn if ask.kind == "wording"]
    assert len(unseen) == 2
    for ask in unseen:
        assert ask.text == f"thing 7, {ask.style} style"
        assert [sprites.rows[i]["source"] for i in (*ask.references, ask.shown_style)] == ["noto", "blob", ask.style]
    assert all("style" not in prompt for prompt, _ in Search.asked)
    assert {ask.kind for ask in drawn if ask.references[1:2] == ()} <= {"trained", "cell", "thing"}


def test_a_quick_look_at_a_denoiser_in_training(
    network: DrawerDenoiser, sprites: SpriteSet, recogniser: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command reads what a training exports and what a build wrote, and tells the same figures each time."""
    with SpriteWriter(tmp_path / "sprites64", 64, {}) as writer:
        for picture, row in zip(sprites.images, sprites.rows, strict=True):
            writer.add(picture, {key: value for key, value in row.items() if key != "i"})
        writer.commit("all", {})
        writer.finish({})
    export_denoiser(network, tmp_path / "denoiser")
    assert draws_from_drawings(tmp_path / "denoiser")
    assert not draws_from_drawings(tmp_path)
    words = write_toy_weights(tmp_path / "words")
    told = []
    for _ in range(2):
        main(
            [str(tmp_path / "denoiser"), "--sprites", str(tmp_path / "sprites64"), "--recogniser", str(recogniser),
             "--words", str(words), "--each", "3", "--steps", "2", "--sheet", str(tmp_path / "sheet.png")]
        )  # fmt: skip
        told.append([line for line in capsys.readouterr().out.splitlines() if "top1" in line])
    assert told[0] == told[1]
    assert [line.split(" top1 ")[0].strip() for line in told[0]] == [
        "trained thing", "held-out cell", "held-out thing", "trained thing, without refs",
        "held-out cell, without refs", "held-out thing, without refs", "colour",
    ]  # fmt: skip
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500


def test_weights_of_another_version_are_refused(network: DrawerDenoiser, tmp_path: Path) -> None:
    """A part too many or too few would draw something else without a word."""
    export_denoiser(network, tmp_path / "denoiser")
    file = tmp_path / "denoiser/unet/diffusion_pytorch_model.safetensors"
    content = load_file(file)
    content["further.weight"] = torch.zeros(1)
    save_file(content, file, {"format": "pt"})
    with pytest.raises(WeightsRefused, match=r"further\.weight"):
        open_denoiser(tmp_path / "denoiser")
    with pytest.raises(WeightsMissing, match="nothing"):
        open_denoiser(tmp_path / "nothing")


def test_what_ships_is_found_without_being_named() -> None:
    """Both recognisers, and the weights that read words and that new ones are compared with."""
    assert (command.RECOGNISER / "model.safetensors").is_file()
    assert (pipelines.RECOGNISER / "model.safetensors").is_file()
    assert (command.BEFORE / "model_index.json").is_file()


def test_weights_are_better_where_a_figure_clearly_rose() -> None:
    """Beyond both intervals; never with a figure lost, more copies, other questions or another judge."""

    def measured(top5: float, colour: float = 0.5, copied: float = 0.0, questions: str = "a") -> dict[str, Any]:
        spread = {
            name: [value - 0.05, value + 0.05] for name, value in (("thing_top5", top5), ("colour", colour))
        }  # fmt: skip
        details = {"intervals": spread, "questions": questions, "recogniser": "r"}
        return drawer_figures.blank() | {"thing_top5": top5, "colour": colour, "copies": copied, "details": details}

    old = measured(0.3)
    assert better(old, measured(0.5)).better
    assert not better(old, measured(0.38)).better
    assert not better(old, measured(0.5, colour=0.3)).better
    assert not better(old, measured(0.5, copied=0.1)).better
    assert not better(old, measured(0.5, questions="b")).better
    assert not better({"suite": 0.7, "details": {}}, measured(0.9)).better
