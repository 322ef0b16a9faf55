"""Every component that the bot knows, found by reflection: pressed by strangers, and with a restart before each press.

A new kind of button fails here until it has a specimen below.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_worker, told, until
from PIL import Image
from sourcekit import dynamic_items
from standin.driver import StandIn
from standin.records import ClientRefused, SeenMessage
from standin.world import Channel, Member

from daguerre.bot.message.keys import EMOJI, Key
from daguerre.bot.moderation.report_cards import LABELS
from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import Job
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)
BOT = Path(__file__).resolve().parents[2] / "bot"


@dataclass
class Scene:
    """Ada's things: a finished grid, a waiting job, a report about her, a question and an album only she sees."""

    standin: StandIn
    queue: Queue
    easel: Easel
    folder: Path
    studio: Channel
    log: Channel
    ada: Member
    mona: Member
    grid: SeenMessage
    live: SeenMessage
    question: SeenMessage
    album: SeenMessage
    done: Job
    waiting: Job
    card: SeenMessage
    #: Draft of a part of Ada's picture that may be redrawn.
    region: str

    def specimens(self) -> Mapping[str, list[tuple[str, list[str] | None]]]:
        """Custom ids (and what is chosen) by the class that understands them."""
        draft = next(button for button in self.question.buttons if button.custom_id).custom_id
        report = str(self.card.buttons[0].custom_id).split(":")[2]
        pictures = [
            Key(action, self.waiting.id if action == "cancel" else self.done.id, 0).custom_id for action in EMOJI
        ]
        return {
            "PictureButton": [(one, None) for one in pictures],
            "ConfirmButton": [(str(draft), None)],
            "PageButton": [("daguerre:page:history:0", None), ("daguerre:page:favourites:0", None)],
            "ForgetButton": [(f"daguerre:forget:{self.ada.id}", None)],
            "CardButton": [(f"daguerre-card:{action}:{report}", None) for action in LABELS],
            "SettingMenu": [("daguerre:settings:0", ["steps"])],
            "RegionButton": [(f"daguerre:{what}:{self.region}", None) for what in ("paint", "swap")],
        }

    async def state(self) -> dict[str, Any]:
        """Everything that a press could change."""
        server, ada = str(self.ada.guild.id), str(self.ada.id)
        public = [*self.standin.messages(self.studio), *self.standin.messages(self.log)]
        public = [seen for seen in public if seen.content != "forged"]
        return {
            "jobs": await self.queue.counts(),
            "liked": await self.queue.members.favourites(ada, 99),
            "drafts": await self.queue.members.export(ada),
            "settings": await self.queue.server_settings.get(server),
            "bans": await self.queue.moderation.store.bans(server),
            "audit": [entry.action for entry in await self.queue.moderation.audit.entries(server)],
            "marks": await self.queue.moderation.store.marks(self.done.id),
            "messages": [(seen.id, seen.content, seen.attachments, seen.components, seen.deleted) for seen in public],
        }


async def a_scene(
    standin: StandIn, queue: Queue, easel: Easel, folder: Path, studio: Channel, ada: Member, mona: Member
) -> Scene:
    assert studio.guild is not None
    log = studio.guild.channel("log")
    await queue.server_settings.put(str(studio.guild.id), ServerSettings(log_channel=str(log.id)), str(mona.id))
    asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", count=2, seed=5)
    grid = await asked.wait_for(lambda seen: bool(seen.attachments) and bool(seen.buttons[1:]), timeout=30)
    await told(queue)
    (done,) = await queue.members.last_requests(str(ada.id))
    reported = await standin.menu(mona, "Report picture", grid)
    await reported.message()
    card = await standin.wait_for_message(log, lambda seen: bool(seen.buttons))
    question = await (await standin.slash(ada, studio, "imagine", prompt="a {1, 2, 3} {apple, pizza}")).message()
    album = await (await standin.slash(ada, studio, "history")).wait_for(lambda seen: bool(seen.buttons))
    easel.go.clear()
    asked = await standin.slash(ada, studio, "imagine", prompt="a green apple")
    # At its last picture before it is done: nothing changes by itself from here on.
    live = await asked.saw(lambda seen: "step" in seen.content)
    (waiting,) = await queue.members.waiting(str(ada.id), 9)
    mask = io.BytesIO()
    Image.radial_gradient("L").resize((done.request.width, done.request.height)).save(mask, "PNG")
    kept = await queue.keep_source(mask.getvalue())
    region = await queue.members.keep_proposal(
        str(ada.id), {"job": done.id, "picture": 0, "mask": kept, "prompt": "a worm", "blurred": False}
    )
    return Scene(
        standin, queue, easel, folder, studio, log, ada, mona, grid, live, question, album, done, waiting, card, region
    )


async def test_a_stranger_presses_everything_and_nothing_happens(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Forged presses of every kind: no effect, and each is refused in private. Reporting is for everybody."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        scene = await a_scene(standin, queue, easel, tmp_path, studio, ada, mona)
        eve = ada.guild.member("Eve", permissions=("manage_expressions",))
        specimens = scene.specimens()
        assert set(specimens) == {kind.__name__ for kind in dynamic_items()}
        before = await scene.state()
        for custom_id, values in (one for kind in specimens.values() for one in kind):
            pressed = await standin.forge(eve, studio, custom_id, values=values)
            if custom_id.startswith("daguerre:report:"):
                assert (await pressed.modal()).title
                continue
            ack = await pressed.ack()
            assert (ack.type, ack.ephemeral) in ((4, True), (5, True)), custom_id
            refusal = await pressed.message()
            assert refusal.content, custom_id
            assert "error" not in refusal.content.lower(), custom_id
        for message in (scene.question, scene.album):
            with pytest.raises(ClientRefused, match="ephemeral"):
                await standin.click(eve, message, message.buttons[0].label)
        assert await scene.state() == before
        easel.go.set()
        await told(queue)


async def test_a_restart_before_each_press(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Every kind of component works in a process that never showed it: nothing about it is kept in memory."""
    async with a_worker(queue, easel, slots=4):
        async with a_bot(standin, queue, tmp_path):
            scene = await a_scene(standin, queue, easel, tmp_path, studio, ada, mona)
        easel.go.set()
        await until(lambda: queue.pending_notifications())

        async def press(who: Member, custom_id: str, values: list[str] | None = None) -> Any:
            async with a_bot(standin, queue, tmp_path, sync_commands=False):
                pressed = await standin.forge(who, studio, custom_id, values=values, private=":page:" in custom_id)
                ack = await pressed.ack()
                if ack.type == 9:
                    return (await pressed.modal()).title
                if ack.type in (4, 5):
                    seen = await pressed.wait_for(lambda seen: not seen.thinking, timeout=30)
                    assert "something went wrong" not in seen.content.lower(), custom_id
                    return seen.content
                await told(queue)
                return ""

        specimens = scene.specimens()
        acted: set[str] = set()
        # Deleting takes the message away, and one decision about the report counts: they come last, by themselves.
        for custom_id, _ in specimens["PictureButton"]:
            action = custom_id.split(":")[1]
            if action in ("delete", "emoji", "sticker", "cancel"):
                continue
            words = await press(ada, custom_id)
            assert "Only the member" not in words, action
            acted.add(action)
        assert len(await queue.members.children(scene.done.id)) == 10, "vary, again, two variations, sizes, frames"
        assert acted == set(EMOJI) - {"delete", "emoji", "sticker", "cancel"}
        before = len(easel.begun)
        await press(ada, specimens["ConfirmButton"][0][0])
        await until(lambda: len(easel.begun) >= before + 6)
        await press(ada, "daguerre:page:history:0")
        assert await press(mona, "daguerre:settings:0", ["steps"]) == "steps"
        # "The other way round" shows the part anew with two buttons; the draft that it came from is used up.
        before = len(easel.begun)
        await press(ada, specimens["RegionButton"][1][0])
        assert "done already" in await press(ada, specimens["RegionButton"][0][0])
        assert len(easel.begun) == before
        report = str(scene.card.buttons[0].custom_id).rsplit(":", 1)[1]
        hidden: list[bool] = []
        for action in ("hide", "undo", "allow"):
            await press(mona, f"daguerre-card:{action}:{report}")
            hidden.append((await queue.moderation.store.marks(scene.done.id)).hidden)
        assert hidden == [True, False, False]
        await press(ada, Key("delete", scene.done.id).custom_id)
        assert standin.calls("DELETE /webhooks/*/*/messages/@original")
        forgotten = await press(ada, f"daguerre:forget:{ada.id}")
        assert forgotten
        assert (await queue.members.history(str(ada.id), 9))[1] == 0
