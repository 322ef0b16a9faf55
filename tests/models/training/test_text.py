"""The text stage at toy size: what is taught, what is kept for the examination, and that it is learnt."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from modelkit import interrupted_after
from torch.nn import functional

from daguerre.models.data.languages import LANGUAGES
from daguerre.models.data.scene import Scene, Thing
from daguerre.models.errors import TrainingError
from daguerre.models.training import teacher
from daguerre.models.training.corpus import Corpus, build_corpus, text_tokenizer
from daguerre.models.training.lexicon import Lexicon, Unseen, emojibase_rows, lexicon, plain
from daguerre.models.training.meaning import HEADS, UNSAID, Vocabulary, caption_loss, contrast_loss
from daguerre.models.training.networks import TEXT_LENGTH
from daguerre.models.training.progress import Lines
from daguerre.models.training.text import TextRecipe, load_encoder, pooled, train_text
from daguerre.models.training.textreport import text_report
from daguerre.models.training.tokenizer import tokenize, tokenize_split

ROWS: list[dict[str, Any]] = [
    {"caption_en": "red apple", "caption_zh": "红苹果", "caption_fr": "pomme rouge", "keywords_en": ["fruit"]},
    {"caption_en": "cat", "caption_zh": "猫", "caption_fr": "chat", "keywords_en": ["kitty", "pet"]},
    {"caption_en": "dog", "caption_zh": "狗", "caption_fr": "chien", "keywords_en": ["pet", "小猫和小狗"]},
    {"caption_en": "automobile", "caption_zh": "汽车", "caption_fr": "voiture", "keywords_en": ["vehicle"]},
    {"caption_en": "boots with furry cats", "keywords_en": []},
]
ALIASES = {"cat": (("kitten",), ("小猫",)), "automobile": (("car",), ())}
UNSEEN = Unseen(["kitty", "小猫", "automobile", "furry cat"])
COLOURS = {None: "", "red": "red ", "blue": "blue "}
TOY = TextRecipe(
    width=48, layers=1, vocabulary=400, captions=16, pairs=4, words=4, steps=6, warmup=2, short=8, rate=3e-3, split=0.1
)


def draw(choose: random.Random) -> tuple[str, Scene]:
    """Two coloured things, one beside the other, said in either order; or one thing by any of its names."""
    names = {"cat": "cat", "dog": "dog", "automobile": "car", "red apple": "apple"}
    if choose.random() < 0.2:
        concept = choose.choice(["cat", "automobile"])
        return f"a {choose.choice((concept, 'kitty', names[concept]))}", Scene("single", (Thing(0, concept),))
    one, two = choose.sample(sorted(names), 2)
    left, right = (Thing(0, c, choose.choice((None, "red", "blue")), x=x) for c, x in ((one, -0.5), (two, 0.5)))
    said = [f"a {COLOURS[thing.colour]}{names[thing.concept]}" for thing in (left, right)]
    turned = choose.random() < 0.5
    text = f"{said[1]} right of {said[0]}" if turned else f"{said[0]} left of {said[1]}"
    return text, Scene("position", (right, left) if turned else (left, right))


@pytest.fixture(scope="module")
def words() -> Lexicon:
    return lexicon(ROWS, ALIASES, UNSEEN)


@pytest.fixture(scope="module")
def corpus(words: Lexicon) -> Corpus:
    """As the real one, the vectors given: three words, each at its concept."""
    prototypes = functional.normalize(torch.randn(len(words.concepts), 512, generator=torch.manual_seed(0)), dim=1)
    taught = {"puppy": "dog", "feline": "cat", "猫咪": "cat"}
    vectors = torch.stack([prototypes[words.concepts.index(concept)] for concept in taught.values()])
    return Corpus(
        words, draw, UNSEEN, words=tuple(taught), vectors=vectors.half(), prototypes=prototypes, favoured=("cat",)
    )


@pytest.fixture(scope="module")
def vocabulary(words: Lexicon) -> Vocabulary:
    return Vocabulary({concept: i for i, concept in enumerate(words.concepts)}, {"noto": 0})


@pytest.fixture(scope="module")
def tokenizer(corpus: Corpus) -> Any:
    return text_tokenizer(corpus, 400, random.Random(0), captions=200)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Kitty", True), ("a red kitty on a blue background", True), ("kittys", True), ("kitten", False),
        ("一只可爱的小猫，红色背景", True), ("猫", False), ("Automobile’s wheel", True), ("automobiles", True),
        ("automobil", False), ("boots with furry cats", True), ("cat", False), ("", False),
    ],
)  # fmt: skip
def test_a_wording_of_the_examination_is_found_inside_a_text(text: str, held: bool) -> None:
    """Whole words in scripts with spaces, plurals included; anywhere in Chinese; whatever the case."""
    assert UNSEEN.holds(text) is held


def every_text(corpus: Corpus, batches: int = 150) -> set[str]:
    texts: set[str] = set()
    for step in range(batches):
        choose = random.Random(step)
        texts |= {text for text, _ in corpus.captions(8, choose)}
        texts |= {name.text for pair in corpus.pairs(8, choose) for name in pair}
        texts |= set(corpus.framed(8, choose)[0])
    return texts


def test_no_training_text_holds_a_wording_of_the_examination(corpus: Corpus) -> None:
    """Though captions, names and keywords offer them: without the rule they come."""
    texts = every_text(corpus)
    assert len(texts) > 40
    assert not [text for text in texts if UNSEEN.holds(text)]
    assert not [word for word, _ in corpus.lexicon.keywords if UNSEEN.holds(word)]
    nothing = Unseen([])
    careless = dataclasses.replace(corpus, lexicon=lexicon(ROWS, ALIASES, nothing), unseen=nothing)
    assert {"a kitty", "小猫", "automobile"} <= every_text(careless)


def test_captions_that_all_hold_such_a_wording_are_an_error(corpus: Corpus) -> None:
    """Instead of a loop without end."""
    hopeless = dataclasses.replace(corpus, caption=lambda choose: ("a kitty", Scene("single", (Thing(0, "cat"),))))
    with pytest.raises(TrainingError, match="list"):
        hopeless.captions(2, random.Random(0))


def test_a_lexicon_has_every_language_and_leaves_out_what_is_examined() -> None:
    """A concept stays while it has a name left; clip art without translations gives words, not concepts."""
    row = {"caption_en": "sun", "keywords_en": ["star"]} | {
        f"caption_{language}": f"sun {language}" for language in LANGUAGES
    }
    found = lexicon([row, *ROWS], ALIASES, UNSEEN)
    assert {name.language for name in found.names if name.concept == "sun"} == {"en", *LANGUAGES}
    assert found.of("automobile", "en") == ("car",)
    assert found.of("cat", "zh") == ("猫",)
    assert "boots with furry cats" not in found.concepts
    assert ("fruit", "en") in found.keywords


def test_emojibase_names_the_emoji_in_its_languages(request: pytest.FixtureRequest) -> None:
    """The real package, where it has been fetched: every language, for nearly every emoji."""
    folder = request.config.rootpath / "runs" / "data" / "packages" / "emojibase-data-17.0.0"
    if not folder.is_dir():
        pytest.skip("emojibase is not in runs/data/packages: scripts/start data build fetches it")
    found = lexicon(emojibase_rows(folder), {}, Unseen(["automobile"]))
    counts = {language: sum(name.language == language for name in found.names) for language in LANGUAGES}
    assert all(counts[language] > 1_500 for language in set(LANGUAGES) - {"ar", "tr", "id", "fa"}), counts
    assert "automobile" not in {name.text for name in found.names}


def test_things_are_ordered_by_place_and_not_by_mention(vocabulary: Vocabulary) -> None:
    """Left comes before right and upper before lower; without a place either order is right."""
    apple, car = Thing(0, "red apple", "red", x=-0.5), Thing(1, "automobile", "blue", x=0.5)
    one, same = vocabulary.targets(Scene("position", (apple, car)), "")
    two, _ = vocabulary.targets(Scene("position", (car, apple)), "")
    assert one == two == same
    swapped, _ = vocabulary.targets(Scene("position", (dataclasses.replace(apple, x=0.9), car)), "")
    assert swapped != one
    either = vocabulary.targets(Scene("two", (apple, car)), "")
    assert either == tuple(reversed(vocabulary.targets(Scene("two", (car, apple)), "")))
    assert either[0] != either[1]
    upper, _ = vocabulary.targets(Scene("position", (dataclasses.replace(car, x=-0.5, y=0.9), apple)), "")
    assert upper[0] == vocabulary.concepts["red apple"]
    assert upper[HEADS.index("relation")] != one[HEADS.index("relation")]


def test_counts_and_unsaid_styles(vocabulary: Vocabulary) -> None:
    """Things of one kind and colour are counted; a style counts where the caption names it."""
    scene = Scene("count", tuple(Thing(i, "cat", x=i / 4) for i in range(3)), "red", style="noto")
    silent, _ = vocabulary.targets(scene, "three cats on red")
    said, _ = vocabulary.targets(scene, "three cats on red, noto style")
    assert silent[HEADS.index("count 1")] == 3
    assert silent[HEADS.index("concept 2")] == len(vocabulary.concepts)
    assert silent[HEADS.index("style")] == UNSAID
    assert said[HEADS.index("style")] == 0


def test_the_better_of_two_orders_is_the_loss(vocabulary: Vocabulary) -> None:
    """Logits that are sure of the second order cost nothing where both are right, and much where only the first is."""
    orders = torch.tensor(vocabulary.targets(Scene("two", (Thing(0, "cat", "red"), Thing(0, "dog", "blue"))), ""))[
        :, None
    ]
    sure = [
        20 * functional.one_hot(orders[1, :, i].clamp(min=0), count).float()
        for i, count in enumerate(vocabulary.classes())
    ]
    loss, right = caption_loss(sure, orders)
    assert loss < 0.01
    assert right.all()
    loss, right = caption_loss(sure, orders[:1].expand(2, -1, -1))
    assert loss > 20
    assert not right[0, HEADS.index("concept 1")]


def test_contrast_pulls_translations_together_and_spares_twins() -> None:
    """Aligned pairs cost less than shuffled ones; two pairs of one concept are no mistake."""
    vectors = torch.randn(8, 16, generator=torch.manual_seed(1))
    same = torch.arange(8)
    assert contrast_loss(vectors, vectors, same) < 0.5 * contrast_loss(vectors, vectors.roll(1, 0), same)
    doubled = torch.cat([vectors, vectors])
    confused = contrast_loss(doubled, doubled, torch.arange(16))
    assert contrast_loss(doubled, doubled, same.repeat(2)) < confused - 0.3


def test_words_are_cut_into_pieces_repeatably(tokenizer: Any) -> None:
    """Without cuts as the pipeline does it; with cuts the same text in more pieces, the same ones for a seed."""
    texts = ["a red apple left of a blue car", "红苹果在左边", "pomme rouge", "kitten", ""]
    assert torch.equal(tokenize_split(tokenizer, texts, random.Random(0), 0.0, TEXT_LENGTH), tokenize(tokenizer, texts))
    cut = tokenize_split(tokenizer, texts, random.Random(3), 1.0, 8)
    assert torch.equal(cut, tokenize_split(tokenizer, texts, random.Random(3), 1.0, 8))
    whole = tokenize_split(tokenizer, texts, random.Random(3), 0.0, 8)
    assert (cut > 1).sum() > (whole > 1).sum()
    read = tokenizer.batch_decode(cut, skip_special_tokens=True)
    assert [text.replace(" ", "") for text in read] == [text.replace(" ", "") for text in texts]


def test_any_language_is_read_without_loss(tokenizer: Any) -> None:
    """Byte-level: scripts that no training text had come back whole."""
    for text in ("кот", "고양이", "りんご", "แมว", "बिल्ली", "قطة", "گربه", "🍎 été"):
        read = tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)
        assert read.replace(" ", "") == plain(text).replace(" ", "")


def test_a_stopped_run_goes_on_to_the_same_bits(
    corpus: Corpus, vocabulary: Vocabulary, tokenizer: Any, tmp_path: Path
) -> None:
    """Weights, moments and chances come back; the encoder is written once it is done, and can be read."""
    quiet = Lines(report=str)
    whole, _ = train_text(TOY, corpus, vocabulary, tokenizer, tmp_path / "whole", quiet)
    train_text(TOY, corpus, vocabulary, tokenizer, tmp_path / "parts", quiet, interrupted_after(3))
    assert not (tmp_path / "parts" / "text.safetensors").exists()
    parts, _ = train_text(TOY, corpus, vocabulary, tokenizer, tmp_path / "parts", quiet)
    again = load_encoder(TOY, len(tokenizer), tmp_path / "parts" / "text.safetensors")
    for one, two, three in zip(whole.parameters(), parts.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(two, three)


@pytest.fixture(scope="module")
def learnt(corpus: Corpus, vocabulary: Vocabulary, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small encoder that has learnt the toy world."""
    recipe = dataclasses.replace(TOY, width=96, layers=2, steps=600, warmup=10, captions=24, split=0.02)
    return train_text(recipe, corpus, vocabulary, tokenizer, tmp_path_factory.mktemp("learnt"), Lines(report=str))


def test_an_encoder_that_goes_on_learns_and_stays_with_what_it_said(
    learnt: Any, corpus: Corpus, vocabulary: Vocabulary, tokenizer: Any, tmp_path: Path
) -> None:
    """Held to its states of plain captions it moves far less there than unheld, and the rest is learnt all the same."""
    before, _ = learnt
    state = {name: value.clone() for name, value in before.state_dict().items()}
    recipe = dataclasses.replace(TOY, width=96, layers=2, steps=40, warmup=4, captions=24, seed=5)
    tokens = tokenize(tokenizer, ["a cat", "a car", ""])
    moved, losses = [], []
    for weight in (0.0, 50.0):
        told = Lines(report=str)
        told.step = lambda stage, step, steps, scalars: losses.append(scalars["captions"])  # type: ignore[method-assign]
        after, _ = train_text(
            dataclasses.replace(recipe, anchor=weight), corpus, vocabulary, tokenizer, tmp_path / f"{weight}", told,
            begun=before,
        )  # fmt: skip
        with torch.no_grad():
            moved.append((after(tokens)[0] - before(tokens)[0]).square().mean().item())
        # The heads begin anew, so the captions' loss falls only where something is learnt.
        assert losses[-1] < 0.6 * losses[0]
        losses.clear()
    assert 0 < moved[1] < 0.3 * moved[0]
    assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())


def test_binding_is_learnt(learnt: Any, vocabulary: Vocabulary, tokenizer: Any) -> None:
    """Which thing has which colour and lies where: the swap is told apart, the turned sentence is not."""
    encoder, examiner = learnt
    texts = ["a red dog left of a blue car", "a blue car right of a red dog", "a blue car left of a red dog",
             "a blue dog left of a red car"]  # fmt: skip
    with torch.no_grad():
        logits = examiner.said(pooled(encoder, tokenize(tokenizer, texts)))
    said = torch.stack([each.argmax(1) for each in logits], 1)[:, :5].tolist()
    dog, car = vocabulary.concepts["dog"], vocabulary.concepts["automobile"]
    red, blue = 1, 5
    assert said[0] == said[1] == [dog, red, 1, car, blue]
    assert said[2] == [car, blue, 1, dog, red]
    assert said[3] == [dog, blue, 1, car, red]


def test_names_words_and_translations_find_their_concept(
    learnt: Any, corpus: Corpus, vocabulary: Vocabulary, tokenizer: Any
) -> None:
    """A taught name in another language, a word that only the teacher knew, and an honest figure for what is unseen."""
    encoder, examiner = learnt
    figures = text_report(
        encoder, examiner, tokenizer, corpus, vocabulary,
        {"en": {"kitty": "cat", "puppies": "dog"}, "zh": {"小猫": "cat"}}, draw, captions=60, report=str,
    )  # fmt: skip
    assert figures["retrieval"] == {"fr": 1.0, "zh": 1.0}
    assert figures["binding"]["concept 1"] > 0.9
    assert set(figures["answers"]) == {"kitty", "puppies", "小猫"}
    assert 0 <= figures["synonyms_all"]["en"] <= 1
    assert figures["cut"] == 0
    json.dumps(figures, allow_nan=True)
    with torch.no_grad():
        found = examiner.concepts(pooled(encoder, tokenize(tokenizer, list(corpus.words)))).argmax(1).tolist()
    assert found == [vocabulary.concepts[concept] for concept in ("dog", "cat", "cat")]


def test_a_loss_that_is_no_number_stops_the_run(
    corpus: Corpus, vocabulary: Vocabulary, tokenizer: Any, tmp_path: Path
) -> None:
    """It says what to change, and leaves no encoder behind."""
    wild = dataclasses.replace(TOY, rate=1e30, steps=20)
    with pytest.raises(TrainingError, match="rate"):
        train_text(wild, corpus, vocabulary, tokenizer, tmp_path, Lines(report=str))
    assert not (tmp_path / "text.safetensors").exists()


def test_vectors_are_computed_once(tmp_path: Path) -> None:
    """A stopped run keeps its files; the next one asks for the rest only, and the one after that for nothing."""
    asked: list[str] = []

    def encode(texts: list[str]) -> Any:
        asked.extend(texts)
        return torch.tensor([[len(text)] * 512 for text in texts])

    texts = [f"text {i}" for i in range(teacher.SHARD + 5)]
    teacher.teach(texts, tmp_path, encode, report=str, stop=interrupted_after(1))
    assert len(asked) == teacher.SHARD
    taught = teacher.teach([*texts, "text 1"], tmp_path, encode, report=str)
    assert asked == texts
    assert taught.of(["text 3", texts[-1]])[:, 0].tolist() == [6, len(texts[-1])]
    again = teacher.teach(texts[:3], tmp_path, lambda texts: pytest.fail("asked again"), report=str)
    assert torch.equal(again.vectors, taught.vectors)
    (tmp_path / "vectors-00000.safetensors").write_bytes(b"cut")
    with pytest.raises(TrainingError, match="Delete"):
        teacher.teach(texts, tmp_path, encode, report=str)


def test_the_teacher_knows_translations(tmp_path: Path, words: Lexicon) -> None:
    """The real one: a cat is nearer to 猫 than to a car; its cache comes back, and is refused by another version."""
    if not teacher.installed():
        pytest.skip(f"{teacher.PACKAGE} is not installed")
    texts = ["cat", "猫", "chat", "automobile"]
    taught = teacher.teach(texts, tmp_path, report=str)
    cat, chinese, _, car = taught.of(texts)
    assert cat @ chinese > 0.6 > cat @ car
    assert torch.equal(teacher.teach(texts, tmp_path, report=str).vectors, taught.vectors)
    listed = teacher.vocabulary()
    assert len(listed) > 50_000
    assert {"voiture", "сердца", "chien"} <= set(listed)
    about = tmp_path / "vectors-00000.json"
    about.write_text(about.read_text().replace('"version": "', '"version": "9'))
    with pytest.raises(TrainingError, match="teacher 9"):
        teacher.teach(texts, tmp_path, report=str)


def test_a_corpus_is_built_with_the_teachers_words_and_without_the_examined_ones(
    words: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words near to one concept are kept; those of the examination are never even shown to the teacher."""
    if not teacher.installed():
        pytest.skip(f"{teacher.PACKAGE} is not installed")
    monkeypatch.setattr(
        "daguerre.models.training.corpus.vocabulary", lambda: ["puppy", "kitty", "小猫", "because", "cats"]
    )
    built = build_corpus(words, draw, UNSEEN, tmp_path, examined=0.5, favoured=("cat", "unicorn"), report=str)
    assert {"puppy", "cats"} <= set(built.words)
    assert "because" not in built.words
    assert not [word for word in built.words if UNSEEN.holds(word)]
    assert not {"kitty", "小猫"} & {
        text for file in tmp_path.glob("*.json") for text in json.loads(file.read_text())["texts"]
    }
    assert built.favoured == ("cat",)
    assert built.prototypes.shape == (len(words.concepts), 512)
    hidden = {name.text for name in built.examined}
    assert hidden
    assert not hidden & {
        name.text for step in range(50) for pair in built.pairs(4, random.Random(step)) for name in pair
    }
