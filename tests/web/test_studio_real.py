"""The studio as a stranger finds it: the real `daguerre serve` without a token, its shipped weights, a real browser."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from servekit import Running
from studiokit import chromium, need_chromium

#: Where screenshots are kept, by hand, for the README: a folder.
KEPT = os.environ.get("STUDIO_SHOTS", "")


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Running]:
    need_chromium()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGUERRE_", "DISCORD_"))}
    data = {"DAGUERRE_STORAGE__DATA_DIR": str(tmp_path / "data"), "DAGUERRE_WEB__PORT": "0"}
    running = Running(tmp_path, {**kept, **data, "DAGUERRE_QUEUE__ACK_WAIT_SECONDS": "4"})
    running.start()
    try:
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.process.terminate()
            await asyncio.to_thread(running.process.wait)


async def opened(serving: Running) -> str:
    """The address that the start ends with."""
    lines = await serving.until(lambda: [line for line in serving.log().splitlines() if line.startswith("Open ")])
    return str(lines[-1]).removeprefix("Open ")


async def kept(page: Page, name: str) -> None:
    if KEPT:
        await page.screenshot(path=f"{KEPT}/{name}.png")


async def page_of(browser: Browser, address: str) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    page = await context.new_page()
    await page.goto(address)
    return page


async def test_a_start_without_any_token_ends_in_a_strangers_picture(serving: Running) -> None:
    """Within 60 seconds of the page being ready somebody has a picture of their own words, and it can be proved."""
    async with chromium() as browser:
        page = await page_of(browser, await opened(serving))
        await expect(page.locator("#state.good")).to_be_visible(timeout=60_000)
        began = asyncio.get_running_loop().time()
        await page.fill("#prompt", "a red apple --seed 5")
        await kept(page, "first")
        await page.press("#prompt", "Enter")
        await expect(page.locator(".preview")).to_be_visible(timeout=60_000)
        await kept(page, "preview")
        await expect(page.locator(".tile img")).to_be_visible(timeout=60_000)
        assert asyncio.get_running_loop().time() - began < 60
        image = page.locator(".tile img")
        assert await image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 256
        await kept(page, "ask")
        await page.locator("a.frame").click()
        await page.click("#reproduce")
        await expect(page.locator("#verdict.good")).to_contain_text("Identical", timeout=60_000)
        await kept(page, "picture")


@pytest.mark.slow
async def test_a_control_that_is_killed_comes_back_while_one_watches(serving: Running) -> None:
    """The page says that it waits, and shows the picture once the server is there again, without a reload."""
    address = await opened(serving)
    async with chromium() as browser:
        page = await page_of(browser, address)
        await page.fill("#prompt", "two cats --n 4 --steps 60")
        await page.press("#prompt", "Enter")
        await expect(page.locator(".request")).to_be_visible()
        serving.environment["DAGUERRE_WEB__PORT"] = address.rpartition(":")[2].strip("/")
        serving.kill()
        await expect(page.locator("#state.bad")).to_be_visible(timeout=20_000)
        await expect(page.locator(".how")).to_contain_text("does not answer")
        serving.start()
        await expect(page.locator(".tile img")).to_have_count(4, timeout=150_000)
