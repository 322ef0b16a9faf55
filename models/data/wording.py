"""The sentences and small words of captions; each kind keeps at least one sentence for the evaluation alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Templates:
    """Sentences of one kind of scene."""

    seen: tuple[str, ...]
    #: Never used in training.
    unseen: tuple[str, ...]


ENGLISH: Mapping[str, Templates] = {
    "single": Templates(
        ("{name}", "{thing}", "{thing}", "a picture of {thing}", "an emoji of {thing}", "{name} emoji", "{name} icon",
         "draw {thing}"),
        ("an illustration that shows {thing}", "please paint {thing} for me"),
    ),
    "count": Templates(
        ("{things}", "{things}", "a picture of {things}", "{things} together", "draw {things}"),
        ("an illustration that shows {things}",),
    ),
    "position": Templates(
        ("{a} {relation} {b}", "{a} {relation} {b}", "a picture of {a} {relation} {b}"),
        ("an illustration that shows {a} {relation} {b}",),
    ),
    "two": Templates(
        ("{a} and {b}", "{a} and {b}", "{a} with {b}", "a picture of {a} and {b}", "both {a} and {b}"),
        ("an illustration that shows {a} together with {b}",),
    ),
}  # fmt: skip

#: Chinese, without a measure word.
PLAIN_ZH = Templates(("{name}", "{name}", "{name}图标", "{name}表情"), ("关于{name}的插图",))
ZH: Mapping[str, Templates] = {
    "single": Templates(
        ("{counted}", "{counted}", "一张{name}的图片", "画{counted}", "{name}的图"),
        ("请帮我画出{counted}", "关于{name}的插图"),
    ),
    "count": Templates(("{things}", "{things}", "画{things}", "图中有{things}"), ("请帮我画出{things}",)),
    "position": Templates(
        ("{a}在{b}的{relation}", "{a}在{b}{relation}", "{b}的{relation}是{a}", "画{a}在{b}的{relation}"),
        ("请帮我画出{a}位于{b}的{relation}",),
    ),
    "two": Templates(("{a}和{b}", "{a}和{b}", "{a}与{b}", "画{a}和{b}"), ("请帮我画出{a}还有{b}",)),
}

NUMBERS = ("no", "one", "two", "three", "four", "five")
#: Two of a thing is 两, not 二.
NUMBERS_ZH = ("零", "一", "两", "三", "四", "五")

RELATIONS: Mapping[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
RELATIONS_ZH: Mapping[str, tuple[str, ...]] = {
    "left of": ("左边",), "right of": ("右边",), "above": ("上面", "上方"), "below": ("下面", "下方"),
}  # fmt: skip

#: Size → English words, Chinese words.
SIZES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tiny": (("tiny", "very small"), ("很小的", "极小的")),
    "small": (("small",), ("小",)),
    "huge": (("huge", "very big", "big"), ("很大的", "巨大的", "大")),
}

#: Measure words besides 个.
CLASSIFIERS: Mapping[str, str] = {
    concept: word
    for word, concepts in {
        "只": (
            "cat, cat face, dog, dog face, mouse face, rabbit face, rabbit, fox, bear, panda, koala, tiger face, lion, "
            "frog, monkey face, monkey, chicken, rooster, penguin, bird, duck, owl, butterfly, honeybee, lady beetle, "
            "snail, turtle, octopus, crab, dolphin, hamster, wolf, baby chick, hatching chick, eagle, bat, unicorn, "
            "sheep, goat, ant, spider, shrimp, squid, giraffe, zebra, kangaroo, sloth, otter, hedgehog, teddy bear, eye"
        ),
        "头": "cow face, cow, ox, pig face, pig, elephant",
        "匹": "horse, horse face",
        "条": "fish, tropical fish, blowfish, snake, crocodile, whale, spouting whale, shark, jeans, dress",
        "辆": (
            "automobile, bus, taxi, bicycle, fire engine, ambulance, police car, truck, delivery truck, tractor, "
            "racing car, motorcycle, kick scooter"
        ),
        "列": "locomotive",
        "架": "airplane, helicopter",
        "艘": "sailboat, ship, speedboat",
        "枚": "rocket",
        "台": "television, camera",
        "部": "mobile phone",
        "朵": "sunflower, tulip, rose, cherry blossom, hibiscus, blossom, mushroom, cloud",
        "棵": "evergreen tree, deciduous tree, palm tree, cactus, christmas tree, seedling, four leaf clover",
        "片": "maple leaf, snowflake",
        "根": "banana, carrot, ear of corn, hot dog",
        "块": "cheese wedge, pizza, watermelon, cookie, bread",
        "份": "french fries",
        "串": "grapes",
        "本": "books, open book, closed book, notebook",
        "杯": "hot beverage, wine glass, beer mug, cocktail glass, tropical drink",
        "把": "umbrella, key, guitar, hammer, chair, locked",
        "颗": "star, glowing star, red heart, candy, gem stone, strawberry, bomb",
        "座": "house, castle, volcano",
        "顶": "crown, tent",
        "件": "t-shirt",
        "副": "sunglasses",
        "支": "pencil, pen, crayon",
        "封": "envelope",
        "道": "rainbow, high voltage",
        "轮": "crescent moon",
        "团": "fire",
        "位": "santa claus",
    }.items()
    for concept in concepts.split(", ")
}
