"""Prompts as people type them, through the whole bot: emoji, habits of other bots, names that nobody here has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botkit import WORDS, Easel, a_bot, a_worker, png, told
from PIL import Image
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue
from daguerre.queue.prompt.vocabulary import Vocabulary

pytest_plugins = ("botfixtures",)
NUMBER = "123456789012345678"


async def answer(standin: StandIn, who: Member, channel: Channel, **options: Any) -> Any:
    return await (await standin.slash(who, channel, "imagine", options=options)).message(20)


async def test_what_cannot_be_meant_is_answered_with_what_to_use(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """In private, with a mark below the place in what was typed; nothing is queued."""
    asked = [
        ({"prompt": "an apple --v 6"}, "Here --model names a model", "         ^"),
        ({"prompt": "an apple —niji 6"}, "Here --model names a model", "         ^"),
        ({"prompt": "an apple --style raw"}, "--raw draws in one go", "                 ^"),
        ({"prompt": "an apple --iw 2"}, "there is none to begin from", "         ^"),
        ({"prompt": "an apple", "image_weight": 2.0}, "there is none to begin from", ""),
        ({"prompt": "an apple --style moebius"}, "no style moebius. There are: noto", ""),
        ({"prompt": "an apple", "style": "moebius"}, "no style moebius. There are: noto", ""),
        ({"prompt": "an apple --model huge"}, "has a model huge. There are: small, tall", ""),
        ({"prompt": "an apple --lora oil"}, "has a fine-tune oil. There are: ink", ""),
        ({"prompt": "an apple --no " + "x" * 1001}, "behind --no has more than 1000 characters", ""),
    ]
    taught = Vocabulary(["apple"], ["apple"], ["an", "raw", "noto"])
    async with (
        a_worker(queue, easel, models=("small", "tall"), adapters=("ink",)),
        a_bot(standin, queue, tmp_path, taught),
    ):
        for options, words, mark in asked:
            seen = await answer(standin, ada, studio, **options)
            assert words in seen.content, (options, seen.content)
            assert mark in seen.content
            assert "negative" not in seen.content
            assert seen.ephemeral
    assert easel.begun == []


async def test_words_are_looked_up_for_the_model_that_was_taught_them(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """What the first model never saw another one may draw: nothing is refused, or said of it, when that is named."""
    taught = Vocabulary(["apple"], ["apple"], ["an"], "small")
    async with a_worker(queue, easel, models=("small", "tall")), a_bot(standin, queue, tmp_path, taught):
        refused = await answer(standin, ada, studio, prompt="zeppelin --model small")
        assert refused.ephemeral
        asked = await standin.slash(ada, studio, "imagine", prompt="zeppelin --model tall")
        seen = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
        assert "not learnt" not in seen.content
        await told(queue)
    assert [request.model for request in easel.begun] == ["tall"]


async def test_it_is_drawn_as_it_was_meant(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Emoji, flags first, joined dashes; the card says what was typed."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, WORDS):
        for typed, prompt, ratio in (
            ("🍎", "🍎", 1.0),
            ("--ar 3:2 a red apple", "a red apple", 1.5),
            ("a red apple——ar 2:1", "a red apple", 2.0),
        ):
            asked = await standin.slash(ada, studio, "imagine", prompt=typed)
            seen = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
            assert prompt in seen.content
            assert "not learnt" not in seen.content
            request = easel.begun[-1]
            assert (request.prompt, request.width / request.height) == (prompt, pytest.approx(ratio, rel=0.03))
        await told(queue)


async def test_a_custom_emoji_alone_becomes_an_image_prompt(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Whatever it is called; beside words, or with a picture of the member's, it is a word."""
    standin.cdn.emojis[f"{NUMBER}.png"] = png(9, 96, 96)
    moving = io.BytesIO()
    frames = [Image.new("RGB", (48, 48), colour) for colour in ("red", "blue")]
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    standin.cdn.emojis[f"{NUMBER}.gif"] = moving.getvalue()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, WORDS):
        for typed, side in ((f"<:pepeHappy:{NUMBER}> --iw 2", 96), (f"<a:dance:{NUMBER}>", 48)):
            asked = await standin.slash(ada, studio, "imagine", prompt=typed)
            await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
            source = easel.begun[-1].source
            assert source is not None
            assert Image.open(io.BytesIO(await queue._pictures.get(source.picture))).size == (side, side)
        asked = await standin.slash(ada, studio, "imagine", prompt=f"<:pizza:{NUMBER}> on a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
        assert easel.begun[-1].source is None
        await told(queue)
