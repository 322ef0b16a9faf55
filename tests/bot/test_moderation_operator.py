"""What stands above single servers: where a picture comes from, servers that are not served, bans of the operator.

Discord is the stand-in on real sockets, the queue is real; pictures are marked as a worker marks them.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from botkit import Easel, a_bot, a_queue, a_worker, until
from PIL import Image
from shapekit import drawn
from standin.driver import StandIn
from standin.world import Upload

from daguerre.app.finishing import Finisher
from daguerre.app.verify import read_origin_aside
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.control.steering import Steering
from daguerre.queue.moderation.options import ModerationOptions
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.requests import ImageRequest, Source
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)


async def test_verify_names_the_job_of_a_stripped_copy(standin: StandIn, queue: Queue, tmp_path: Path) -> None:
    """A JPEG without metadata is ours; a stranger's picture and a text file are not; only here it says who asked."""
    guild = standin.guild("Darkroom")
    studio, ada = guild.channel("studio"), guild.member("Ada")
    elsewhere = standin.guild("Elsewhere")
    far, bob = elsewhere.channel("far"), elsewhere.member("Bob")
    async with a_worker(queue, Easel()), a_bot(standin, queue, tmp_path, read_origin=read_origin_aside):
        asked = await standin.slash(ada, studio, "imagine", prompt="an apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))
        (job,) = (await queue.members.history(str(ada.id), 1))[0]
        files, _ = Finisher(watermark=True).finish([drawn(4, 512)], job.request, job=job.id, model="m")
        stripped = io.BytesIO()
        Image.open(io.BytesIO(files[0])).convert("RGB").save(stripped, "JPEG", quality=85)
        told = await standin.slash(ada, studio, "verify", picture=Upload(stripped.getvalue(), "a.jpg", "image/jpeg"))
        assert (await told.ack()).ephemeral
        words = (await told.message()).content
        assert "Made by this bot" in words
        assert job.id[:16] in words
        assert f"<@{ada.id}>" in words
        far_told = await standin.slash(bob, far, "verify", picture=Upload(stripped.getvalue(), "a.jpg", "image/jpeg"))
        assert f"<@{ada.id}>" not in (await far_told.message()).content

        other = io.BytesIO()
        drawn(9, 256).save(other, "PNG")
        told = await standin.slash(ada, studio, "verify", picture=Upload(other.getvalue()))
        assert "Not ours" in (await told.message()).content
        told = await standin.slash(ada, studio, "verify", picture=Upload(b"words", "a.png"))
        assert "no PNG, JPEG or WebP" in (await told.message()).content


async def test_unknown_servers_are_left_where_the_operator_wants_that(standin: StandIn, tmp_path: Path) -> None:
    """At the start and when invited; those of the list stay."""
    home, stranger = standin.guild("Home"), standin.guild("Stranger")
    options = ModerationOptions(allowed_servers=(str(home.id),), leave_unknown_servers=True)
    async with (
        open_queue(QueueOptions(), tmp_path, moderation=options) as queue,
        a_bot(standin, queue, tmp_path),
    ):
        await until(lambda: not stranger.has_bot)
        late = standin.guild("Late")
        await until(lambda: not late.has_bot)
        assert home.has_bot
        # It is noted once Discord has answered, a moment after it is so.
        (entry,) = await until(lambda: queue.moderation.audit.entries(str(late.id)))
        assert entry.action == "left"


async def test_the_operator_bans_a_server_from_outside(tmp_path: Path) -> None:
    """By `daguerre queue ban`, which asks this; nonsense is refused in words."""
    async with a_queue(tmp_path) as queue:
        steering = Steering(queue)
        assert b"banned" in await steering.answer(b'{"do": "ban", "what": "server 7"}')
        ban = await queue.moderation.store.ban_of("7", "m", [])
        assert ban is not None
        assert (ban.kind, ban.who, ban.until) == ("server", "operator", None)
        assert await queue.moderation.store.ban_of("8", "m", []) is None
        assert b"true" in await steering.answer(b'{"do": "unban", "what": "server 7"}')
        assert b"say whom" in await steering.answer(b'{"do": "ban", "what": "role 7"}')


async def test_previews_keep_what_moderators_decided(tmp_path: Path) -> None:
    """None of pictures that are held or blurred, none where a server wants none, none of what may still be held."""
    request = ImageRequest(prompt="an apple", seed=1)
    for check, shown in (("open-nsfw", False), ("off", True)):
        options = ModerationOptions.model_validate({"output_check": check})
        async with open_queue(QueueOptions(), tmp_path / check, moderation=options) as queue:
            job = (await queue.submit(request, key="k", member="m", server="1", reply={})).job
            # As every server is that never set `hold_from`: the check holds from 80 on, where there is one.
            assert await queue.showing.preview(job) == shown
            # A model of which all that it knows is known has nothing to hold, unless the member brings a picture.
            assert await queue.showing.preview(job, taught=True)
            brought = replace(job, request=request.model_copy(update={"source": Source(picture="p")}))
            assert await queue.showing.preview(brought, taught=True) == shown
            await queue.moderation.store.mark(job.id, relaxed=True)
            assert await queue.showing.preview(job)
            await queue.moderation.store.mark(job.id, relaxed=False)
            await queue.server_settings.put("1", ServerSettings(hold_from=0), "mona")
            assert await queue.showing.preview(job)
            for marks in ({"review": "held"}, {"review": "", "spoiler": True}):
                await queue.moderation.store.mark(job.id, **marks)
                assert not await queue.showing.preview(job, taught=True)
            await queue.moderation.store.mark(job.id, spoiler=False)
            await queue.server_settings.put("1", ServerSettings(hold_from=0, previews=False), "mona")
            assert not await queue.showing.preview(job)
        # Nothing is remembered in a new process; what the server wants still holds.
        async with open_queue(QueueOptions(), tmp_path / check, moderation=options) as queue:
            assert not await queue.showing.preview(await queue.job(job.id))
