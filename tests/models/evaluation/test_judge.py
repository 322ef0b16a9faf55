"""From a scene to cells and back, and from what was found to right or wrong."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from daguerre.models.data.colours import WORDS
from daguerre.models.data.scene import Kind, Scene, Thing
from daguerre.models.evaluation.corruption import corrupt
from daguerre.models.evaluation.judge import right
from daguerre.models.evaluation.recogniser import COLOURS, Found, Maps, Recogniser, fit, found
from daguerre.models.evaluation.targets import detection_loss, targets

PLACES = {"apple": 0, "cat": 1, "star": 2}


def scene(kind: Kind, *things: Thing, aspect: float = 1.0) -> Scene:
    return Scene(kind, things, aspect=aspect)


SCENES = [
    scene("single", Thing(0, "cat", x=0.05, y=-0.02, scale=0.9)),
    scene("colour", Thing(0, "star", "purple", scale=0.85)),
    scene("two", Thing(0, "apple", x=-0.5, y=0.1, scale=0.45), Thing(1, "star", x=0.5, y=-0.2, scale=0.4)),
    scene(
        "count",
        *(Thing(0, "apple", x=x, y=y, scale=0.35) for x in (-0.6, 0.6) for y in (-0.6, 0.6)),
        Thing(0, "apple", scale=0.3),
    ),
]


def perfect(scenes: list[Scene], height: int = 64, width: int = 64) -> Maps:
    """What a faultless network would say."""
    truth = targets(scenes, PLACES, height, width)
    centre = torch.where(truth.heat == 1, 8.0, -8.0)[:, None]
    concepts = 20 * torch.nn.functional.one_hot(truth.concept, 3).permute(0, 3, 1, 2).float()
    colours = 20 * torch.nn.functional.one_hot(truth.colour, COLOURS).permute(0, 3, 1, 2).float()
    return Maps(centre, concepts, truth.box, colours)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 96), (96, 64)])
def test_perfect_maps_give_the_scene_back(height: int, width: int) -> None:
    """Number, concepts, places, sizes and colours; whatever the shape of the picture."""
    model = Recogniser(list(PLACES), (8, 8, 8, 8))
    seen = found(model, perfect(SCENES, height, width), min(height, width))
    for wanted, things in zip(SCENES, seen, strict=True):
        assert len(things) == len(wanted.things)
        for thing in wanted.things:
            nearest = min(things, key=lambda f: (f.x - thing.x) ** 2 + (f.y - thing.y) ** 2)
            assert nearest.concept == thing.concept
            assert (nearest.x, nearest.y, nearest.side) == pytest.approx((thing.x, thing.y, thing.scale), abs=1e-3)
            if thing.colour:
                assert nearest.colour == thing.colour
        assert right(wanted, things)


def test_the_loss_is_least_at_the_truth() -> None:
    """Each part rises when its map is wrong, and only that part."""
    truth = targets(SCENES, PLACES, 64, 64)
    maps = perfect(SCENES)
    at_truth = detection_loss(maps, truth)
    wrong = {
        "centre": dataclasses.replace(maps, centre=-maps.centre),
        "concept": dataclasses.replace(maps, concepts=maps.concepts.roll(1, 1)),
        "box": dataclasses.replace(maps, box=maps.box + 1),
        "colour": dataclasses.replace(maps, colours=maps.colours.roll(1, 1)),
    }
    for name, changed in wrong.items():
        loss = detection_loss(changed, truth)
        assert loss[name] > 2 * at_truth[name] + 0.1
        assert all(torch.equal(loss[other], at_truth[other]) for other in loss if other != name)


def see(concept: str, x: float = 0.0, y: float = 0.0, colour: str = "red") -> Found:
    return Found(concept, 0.9, x, y, 0.5, colour)


def test_judging_by_kind() -> None:
    """What makes a picture right, and each way in which it is not."""
    cat, left, right_of = Thing(0, "cat"), Thing(0, "cat", x=-0.5), Thing(1, "star", x=0.5)
    assert right(scene("single", cat), [see("cat"), see("star")])
    assert not right(scene("single", cat), [see("star"), see("cat")])
    assert not right(scene("single", cat), [])
    blue = scene("colour", Thing(0, "cat", "blue"))
    assert right(blue, [see("cat", colour="blue")])
    assert not right(blue, [see("cat", colour="red")])
    assert not right(blue, [see("star", colour="blue")])
    green = scene("colour", Thing(0, "red apple", "green"))
    assert right(green, [see("green apple", colour="green")])
    assert not right(scene("single", Thing(0, "red apple")), [see("green apple", colour="green")])
    three = scene("count", *[cat] * 3)
    assert right(three, [see("cat"), see("cat"), see("star")])
    assert not right(three, [see("cat")] * 2)
    assert not right(three, [see("cat")] * 4)
    assert not right(three, [see("star"), see("star"), see("cat")])
    two = scene("two", left, right_of)
    assert right(two, [see("star"), see("cat")])
    assert not right(two, [see("star"), see("star")])
    assert not right(scene("two", left, Thing(1, "cat")), [see("cat")])
    beside = scene("position", left, right_of)
    assert right(beside, [see("star", x=0.4), see("cat", x=-0.4)])
    assert not right(beside, [see("star", x=-0.4), see("cat", x=0.4)])
    assert not right(beside, [see("star", x=0.02), see("cat", x=-0.02)])
    above = scene("position", Thing(0, "cat", y=-0.5), Thing(1, "star", y=0.5))
    assert right(above, [see("star", y=0.4), see("cat", y=-0.4)])
    assert not right(above, [see("star", x=0.4), see("cat", x=-0.4)])


def test_pictures_of_any_size_are_made_to_fit() -> None:
    """The shorter side becomes 64; what fits already is left alone."""
    small = torch.zeros(1, 3, 64, 96)
    assert fit(small) is small
    assert fit(torch.zeros(1, 3, 128, 128)).shape == (1, 3, 64, 64)
    assert fit(torch.zeros(1, 3, 56, 80)).shape == (1, 3, 64, 96)


def test_corruption_keeps_what_a_scene_says() -> None:
    """A red disc stays red and stays where it is; chances come from outside alone."""
    picture = torch.ones(3, 64, 64)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = (x - 20) ** 2 + (y - 40) ** 2 < 14**2
    picture[0, disc], picture[1, disc], picture[2, disc] = 0.7, -0.7, -0.7

    def made() -> torch.Tensor:
        return corrupt(picture.repeat(24, 1, 1, 1), random.Random(1), torch.Generator().manual_seed(1))

    worse = made()
    assert torch.equal(worse, made())
    assert worse.abs().max() <= 1
    assert (worse - picture).abs().flatten(1).mean(1).max() > 0.02
    redness = (worse[:, 0] - worse[:, 1:].mean(1)).clamp(min=0)
    total = redness.sum((1, 2))
    assert ((redness * x).sum((1, 2)) / total - 20).abs().max() < 3
    assert ((redness * y).sum((1, 2)) / total - 40).abs().max() < 3
    core = worse[:, :, 36:44, 16:24].mean((2, 3))
    assert bool((core[:, 0] > core[:, 1] + 0.8).all())
    assert len(WORDS) + 1 == COLOURS
