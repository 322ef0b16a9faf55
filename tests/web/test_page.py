"""The page at /: what it is served with, and what a person does with it in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browserkit import CHROMIUM, Page, browser
from webkit import Client, api, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.web.page import FILES, FOLDER


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path / "queue") as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as client:
        yield client


@pytest.fixture
async def page(client: Client, tmp_path: Path) -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here, so the page was NOT looked at in a browser (apt-get install chromium)")
    async with browser(tmp_path / "profile") as page:
        await page.open(str(client.make_url("/")))
        yield page


async def test_every_file_is_served_and_nothing_else_may_run(client: Client) -> None:
    """No script but ours and none inline, no frame around the page; strangers' host names are refused as in the API."""
    for path in FILES:
        async with client.get(path) as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<script(?![^>]*src=)|\son\w+=|style=", text) is None
    async with client.get("/", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403


async def test_a_person_draws_by_keyboard(page: Page, queue: Queue) -> None:
    """Tab, words, Enter: steps are told, the picture comes with its alternative text and can be saved."""
    async with worker(queue):
        await page.until("document.body.className === 'good'")
        await page.press("Tab", 9)
        assert await page.run("document.activeElement.id") == "prompt"
        await page.type("a red apple")
        await page.press("Enter", 13)
        await page.until("document.getElementById('picture').naturalWidth > 0")
        assert await page.run("document.getElementById('picture').alt") == "a red apple"
        assert await page.run("document.getElementById('save').download.endsWith('.png')")
        assert await page.run("document.getElementById('draw').disabled") is False
    assert page.complaints == []


async def test_a_phone_shows_all_of_it(page: Page, queue: Queue) -> None:
    """360 pixels wide: nothing to scroll sideways for, and the button is large enough for a thumb."""
    await page.resize(360, 740)
    assert await page.run("document.documentElement.scrollWidth") <= 360
    assert await page.run("document.getElementById('draw').getBoundingClientRect().height") >= 44


async def test_without_worker_the_page_says_so_and_a_wait_can_be_ended(page: Page, queue: Queue) -> None:
    """A job that waits is told as waiting; Cancel ends it."""
    await page.until("document.body.className === 'wait'")
    await page.run("document.getElementById('prompt').value = 'a pizza'")
    await page.run("document.getElementById('form').requestSubmit()")
    await page.until("document.getElementById('told').textContent.startsWith('waiting')")
    await page.run("document.getElementById('cancel').click()")
    await page.until("document.getElementById('told').textContent.includes('cancelled')")
    assert (await queue.counts()).get("cancelled") == 1


async def test_a_refusal_is_shown(page: Page, queue: Queue) -> None:
    """What the model cannot render is told in the words of the API."""
    async with worker(queue):
        await page.run("document.getElementById('prompt').value = 'refused'")
        await page.run("document.getElementById('form').requestSubmit()")
        await page.until("document.getElementById('told').textContent.includes('cannot render')")
        assert await page.run("document.getElementById('told').className") == "bad"
