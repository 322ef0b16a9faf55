"""The gallery and the picture's page: found, paged, filtered, shown as the gate allows, and made again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, expect
from queuekit import state
from studiokit import Studio, chromium, paint, seeded, studio, tab
from webkit import Client, api, worker

from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records import JobState
from daguerre.queue.store import Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    options = QueueOptions(max_queued_per_member=50)
    async with open_queue(options, tmp_path_factory.mktemp("gallery")) as queue, studio(queue) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(house: Studio) -> AsyncIterator[Client]:
    async with api(house.queue) as found:
        yield found


async def listed(client: Client, **query: Any) -> dict[str, Any]:
    answer = await client.get("/api/v1/pictures", params={name: str(value) for name, value in query.items()})
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_pages_follow_a_key_and_filters_choose(house: Studio, client: Client) -> None:
    """Newest first, none twice, none left out, however many; prompt, member, server, style and favourites choose."""
    queue = house.queue
    mine = [job.id for job in await seeded(queue, 90, prompt="a red apple")]
    theirs = await seeded(queue, 5, prompt="Ein BLAUER Hund 狗_%", member="7", server="1", style="noto")
    found: list[str] = []
    page = await listed(client, limit=30)
    while True:
        found += [each["job"] for each in page["pictures"]]
        if page["next"] is None:
            break
        page = await listed(client, limit=30, before=page["next"])
    assert found == [*(job.id for job in theirs[::-1]), *mine[::-1]]
    await queue.members.like("local", mine[3], 0)
    for query, number in (
        ({"q": "blauer"}, 5), ({"q": "狗_%"}, 5), ({"q": "b_auer"}, 0), ({"member": "7"}, 5), ({"server": "1"}, 5),
        ({"style": "noto"}, 5), ({"favourite": 1}, 1), ({"q": "apple", "member": "7"}, 0), ({"until": 5}, 0),
    ):  # fmt: skip
        assert len((await listed(client, limit=100, **query))["pictures"]) == number, query


@pytest.mark.parametrize(
    "marks", [{"review": "held"}, {"review": "rejected"}, {"deleted": True}, {"hidden": True}, "private"]
)
async def test_what_may_not_be_shown_is_not_there(house: Studio, client: Client, marks: Any) -> None:
    """404 at every address of it, not in the list, not among the relatives; its reviewers see it on its card."""
    reply = {"kind": "discord", "private": marks == "private"}
    (job,) = await seeded(house.queue, 1, prompt=f"secret {marks}", member="9", server="2", reply=reply)
    (child,) = await seeded(house.queue, 1, prompt=f"open {marks}", member="9", server="2", reply={"kind": "discord"})
    await house.queue.members.link(Origin(child.id, job.id, 0, "strong"))
    address = f"/api/v1/pictures/{job.id}/1"
    if marks != "private":
        assert (await client.get(address)).status == 200
        await house.queue.moderation.store.mark(job.id, **marks)
    for path in (
        address,
        f"{address}/file",
        f"{address}/thumb",
        f"/pictures/{job.id}/1",
        f"{address}/compare/{child.id}",
    ):
        assert (await client.get(path)).status == 404, path
    for action in ("strong", "again", "reproduce"):
        assert (await client.post(f"{address}/{action}")).status == 404
    assert job.id not in {each["job"] for each in (await listed(client, q=f"secret {marks}"))["pictures"]}
    about = await (await client.get(f"/api/v1/pictures/{child.id}/1")).json()
    assert [(each["job"], each["shown"]) for each in about["parents"]] == [(job.id, False)]
    if marks == {"review": "held"}:
        report, _ = await house.queue.moderation.reports.file("2", job.id, "review", "daguerre")
        seen = await client.get(f"/api/v1/reviews/{report.number}/pictures/1")
        assert (seen.status, seen.headers["Cache-Control"]) == (200, "no-store")


async def test_files_in_every_format(house: Studio, client: Client) -> None:
    """PNG as stored or bare, WebP, SVG, a sticker with its ground away; each asks the gate anew, also for a 304."""
    (job,) = await seeded(house.queue, 1, prompt="formats")
    address = f"/api/v1/pictures/{job.id}/1/file"
    stored = await (await client.get(address)).read()
    assert stored == (await house.queue.pictures(await house.queue.showing.answer(job)))[0]
    bare = Image.open(io.BytesIO(await (await client.get(f"{address}?metadata=0")).read()))
    assert (bare.size, dict(bare.info)) == ((64, 64), {})
    svg = await client.get(f"{address}?format=svg")
    assert svg.headers["Content-Disposition"].endswith('.svg"')
    assert b"<svg" in await svg.read()
    sticker = Image.open(io.BytesIO(await (await client.get(f"{address}?format=sticker")).read()))
    assert (sticker.size, sticker.mode) == ((320, 320), "RGBA")
    assert sticker.getpixel((0, 0))[3] == 0  # type: ignore[index]
    small = await client.get(f"/api/v1/pictures/{job.id}/1/thumb")
    assert small.content_type == "image/webp"
    tagged = {"If-None-Match": small.headers["ETag"]}
    assert (await client.get(f"/api/v1/pictures/{job.id}/1/thumb", headers=tagged)).status == 304
    assert (await client.get(f"{address}?format=exe")).status == 400
    assert (await client.delete(f"/api/v1/pictures/{job.id}")).status == 200
    assert (await client.get(f"/api/v1/pictures/{job.id}/1/thumb", headers=tagged)).status == 404


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def test_the_gallery_grows_as_one_scrolls(house: Studio, browser: Browser) -> None:
    """The next page comes by itself, under its day; searching and a picture's page lead on and back."""
    async with tab(browser, house, "/gallery?q=red+apple") as page:
        await expect(page.locator(".tiles li").first).to_be_visible()
        assert await page.locator(".day h2").all_inner_texts() == ["Today"]
        for _ in range(40):
            await page.keyboard.press("End")
            if await page.locator(".tiles li").count() >= 90:
                break
            await page.wait_for_timeout(100)
        assert await page.locator(".tiles li").count() == 90
        assert await page.locator(".day h2").count() == 1
        await page.fill("[name=q]", "hund")
        await page.press("[name=q]", "Enter")
        await expect(page.locator(".tiles li")).to_have_count(5)
        await page.locator(".tiles a").first.click()
        await expect(page.locator("h1")).to_contain_text("BLAUER Hund 狗_%")


async def test_a_picture_is_made_again_and_proved(house: Studio, browser: Browser) -> None:
    """Reproduce draws what is written there and says that every pixel is the same; another drawer is told apart."""
    queue = house.queue
    async with worker(queue, paint):
        first = await house.queue.submit(
            (await seeded(queue, 1, prompt="a dog"))[0].request, key="proof", member="local", server="local",
            reply={"kind": "web"},
        )  # fmt: skip
        await state(queue, first.job, JobState.RENDERED)
        async with tab(browser, house, f"/pictures/{first.job.id}/1") as page:
            assert "a dog" in await page.locator("#typed").inner_text()
            await page.click("#reproduce")
            await expect(page.locator("#verdict.good")).to_contain_text("Identical")
    again = (await queue.members.last_requests("local"))[0]
    assert again.request == first.job.request
    origin = await queue.members.origin(again.id)
    assert origin is not None
    assert (origin.parent, origin.action) == (first.job.id, "reproduce")


@pytest.mark.slow
async def test_ten_thousand_pictures_scroll_at_interactive_speed(house: Studio, browser: Browser) -> None:
    """A frame while scrolling through the first thousands takes 50 ms at most for nine in ten, and no page a second."""
    await seeded(house.queue, 10_000, prompt="one of many")
    loop = asyncio.get_running_loop()
    async with tab(browser, house, "/gallery?q=one+of+many") as page:
        times: list[float] = []
        for _ in range(60):
            began = loop.time()
            number = await page.locator(".tiles li").count()
            await page.keyboard.press("End")
            while await page.locator(".tiles li").count() == number:
                await page.wait_for_timeout(20)
            times.append(loop.time() - began)
        frames: list[float] = await page.evaluate(
            """() => new Promise((done) => { const found = []; let last = performance.now(), at = 0;
            const frame = (now) => { found.push(now - last); last = now; scrollTo(0, at += 400);
            if (found.length < 240) requestAnimationFrame(frame); else done(found); };
            requestAnimationFrame(frame); })"""
        )
        frames.sort()
        print(f"pages: median {sorted(times)[30]:.3f} s, most {max(times):.3f} s; "
              f"frames: median {frames[120]:.1f} ms, 90 % {frames[216]:.1f} ms, most {frames[-1]:.1f} ms; "
              f"{await page.locator('.tiles li').count()} tiles")  # fmt: skip
        assert frames[216] <= 50
