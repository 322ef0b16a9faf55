"""Everywhere a bot should be: threads, forums, direct messages, and servers that it was never invited to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_worker, only_job, told, until
from standin.driver import StandIn
from standin.records import ClientRefused
from standin.world import Channel, Member, Thread

from daguerre.queue.control.queue import Queue
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)


def place(studio: Channel, kind: str) -> Thread:
    """A thread of the studio, or a post in a forum of the same server."""
    assert studio.guild is not None
    forum = studio.guild.channel("ideas", forum=True)
    return forum.thread("apples") if kind == "post" else studio.thread("apples", private=kind == "private thread")


async def finished(asked: Any) -> Any:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and bool(seen.buttons[1:]), timeout=30)


@pytest.mark.parametrize("kind", ["thread", "private thread", "post"])
async def test_pictures_come_into_the_thread_where_they_were_asked_for(
    kind: str, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """With working buttons; nothing appears in the channel or forum around it."""
    thread = place(studio, kind)
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, thread, "imagine", prompt="a red apple", count=2)
        done = await finished(asked)
        await finished(await standin.click(ada, done, "V1"))
        await told(queue)
    assert [len(message.attachments) for message in standin.messages(thread)] == [1, 1]
    assert standin.messages(thread.parent) == ()


async def test_a_thread_goes_by_the_channel_that_it_hangs_in(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """A list of channels with the forum in it allows its posts; a thread elsewhere is refused in private."""
    post, thread = place(studio, "post"), place(studio, "thread")
    assert studio.guild is not None
    await queue.server_settings.put(
        str(studio.guild.id), ServerSettings(channels=frozenset({str(post.parent.id)})), "mona"
    )
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        await finished(await standin.slash(ada, post, "imagine", prompt="a red apple"))
        refused = await (await standin.slash(ada, thread, "imagine", prompt="a red apple")).message()
        assert refused.ephemeral
        assert f"<#{post.parent.id}>" in refused.content
        await told(queue)
    assert len(easel.begun) == 1


@pytest.mark.parametrize("after", ["archived", "archived and late", "locked", "locked and late", "deleted"])
async def test_an_answer_finds_its_way_out_of_a_thread_that_was_closed(
    after: str, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Archived: a new message, which wakes it up. Locked for good: a direct message. The member is mentioned."""
    thread = place(studio, "thread")
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, thread, "imagine", prompt="a red apple", count=2)
        first = await asked.saw(lambda seen: "step" in seen.content)
        if "late" in after:
            standin.advance(901)
        match after.split()[0]:
            case "archived":
                thread.state(archived=True)
            case "locked":
                thread.state(archived=True, locked=True)
            case _:
                thread.delete()
        easel.go.set()
        where = thread if "archived" in after else standin.dm(ada)
        done = await standin.wait_for_message(where, lambda seen: len(seen.buttons) > 1, timeout=20)
        await told(queue)
        assert done.id != first.id
        assert done.mentions == (ada.user.id,)
        # What it brought works from where it stands now.
        await finished(await standin.click(ada if where is thread else ada.user, done, "U2"))
    assert thread.archived == ("locked" in after)


async def test_in_a_private_thread_without_the_bot_a_late_answer_comes_directly(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The token reaches everywhere, the bot itself does not."""
    thread = place(studio, "private thread")
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, thread, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.advance(901)
        easel.go.set()
        done = await standin.wait_for_message(standin.dm(ada), lambda seen: bool(seen.attachments), timeout=20)
        await told(queue)
    assert done.mentions == (ada.user.id,)


async def test_in_a_server_that_only_the_member_knows(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """Installed for oneself it draws, shows and varies; what belongs to a server is not offered."""
    away = standin.guild("Elsewhere", has_bot=False)
    hall, zoe = away.channel("hall"), away.member("Zoe")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(zoe, hall, "imagine", prompt="a red apple", count=2)
        done = await finished(asked)
        await finished(await standin.click(zoe, done, "U1"))
        await finished(await standin.click(zoe, done, "V2"))
        album = await (await standin.slash(zoe, hall, "history")).message()
        assert album.ephemeral
        with pytest.raises(ClientRefused):
            await standin.slash(zoe, hall, "settings view")
        await told(queue)
    assert all(message.mentions == () for message in standin.messages(hall))


async def test_four_requests_at_once_stay_within_five_follow_ups(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """Outside the bot's servers Discord takes five messages behind the first; each job still has its own."""
    away = standin.guild("Elsewhere", has_bot=False)
    hall, zoe = away.channel("hall"), away.member("Zoe")
    async with a_worker(queue, easel, slots=4), a_bot(standin, queue, tmp_path):
        await standin.slash(zoe, hall, "imagine", prompt="a {red, green} {apple, pizza}")
        await until(lambda: len([seen for seen in standin.messages(hall) if seen.attachments]) == 4)
        await told(queue)
    assert len(standin.messages(hall)) == 4


async def test_away_from_its_servers_a_late_answer_comes_directly(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """After 15 minutes nothing there is open to it: neither its message nor the channel."""
    away = standin.guild("Elsewhere", has_bot=False)
    hall, zoe = away.channel("hall"), away.member("Zoe")
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(zoe, hall, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.advance(901)
        easel.go.set()
        await standin.wait_for_message(standin.dm(zoe), lambda seen: bool(seen.attachments), timeout=20)
        await told(queue)


async def test_a_late_answer_in_a_direct_message_edits_it(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """The bot may edit its own messages there for as long as it likes, and the buttons work."""
    zoe = standin.user("Zoe")
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(zoe, standin.dm(zoe), "imagine", prompt="a red apple", count=2)
        await asked.saw(lambda seen: "step" in seen.content)
        job = await only_job(queue)
        assert job.server == "dm"
        standin.advance(901)
        easel.go.set()
        done = await finished(asked)
        await finished(await standin.click(zoe, done, "U2"))
        await told(queue)
    assert len(standin.messages(standin.dm(zoe))) == 2
    assert not [button for button in done.buttons if ":report:" in (button.custom_id or "")]
