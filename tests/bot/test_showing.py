"""Pictures that moderators decided about are shown by no way round them: the ways that were open, one by one.

tests/bot/test_leaks.py walks every component and command; here each known way stands by itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from botkit import told, until
from moderationkit import House, Scene
from standin.records import SeenMessage
from standin.tracks import InteractionRecord

from daguerre.queue.errors import InvalidRequest
from daguerre.queue.records.jobs import Job
from daguerre.queue.records.requests import Source, image_request
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("moderationfixtures",)
#: One loop for all, as they share a bot.
pytestmark = pytest.mark.asyncio(loop_scope="module")


def public(scene: Scene) -> list[SeenMessage]:
    """What everybody in the studio sees: messages with pictures."""
    return [seen for seen in scene.standin.messages(scene.studio) if seen.attachments and seen.viewer_id is None]


async def answered(record: InteractionRecord) -> SeenMessage:
    """How a press ends: a picture or a refusal, whichever comes."""

    def end() -> SeenMessage | None:
        seen = record.followups[-1] if record.followups else record.current
        return None if seen is None or seen.thinking else seen

    return await until(end)


async def in_dm(scene: Scene, prompt: str = "a red rocket", **more: Any) -> Job:
    """A picture that Ada has made in a direct message."""
    dm = scene.standin.dm(scene.ada)
    asked = await scene.standin.slash(scene.ada.user, dm, "imagine", prompt=prompt, **more)
    await asked.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1)
    await told(scene.queue)
    return await scene.job()


async def album(scene: Scene) -> SeenMessage:
    opened = await scene.do(scene.ada, "history")
    return await opened.wait_for(lambda seen: bool(seen.components) and not seen.thinking)


@pytest.mark.parametrize("by", ["rule", "score"])
async def test_a_held_picture_is_not_to_be_had_from_the_history(house: House, by: str) -> None:
    """Neither in the gallery nor by its button, until a moderator has released it."""
    scene = await house.scene()
    if by == "rule":
        await scene.say(scene.mona, "rules add", pattern="rocket", action="hold")
    scene.easel.score = 0.95 if by == "score" else 0.01
    asked = await scene.do(scene.ada, "imagine", prompt="a red rocket")
    await asked.wait_for(lambda seen: "waits for a moderator" in seen.content)
    await told(scene.queue)
    job = await scene.job()
    assert (await album(scene)).attachments == ()
    for action in ("use:", "strong:", "upscale:", "left:", "region:"):
        pressed = await scene.standin.forge(scene.ada, scene.studio, f"daguerre:{action}{job.id}:0".replace("::", ":"))
        seen = await answered(pressed)
        assert (seen.ephemeral, seen.attachments) == (True, ()), action
        assert "moderator" in seen.content, action
    assert public(scene) == []
    assert len(scene.easel.begun) == 1


async def test_a_blurred_picture_stays_blurred(house: House) -> None:
    """By itself, in the gallery, by direct message; and so does what is made of it, whatever its words are."""
    scene = await house.scene()
    await scene.say(scene.mona, "rules add", pattern="rocket", action="spoiler")
    grid = await scene.do(scene.ada, "imagine", prompt="a rocket", count=2)
    await grid.wait_for(lambda seen: bool(seen.attachments))
    await told(scene.queue)
    one = await scene.standin.click(scene.ada, grid, "U1")
    await one.wait_for(lambda seen: bool(seen.attachments))
    assert [file.spoiler for seen in public(scene) for file in seen.attachments] == [True, True]
    assert all(file.spoiler for file in (await album(scene)).attachments)
    form = await scene.standin.click(scene.ada, grid, "V1")
    await form.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1)
    await told(scene.queue)
    varied = await scene.job()
    opener = await scene.standin.forge(scene.ada, scene.studio, f"daguerre:remix:{varied.id}:0")
    remixed = await scene.standin.submit(scene.ada, opener, {"prompt": "a red apple"})
    await remixed.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1)
    # Its file, taken as an image prompt, and that once more with other words.
    menu = await scene.standin.menu(scene.ada, "Use as image prompt", grid)
    begun = await scene.standin.submit(scene.ada, menu, {"prompt": "a green apple"})
    await begun.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1)
    await told(scene.queue)
    opener = await scene.standin.click(scene.ada, begun, "Remix")
    last = await scene.standin.submit(scene.ada, opener, {"prompt": "a yellow apple"})
    await last.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1)
    assert len(public(scene)) == 6
    assert all(file.spoiler for seen in public(scene) for file in seen.attachments)
    scene.standin.react(scene.ada, await grid.message(), "✉️")
    copy = await scene.standin.wait_for_message(scene.standin.dm(scene.ada), lambda seen: bool(seen.attachments))
    assert all(file.spoiler for file in copy.attachments)


@pytest.mark.parametrize("why", ["channel", "banned", "rule", "hold", "age"])
async def test_a_picture_of_elsewhere_goes_by_the_rules_of_here(house: House, why: str) -> None:
    """Made in a direct message and brought up where it could not be asked for: its owner alone sees it."""
    scene = await house.scene()
    job = await in_dm(scene)
    match why:
        case "channel":
            changed = ServerSettings(log_channel=str(scene.log.id), denied_channels=frozenset({str(scene.studio.id)}))
            await scene.queue.server_settings.put(scene.server, changed, "1")
        case "age":
            changed = ServerSettings(log_channel=str(scene.log.id), age_restricted="only")
            await scene.queue.server_settings.put(scene.server, changed, "1")
        case "banned":
            await scene.say(scene.mona, "moderate ban", member=scene.ada)
        case _:
            action = "refuse" if why == "rule" else "hold"
            await scene.say(scene.mona, "rules add", pattern="rocket", action=action)
    pressed = await scene.standin.forge(scene.ada, scene.studio, f"daguerre:use:{job.id}:0")
    seen = await answered(pressed)
    assert seen.ephemeral
    assert public(scene) == []


async def test_a_picture_of_elsewhere_is_moderated_here(house: House) -> None:
    """Shown in a server, it can be reported and deleted there; what was decided holds there and nowhere else."""
    scene = await house.scene()
    job = await in_dm(scene)
    pressed = await scene.standin.forge(scene.ada, scene.studio, f"daguerre:use:{job.id}:0")
    seen = await pressed.wait_for(lambda seen: bool(seen.attachments))
    assert not seen.ephemeral
    menu = await scene.standin.menu(scene.eve, "Report picture", seen)
    assert "Thank you" in (await menu.message()).content
    card = await scene.card("Report")
    await scene.standin.click(scene.mona, card, "Delete")
    await until(lambda: public(scene) == [])
    again = await answered(await scene.standin.forge(scene.ada, scene.studio, f"daguerre:use:{job.id}:0"))
    assert again.ephemeral
    dm = scene.standin.dm(scene.ada)
    there = await scene.standin.forge(scene.ada.user, dm, f"daguerre:use:{job.id}:0")
    await there.wait_for(lambda seen: bool(seen.attachments))


async def test_a_moderator_deletes_any_message_of_the_bot(house: House) -> None:
    """Also one whose picture was made elsewhere, or whose owner was forgotten."""
    scene = await house.scene()
    job = await in_dm(scene)
    pressed = await scene.standin.forge(scene.ada, scene.studio, f"daguerre:use:{job.id}:0")
    seen = await pressed.wait_for(lambda seen: bool(seen.attachments))
    await scene.standin.click(scene.mona, seen, "🗑️")
    await until(lambda: public(scene) == [])


async def test_a_copy_goes_with_its_picture(house: House) -> None:
    """What U1 posted is taken away too when moderators take the picture away."""
    scene = await house.scene()
    grid = await scene.do(scene.ada, "imagine", prompt="a red apple", count=2)
    await grid.wait_for(lambda seen: bool(seen.attachments))
    await told(scene.queue)
    await (await scene.standin.click(scene.ada, grid, "U1")).wait_for(lambda seen: bool(seen.attachments))
    assert len(public(scene)) == 2
    await (await scene.standin.menu(scene.eve, "Report picture", grid)).message()
    await scene.standin.click(scene.mona, await scene.card("Report"), "Delete")
    await until(lambda: public(scene) == [])


async def test_the_owner_deletes_what_they_asked_for_after_they_were_forgotten(house: House) -> None:
    """The text of /mydata forget promises it; a stranger still may not."""
    scene = await house.scene()
    asked = await scene.picture(scene.ada, "a secret apple")
    await told(scene.queue)
    question = await scene.do(scene.ada, "mydata forget")
    await question.message()
    await (await scene.standin.click(scene.ada, question, "Erase everything")).message()
    stranger = await answered(await scene.standin.click(scene.eve, asked, "🗑️"))
    assert stranger.ephemeral
    assert len(public(scene)) == 1
    await scene.standin.click(scene.ada, asked, "🗑️")
    await until(lambda: public(scene) == [])


async def test_a_member_cannot_begin_from_anothers_picture(house: House) -> None:
    """Whatever asks: a name in the picture store is a right only for those who may see what it names."""
    scene = await house.scene()
    await scene.picture(scene.ada, "a red apple")
    await told(scene.queue)
    theirs = (await scene.job()).pictures[0]
    request = image_request(prompt="an apple", seed=1, source=Source(picture=theirs))
    for member, server in (("local", "local"), (str(scene.eve.id), scene.server)):
        with pytest.raises(InvalidRequest) as refused:
            await scene.queue.submit(request, key=f"{member}-{theirs}", member=member, server=server, reply={})
        assert refused.value.field == "source"
    await scene.queue.submit(request, key=f"own-{theirs}", member=str(scene.ada.id), server=scene.server, reply={})
