"""The operator's window: queue, dead letters, reviews, settings and rules, by hand in a real browser and by the API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from queuekit import state, until
from studiokit import Studio, chromium, paint, seeded, studio, tab
from webkit import Client, api, worker

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import RenderRefused
from daguerre.queue.options import QueueOptions
from daguerre.queue.records import JobState, Rendered
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.worker.settings import JobContext

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    options = QueueOptions(max_queued_per_member=50)
    async with open_queue(options, tmp_path_factory.mktemp("operate")) as queue, studio(queue) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(house: Studio) -> AsyncIterator[Client]:
    async with api(house.queue) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def refuse(request: ImageRequest, context: JobContext) -> Rendered:
    raise RenderRefused("unrenderable", "never")


async def test_the_queue_is_seen_and_steered(house: Studio, browser: Browser) -> None:
    """Places, pause and resume, cancel, the worker with its heartbeat, charts, a dead job tried again."""
    queue = house.queue
    async with tab(browser, house, "/operate") as page:
        await page.click("#pause")
        await expect(page.locator("#paused")).to_have_text("The queue is paused.")
        assert queue.paused
        tickets = [
            await queue.submit(
                image_request(prompt="private words", seed=n, width=64, height=64), key=f"op{n}", member=str(n),
                server="1", reply={"kind": "discord"},
            )
            for n in (1, 2)
        ]  # fmt: skip
        rows = page.locator("#jobs tbody tr")
        await expect(rows).to_have_count(2)
        assert [await rows.nth(n).locator("td").first.inner_text() for n in (0, 1)] == ["1", "2"]
        await rows.nth(1).get_by_role("button", name="Cancel").click()
        await expect(rows).to_have_count(1)
        async with worker(queue, refuse):
            await page.click("#pause")
            await expect(page.locator("#workers tbody tr")).to_contain_text("painter")
            await expect(page.locator("#dead tbody tr")).to_contain_text("cannot render")
        assert "private words" not in await page.content()
        async with worker(queue, paint):
            await page.locator("#dead").get_by_role("button", name="Try again").click()
            await state(queue, tickets[0].job, JobState.RENDERED)
        await expect(page.locator("#charts canvas")).to_have_count(3)
        await page.select_option("#over", "day")
        await expect(page.locator("#charts canvas")).to_have_count(3)
    told = [entry.action for entry in await queue.moderation.audit.entries("")]
    assert told == ["queue.pause", "queue.resume"]
    assert "queue.retry" in [entry.action for entry in await queue.moderation.audit.entries("1")]


async def test_figures_count_what_happened(house: Studio, client: Client) -> None:
    """Asked, drawn and broken jobs, waiting and device time stand in the span in which they happened."""
    told = await (await client.get("/api/v1/queue/statistics?over=hour")).json()
    assert len(told["at"]) == 60
    assert (sum(told["asked"]), sum(told["drawn"]), sum(told["broken"]), sum(told["cancelled"])) == (2, 1, 1, 1)
    assert sum(told["seconds"]) == pytest.approx(0.3)
    assert any(wait is not None and wait >= 0 for wait in told["waited"])


async def test_a_held_picture_is_decided_once(house: Studio, browser: Browser, client: Client) -> None:
    """The card shows it on a press; Show releases it, for the job table and whoever follows; twice is refused."""
    queue = house.queue
    (job,) = await seeded(queue, 1, prompt="held dog", member="5", server="3", reply={"kind": "discord"})
    await queue.moderation.store.mark(job.id, review="held")
    report, _ = await queue.moderation.reports.file("3", job.id, "review", "daguerre")
    heard: list[tuple[int, str, str]] = []
    queue.moderation.reports.on_settled.append(lambda report, action, who: heard.append((report.number, action, who)))
    async with tab(browser, house, "/operate") as page:
        card = page.locator(f"[data-report='{report.number}']")
        await expect(card).to_contain_text("held dog")
        await card.get_by_role("button", name="Show it").click()
        await until(lambda: card.locator("img").evaluate("(image) => image.naturalWidth"), 10)
        await card.locator("[data-decide=release]").click()
        await expect(card).to_have_count(0)
    assert (await queue.moderation.store.marks(job.id)).review == "released"
    assert heard == [(report.number, "release", "studio")]
    assert (await client.post(f"/api/v1/reviews/{report.number}/release")).status == 409
    assert (await client.get(f"/api/v1/pictures/{job.id}/1")).status == 200


async def test_settings_and_rules_keep_their_history(house: Studio, browser: Browser) -> None:
    """What is saved holds at once, stands in history and log, and a rule's text is shown as it is, never as markup."""
    queue = house.queue
    async with tab(browser, house, "/operate/servers/3") as page:
        await page.fill("[name=steps]", "12")
        await page.fill("[name=styles]", "noto, blob")
        await page.click("#settings .primary")
        await expect(page.locator("text=null → 12")).to_be_visible()
        settings = await queue.server_settings.get("3")
        assert (settings.steps, settings.styles, settings.size) == (12, frozenset({"noto", "blob"}), None)
        await page.fill("[name=pattern]", "<b onclick=alert(1)>")
        await page.click("#rule .primary")
        await expect(page.locator("tbody code", has_text="<b onclick=alert(1)>")).to_be_visible()
        assert await page.locator("b[onclick]").count() == 0
        await page.locator("[data-remove='1']").click()
        await until(lambda: _no_rules(house), 10)
        await expect(page.locator("text=rule.remove")).to_be_visible()
        await expect(page.locator("text=The chain of entries is whole.")).to_be_visible()


async def _no_rules(house: Studio) -> bool:
    return await house.queue.moderation.store.rules("3") == ()
