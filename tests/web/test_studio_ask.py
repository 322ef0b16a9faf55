"""The page at / in a real browser: a stranger asks and sees, by mouse, by keyboard, on a phone, with a picture."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page, Route, expect
from queuekit import until
from studiokit import Studio, chromium, file_of, paint, serious, studio, tab
from studiokit import drawn as drawn_picture
from webkit import worker

from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records import JobState
from daguerre.queue.records.requests import image_request

pytestmark = pytest.mark.asyncio(loop_scope="module")
#: Bytes of the first page with all that it loads.
FIRST_PAGE = 150_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    options = QueueOptions(max_queued_per_member=50)
    weights = Path(__file__).parents[2] / "models/weights/first-light/examples.webp"
    async with open_queue(options, tmp_path_factory.mktemp("ask")) as queue, studio(queue, examples=weights) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def ask(page: Page, words: str) -> None:
    """Ask, and wait until it stands in the channel."""
    await expect(page.locator("#log")).to_have_attribute("aria-busy", "false")
    before = await page.locator(".request").count()
    await page.fill("#prompt", words)
    await page.press("#prompt", "Enter")
    await expect(page.locator(".request")).to_have_count(before + 1)


async def test_a_first_visit_ends_in_a_picture_of_ones_own_words(house: Studio, browser: Browser) -> None:
    """Prompt → preview seen → picture shown; all of the first page is at most 150 KB, and none of it is foreign."""
    sizes: list[int] = []
    async with tab(browser, house, "/healthz") as page:
        page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(house.at("/"))
        await expect(page.locator(".things button")).to_have_count(4)
        await page.wait_for_load_state("networkidle")
        assert sum(sizes) <= FIRST_PAGE
        assert all(each.startswith(house.at("/")) for each in asked)
        await expect(page.locator("#state.wait")).to_be_visible()
        async with worker(house.queue, paint):
            await ask(page, "a red apple --seed 5 --n 2")
            await expect(page.locator(".preview")).to_be_visible()
            await expect(page.locator(".tile img")).to_have_count(2)
            await expect(page.locator("#state.good")).to_be_visible()
        image = page.locator(".tile img").first
        assert await image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 256
        assert "a red apple" in (await page.locator(".tile img").first.get_attribute("alt") or "")
        await page.reload()
        await expect(page.locator(".tile img")).to_have_count(2)


async def test_errors_point_at_their_character_and_words_get_help(house: Studio, browser: Browser) -> None:
    """The sentence and the caret of the bot; an unknown word is offered its nearest, and a press takes it."""
    async with tab(browser, house) as page:
        await page.fill("#prompt", "a red apple --sed 5")
        await expect(page.locator("#trouble")).to_contain_text("There is no flag --sed. Do you mean --seed?")
        lines = (await page.locator("#trouble pre").inner_text()).splitlines()
        assert lines[1].index("^") == lines[0].index("--sed")
        await page.fill("#prompt", "a red aple and a dog")
        await page.locator("#words button", has_text="apple").click()
        assert await page.input_value("#prompt") == "a red apple and a dog"
        await expect(page.locator("#trouble")).to_be_hidden()
        await page.fill("#prompt", "zzzz qqqq")
        await page.press("#prompt", "Enter")
        await expect(page.locator("#trouble")).to_contain_text("I know none of these words")
        await page.fill("#prompt", "a {red, blue, green} {apple, dog}")
        await page.press("#prompt", "Enter")
        await expect(page.locator("#trouble")).to_contain_text("6 requests")


async def test_completion_comes_to_who_typed_before_it_was_there(house: Studio, browser: Browser) -> None:
    """Words typed while the list of things was on its way are completed when it comes, without another key."""
    async with tab(browser, house, path="/gallery") as page:
        there = asyncio.Event()

        async def later(route: Route) -> None:
            await there.wait()
            await route.continue_()

        await page.route("**/api/v1/things", later)
        await page.goto(house.at("/"))
        await page.locator("#prompt").focus()
        await page.keyboard.type("a alarm")
        await expect(page.locator("#suggestions li")).to_have_count(0)
        there.set()
        await expect(page.locator("#suggestions li").first).to_have_text("alarm clock")


async def test_by_keyboard_alone_with_completion(house: Studio, browser: Browser) -> None:
    """Words, flags and things are completed by arrows and Tab; Enter draws; the menu of a picture opens and closes."""
    async with tab(browser, house) as page, worker(house.queue, paint):
        await page.keyboard.type("a alarm")
        await expect(page.locator("#suggestions li").first).to_have_text("alarm clock")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Tab")
        await page.keyboard.type("--sty")
        await page.keyboard.press("ArrowDown")
        named = await page.get_attribute("#prompt", "aria-activedescendant")
        assert named is not None
        await expect(page.locator(f"#{named}")).to_have_attribute("aria-selected", "true")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        assert await page.input_value("#prompt") == "a alarm clock --style "
        await page.keyboard.type("no")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        before = await page.locator(".request").count()
        await page.keyboard.press("Enter")
        await expect(page.locator(".request")).to_have_count(before + 1)
        last = page.locator(".request").last
        await expect(last.locator(".tile img")).to_be_visible()
        for _ in range(120):
            await page.keyboard.press("Shift+Tab")
            if await page.evaluate("document.activeElement.matches('.request:last-child details.menu > summary')"):
                break
        await page.keyboard.press("Enter")
        await expect(last.locator("details.menu > div")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(last.locator("details.menu > div")).to_be_hidden()


async def test_a_part_is_painted_and_drawn_anew(house: Studio, browser: Browser) -> None:
    """The worker gets a mask that is white where the brush was, and the picture; buttons make pictures of pictures."""
    seen: list[tuple[str, bytes]] = []

    async def watch(request, context):  # type: ignore[no-untyped-def]
        if request.source is not None:
            mask = context.sources.get(request.source.mask, b"")
            seen.append((request.source.use, mask))
        return await paint(request, context)

    async with tab(browser, house) as page, worker(house.queue, watch):
        await ask(page, "a red apple --seed 77")
        last = page.locator(".request", has_text="Seed 77")
        await expect(last.locator(".tile img")).to_be_visible()
        await last.locator("[data-action=region]").click()
        box = await page.locator("#region-mask").bounding_box()
        assert box is not None
        await page.click("#region-draw")
        await expect(page.locator("#region-trouble")).to_contain_text("Paint over")
        await page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
        await page.mouse.down()
        await page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"], steps=4)
        await page.mouse.up()
        await page.fill("#region-words", "a yellow star")
        before = await page.locator(".request").count()
        await page.click("#region-draw")
        await expect(page.locator(".request")).to_have_count(before + 1)
        await expect(page.locator(".request").last.locator(".tile img")).to_be_visible()
        await page.locator(".request").last.locator("[data-action=strong]").click()
        await expect(page.locator(".request")).to_have_count(before + 2)
        await expect(page.locator(".request").last.locator(".tile img")).to_be_visible()
    assert [use for use, _ in seen] == ["inpaint", "vary"]
    job = (await house.queue.members.last_requests("local"))[1]
    assert job.request.prompt == "a yellow star"
    assert job.request.source is not None
    mask = Image.open(io.BytesIO(await house.queue.source(job.request.source.mask))).convert("L")
    width, height = mask.size
    assert mask.getpixel((int(0.4 * width), int(0.3 * height))) == 255
    assert mask.getpixel((int(0.8 * width), int(0.8 * height))) == 0
    origin = await house.queue.members.origin(job.id)
    assert origin is not None
    assert origin.action == "region"


async def test_a_picture_is_brought_by_dropping_it(house: Studio, browser: Browser) -> None:
    """It stands above the prompt and is what the job begins from; a file that is no picture is refused in words."""
    async with tab(browser, house) as page:
        data = file_of(drawn_picture(image_request(prompt="x", seed=1, width=96, height=64), 3))
        await page.set_input_files("#file", {"name": "disc.png", "mimeType": "image/png", "buffer": data})
        await expect(page.locator("#attached")).to_contain_text("disc.png")
        before = await page.locator(".request").count()
        await ask(page, "a blue dog")
        await expect(page.locator(".request")).to_have_count(before + 1)
        job = (await house.queue.members.last_requests("local"))[0]
        assert job.request.source is not None
        assert job.request.source.picture.startswith("sources/")
        assert job.request.width > job.request.height
        await expect(page.locator("#attached")).to_be_hidden()
        await page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
        await expect(page.locator("#trouble")).to_contain_text("no picture that I can read")
        await house.queue.cancel(job.id)


async def test_two_tabs_see_the_same_and_a_worker_that_dies_is_told(house: Studio, browser: Browser) -> None:
    """What is asked in one tab stands in the other after a look; without a worker it waits, and comes with the next."""
    async with tab(browser, house) as one, tab(browser, house) as two:
        await ask(one, "a green dog --seed 9")
        request = one.locator(".request").last
        await expect(request.locator(".how")).to_contain_text("waiting")
        await two.reload()
        await expect(two.locator(".request").last).to_contain_text("a green dog")
        begun = asyncio.Event()

        async def dies(request, context):  # type: ignore[no-untyped-def]
            begun.set()
            # Told again and again: steps are lossy, and the tab may not listen yet.
            while True:
                await context.progress(1, 4)
                await asyncio.sleep(0.3)

        async with worker(house.queue, dies):
            await asyncio.wait_for(begun.wait(), 20)
            await expect(request.locator(".how")).to_contain_text("step 1 of 4")
        await expect(request.locator(".how")).to_contain_text("waiting")
        async with worker(house.queue, paint):
            for page in (one, two):
                await expect(page.locator(".request").last.locator(".tile img")).to_be_visible()


async def test_a_wait_can_be_ended_and_a_refusal_is_shown(house: Studio, browser: Browser) -> None:
    """Cancel ends a job that waits; what no worker can render is told in the words of the bot."""
    async with tab(browser, house) as page:
        await ask(page, "a dog")
        await page.locator(".request").last.get_by_role("button", name="Cancel").click()
        await expect(page.locator(".request").last.locator(".how")).to_have_text("cancelled")
        async with worker(house.queue, paint):
            await ask(page, "refused dog")
            await expect(page.locator(".request").last.locator(".how")).to_contain_text("do not fit into the memory")
        job = (await house.queue.members.last_requests("local"))[0]
        await until(lambda: house.queue.job(job.id), 5)
        assert (await house.queue.job(job.id)).state is JobState.FAILED


async def test_a_prompt_is_never_a_part_of_the_page(house: Studio, browser: Browser) -> None:
    """Markup in prompts is shown as it was typed, on every page; nothing of it runs or becomes an element."""
    prompts = ("<img src=x onerror=alert(1)> dog", '"><script>alert(1)</script> dog', "{{7*7}} dog")
    async with tab(browser, house) as page, worker(house.queue, paint):
        alerts: list[str] = []
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        await expect(page.locator("#log")).to_have_attribute("aria-busy", "false")
        before = await page.locator(".request").count()
        for number, prompt in enumerate(prompts):
            await ask(page, prompt.replace("{", "\\{").replace("}", "\\}"))
            request = page.locator(".request").nth(before + number)
            await expect(request.locator("a.frame")).to_be_visible()
            assert prompt in (await request.locator(".tile img").get_attribute("alt") or "")
        for path in (await request.locator("a.frame").get_attribute("href") or "", "/gallery"):
            await page.goto(house.at(path))
            await expect(page.locator("h1").first).to_be_visible()
            assert await page.locator("img[onerror], script:not([src])").count() == 0
            assert prompts[2] in await page.content()
        assert alerts == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
async def test_every_page_suits_everybody(house: Studio, browser: Browser, scheme: str, width: int) -> None:
    """axe-core finds nothing serious, and nothing has to be scrolled sideways, by day and night, on phone and desk."""
    looks = {
        "color_scheme": scheme,
        "viewport": {"width": width, "height": 740},
        "locale": "zh-TW" if width < 500 else "en",
    }
    async with tab(browser, house, **looks) as page:
        await expect(page.locator(".tile img").first).to_be_visible()
        found: dict[str, list[str]] = {}
        address = await page.locator("a.frame").first.get_attribute("href") or ""
        for path in ("/", "/gallery", address, "/operate", "/operate/servers/local"):
            await page.goto(house.at(path))
            await page.wait_for_load_state("networkidle")
            found[path] = await serious(page)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert {path: told for path, told in found.items() if told} == {}
        if width < 500:
            await page.goto(house.at("/"))
            size = await page.locator("#send").bounding_box()
            assert size is not None
            assert size["height"] >= 40
            await page.click("#open-knows")
            await expect(page.locator(".things button").first).to_be_visible()
            await expect(page.locator("#knows h2")).to_have_text("它認識的")
