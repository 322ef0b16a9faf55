"""The studio in a real Chromium: Debian's own, driven by Playwright, on the real queue and a worker that paints."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from PIL import Image, ImageDraw
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from daguerre.app.finishing import digest_of_pixels
from daguerre.bot.text import LOCALES
from daguerre.queue.control.queue import Queue
from daguerre.queue.errors import RenderRefused
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records import ImageRequest, Job, Rendered
from daguerre.queue.records.requests import image_request
from daguerre.queue.texts import Texts
from daguerre.queue.worker.settings import JobContext
from daguerre.web.options import WebOptions
from daguerre.web.server import make_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
WORDS = ["a", "red", "blue", "green", "yellow", "on", "noto", "two", "background"]
VOCABULARY = Vocabulary(["apple", "dog", "alarm clock", "star"], ["apple", "dog", "star", "alarm clock", "dogs"], WORDS)


def need_chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium here, so the studio was NOT looked at in a browser (apt-get install chromium)")
    return CHROMIUM


def drawn(request: ImageRequest, seed: int) -> Image.Image:
    """A disc whose colour and place follow from the seed."""
    picture = Image.new("RGB", (request.width, request.height), "white")
    colour = (seed * 37 % 200, seed * 91 % 200, seed * 53 % 200)
    ImageDraw.Draw(picture).ellipse((8, 8, request.width - 8, request.height - 8 - seed % 20), fill=colour)
    return picture


def file_of(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


async def paint(request: ImageRequest, context: JobContext) -> Rendered:
    """Step by step, with previews, as the engine does."""
    if request.prompt == "refused dog":
        raise RenderRefused("unrenderable", "never")
    pictures = [drawn(request, seed) for seed in request.seeds]
    for step in range(1, 4):
        await context.progress(step, 4, file_of(pictures[0].resize((32, 32)), "JPEG"))
        await asyncio.sleep(0.5)
    files = tuple(file_of(picture) for picture in pictures)
    return Rendered(files, {"model": "discs", "pixels": [digest_of_pixels(each) for each in pictures]}, 0.3)


@dataclass
class Studio:
    """A server, and what was asked of it."""

    queue: Queue
    server: TestServer

    def at(self, path: str = "/") -> str:
        return str(self.server.make_url(path))


@asynccontextmanager
async def studio(queue: Queue, **more: Any) -> AsyncIterator[Studio]:
    options = more.pop("options", WebOptions(max_changes_per_minute=0))
    app = make_app(queue, options, texts=Texts(LOCALES), vocabulary=VOCABULARY, **more)
    async with TestServer(app) as server:
        yield Studio(queue, server)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = need_chromium()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--no-proxy-server"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(browser: Browser, studio: Studio, path: str = "/", **looks: Any) -> AsyncIterator[Page]:
    """A page in a context of its own. Whatever it complains about fails the test, but for refusals of the API."""
    looks.setdefault("viewport", {"width": 1280, "height": 800})
    context: BrowserContext = await browser.new_context(**looks)
    context.set_default_timeout(30_000)
    complaints: list[str] = []
    try:
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(studio.at(path))
        yield page
    finally:
        await context.close()
    refused = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
    assert [each for each in complaints if not refused.match(each)] == []


async def serious(page: Page) -> list[str]:
    """What axe-core holds against the page, seriously; evaluated, since the page's policy lets no script in."""
    await page.evaluate(AXE)
    told: dict[str, Any] = json.loads(await page.evaluate("axe.run().then((result) => JSON.stringify(result))"))
    return [
        f"{found['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for found in told["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"][:3]
    ]


async def seeded(
    queue: Queue, number: int, *, prompt: str = "a red apple", member: str = "local", server: str = "local",
    reply: dict[str, Any] | None = None, **fields: Any,
) -> Sequence[Job]:  # fmt: skip
    """Jobs with a picture each, straight in the table, as if they had been drawn."""
    table, pictures = queue._table, queue._pictures

    async def one(place: int) -> Job:
        request = image_request(**{"prompt": prompt, "seed": place, "width": 64, "height": 64, **fields})
        key = f"seed {prompt} {member} {server} {place} {fields}"
        where = {"key": key, "member": member, "server": server, "reply": reply or {"kind": "web"}}
        ticket = await table.add(request, **where)
        names = await pictures.put(ticket.job.id, [file_of(drawn(request, seed)) for seed in request.seeds])
        done = await table.rendered(ticket.job.id, pictures=names, metadata={"model": "discs"}, seconds=0.1, attempts=1)
        assert done is not None
        return done

    made: list[Job] = []
    # Together, so that they share their waits for the disk; ids are given in this order.
    for start in range(0, number, 200):
        made += await asyncio.gather(*(one(place) for place in range(start, min(number, start + 200))))
    return made
