"""Reports and the cards they become, from a moderator's, a member's and a stranger's hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from botkit import a_bot, a_queue, a_worker, until
from moderationkit import House, Scene, ScoringEasel
from standin.driver import StandIn
from standin.records import SeenMessage
from standin.tracks import InteractionRecord

pytest_plugins = ("moderationfixtures",)
#: One loop for all, as they share a bot.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def reported(scene: Scene) -> tuple[InteractionRecord, SeenMessage]:
    """Ada's picture, reported by Eve; the card."""
    record = await scene.picture(scene.ada, "a red apple")
    menu = await scene.standin.menu(scene.eve, "Report picture", record)
    assert "Thank you" in (await menu.message()).content
    return record, await scene.card("Report")


async def test_a_report_becomes_a_card_with_everything(house: House) -> None:
    """Picture behind a spoiler, prompt, member, who reported; a second report makes no second card."""
    scene = await house.scene()
    record, card = await reported(scene)
    assert f"<@{scene.eve.id}>" in card.content
    assert f"<@{scene.ada.id}>" in card.content
    assert "a red apple" in card.content
    assert record.current is not None
    assert str(record.current.id) in card.content
    assert [file.filename.startswith("SPOILER_") for file in card.attachments] == [True]
    await (await scene.standin.menu(scene.mona, "Report picture", record)).message()
    assert len([seen for seen in scene.standin.messages(scene.log) if "Report" in seen.content]) == 1


@pytest.mark.parametrize("count", [1, 4])
async def test_anybody_reports_by_the_button_and_says_why(house: House, count: int) -> None:
    """Below a single picture and below a grid. The reason is kept and stands on the card as it was typed, harmless."""
    scene = await house.scene()
    record = await scene.do(scene.ada, "imagine", prompt="a red apple", count=count)
    await record.wait_for(lambda seen: bool(seen.attachments))
    more = await scene.standin.click(scene.eve, record, "More")
    pressed = await scene.standin.click(scene.eve, await more.message(), "Report")
    sent = await scene.standin.submit(scene.eve, pressed, {"reason": "it is @everyone\nand **rude**"})
    thanks = await sent.message()
    assert thanks.ephemeral
    assert "Thank you" in thanks.content
    card = await scene.card("Report")
    assert f"<@{scene.eve.id}>" in card.content
    assert r"> it is \@everyone and \*\*rude\*\*" in card.content
    assert card.mentions == ()
    report, new = await scene.queue.moderation.reports.file(scene.server, (await scene.job()).id, "report", "x")
    assert not new
    assert (report.who, report.reason) == (str(scene.eve.id), "it is @everyone and **rude**")


async def test_a_report_button_works_after_restarts(tmp_path: Path) -> None:
    """The picture, the press and the form each meet another process; a later reporter makes no second report."""
    easel = ScoringEasel()
    easel.score = 0.01
    async with StandIn() as standin, a_queue(tmp_path) as queue, a_worker(queue, easel):
        guild = standin.guild("Darkroom")
        studio, ada, eve = guild.channel("studio"), guild.member("Ada"), guild.member("Eve")
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            picture = await asked.wait_for(lambda seen: len(seen.buttons) > 1)
        async with a_bot(standin, queue, tmp_path):
            more = await standin.click(eve, picture, "More")
            pressed = await standin.click(eve, await more.message(), "Report")
            assert (await pressed.modal()).inputs[0].component["component"]["max_length"] == 300
        async with a_bot(standin, queue, tmp_path):
            await (await standin.submit(eve, pressed, {"reason": "rude"})).message()
            (job,) = (await queue.members.history(str(ada.id), 1))[0]
            report, new = await queue.moderation.reports.file(job.server, job.id, "report", "somebody")
            assert (new, report.who, report.reason) == (False, str(eve.id), "rude")
    assert not standin.violations


async def test_hide_and_undo(house: House) -> None:
    scene = await house.scene()
    record, card = await reported(scene)
    await scene.standin.click(scene.mona, card, "Hide")
    await record.wait_for(lambda seen: any(file.filename.startswith("SPOILER_") for file in seen.attachments))
    await until(lambda: "Hidden" in scene.standin.history(card)[-1].content)
    await scene.standin.click(scene.mona, card, "Undo")
    await record.wait_for(lambda seen: any(not file.filename.startswith("SPOILER_") for file in seen.attachments))
    assert (await scene.actions())[-3:] == ["report.open", "report.hidden", "report.open"]


async def test_delete_notice_appeal_and_restore(house: House) -> None:
    """The owner is told by direct message and appeals there; nobody else can; moderators show the picture again."""
    scene = await house.scene()
    record, card = await reported(scene)
    await scene.standin.click(scene.mona, card, "Delete")
    await record.wait_for(lambda seen: "taken this picture away" in seen.content and not seen.attachments)
    notice = await scene.standin.wait_for_message(scene.standin.dm(scene.ada), lambda seen: "mistake" in seen.content)
    pressed = await scene.standin.click(scene.ada.user, notice, "Appeal")
    assert "look at it again" in (await pressed.message()).content
    again = await scene.card("Appeal")
    await scene.standin.click(scene.mona, again, "Show again")
    await record.wait_for(lambda seen: bool(seen.attachments))
    marks = await scene.queue.moderation.store.marks((await scene.job()).id)
    assert not marks.deleted


async def test_ban_from_a_card_and_undo(house: House) -> None:
    scene = await house.scene()
    _, card = await reported(scene)
    await scene.standin.click(scene.mona, card, "Ban for 7 days")
    await until(lambda: "member banned" in scene.standin.history(card)[-1].content)
    assert "may not ask" in (await (await scene.do(scene.ada, "imagine", prompt="an apple")).message()).content
    await scene.standin.click(scene.mona, card, "Undo")
    await until(lambda: "member banned" not in scene.standin.history(card)[-1].content)
    await scene.picture(scene.ada, "an apple")


async def test_a_strangers_press_on_a_card_does_nothing(house: House) -> None:
    """Every button of the card, by the reporter; also a moderator of another server with a forged number."""
    scene = await house.scene()
    record, card = await reported(scene)
    before = (await scene.actions(), await scene.queue.counts())
    for button in ("Hide", "Delete", "Ban for 1 day", "Ban for 7 days", "Allow"):
        pressed = await scene.standin.click(scene.eve, card, button)
        assert (await pressed.ack()).ephemeral
        assert "Manage Messages" in (await pressed.message()).content
    assert (await scene.actions(), await scene.queue.counts()) == before
    assert record.current is not None
    assert len(record.current.attachments) == 1
    assert await scene.queue.moderation.store.bans(scene.server) == []
