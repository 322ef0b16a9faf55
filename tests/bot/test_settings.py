"""A server's own settings: what they change, and who may change them.

Discord is the stand-in on real sockets, the queue is real (SQLite, nats-server), the worker paints plain pictures.
"""

from __future__ import annotations

from pathlib import Path

from botkit import Easel, a_bot, a_worker
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue
from daguerre.queue.records.usual import Usual
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)


async def test_a_servers_settings_are_the_defaults_of_its_requests(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Steps, guidance and size; another server keeps its own."""
    elsewhere = standin.guild("Elsewhere")
    other, bob = elsewhere.channel("other"), elsewhere.member("Bob")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        saved = await standin.slash(mona, studio, "settings set", steps=9, guidance=2.5, size=512)
        assert (await saved.ack()).ephemeral
        assert "Steps: 9" in (await saved.message()).content
        seen = await standin.slash(mona, studio, "settings view")
        assert "512 × 512" in (await seen.message()).content
        everything = (await seen.message()).text
        assert (await seen.message()).ephemeral
        assert "● **`steps`** `9` (`16`)" in everything
        assert "`hold_from` `80`" in everything
        assert all(f"`{name}`" in everything for name in ServerSettings.model_fields)
        assert everything.count("● **") == 3

        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda message: "512 × 512 · 9 steps · guidance 2.5" in message.content)
        asked = await standin.slash(bob, other, "imagine", prompt="a red apple")
        await asked.wait_for(lambda message: "256 × 256 · 16 steps · guidance 3" in message.content)


async def test_what_nobody_set_follows_the_model(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Shown as such, drawn so, until a manager sets a number; `-` gives it back to the model."""
    usual = {"sdxl": Usual(steps=30, guidance=5.0, size=1024, pixels=1_121_976)}
    async with a_worker(queue, easel, models=("sdxl",), usual=usual), a_bot(standin, queue, tmp_path):
        seen = await (await standin.slash(mona, studio, "settings view")).message()
        assert "Steps: as the model is made for (30)" in seen.content
        assert "Size: as the model is made for (1024 × 1024 pixels)" in seen.content
        assert "`steps` as the model is made for (`30`)" in seen.text
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple --ar 3:2")
        await asked.wait_for(lambda message: "1248 × 832 · 30 steps · guidance 5" in message.content)

        # The old number, set on purpose, stays.
        await (await standin.slash(mona, studio, "settings set", steps=16)).message()
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda message: "1024 × 1024 · 16 steps · guidance 5" in message.content)
        seen = await (await standin.slash(mona, studio, "settings view")).message()
        assert "● **`steps`** `16` (`30`)" in seen.text
        back = await standin.slash(mona, studio, "settings change", setting="steps", value="-")
        assert "`steps`: 16 → -" in (await back.message()).content
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda message: "1024 × 1024 · 30 steps · guidance 5" in message.content)
        assert (await queue.server_settings.get(str(studio.guild.id if studio.guild else 0))).steps is None


async def test_only_allowed_channels_work_once_one_is_allowed(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """The refusal is private and names the channels; the list can be emptied again."""
    assert studio.guild is not None
    gallery = studio.guild.channel("gallery")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        await (await standin.slash(mona, studio, "settings set", allow_channel=gallery)).message()
        refused = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert (await refused.ack()).ephemeral
        assert f"<#{gallery.id}>" in (await refused.message()).content
        asked = await standin.slash(ada, gallery, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))

        await (await standin.slash(mona, studio, "settings set", all_channels=True)).message()
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))
    assert len(easel.begun) == 2


async def test_a_stranger_changes_no_settings(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Even where a server shows the command to everybody, the handler looks again: no effect, a private text."""
    assert studio.guild is not None
    server = str(studio.guild.id)
    async with a_bot(standin, queue, tmp_path):
        for name, options in (("settings set", {"steps": 9}), ("settings view", {})):
            asked = await standin.slash(ada, studio, name, checked=False, options=options)
            assert (await asked.ack()).ephemeral
            assert "Manage Server" in (await asked.message()).content
    assert await queue.server_settings.changes(server) == ()


async def test_settings_out_of_range_change_nothing(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, mona: Member
) -> None:
    """The handler checks what Discord's client would have stopped."""
    assert studio.guild is not None
    async with a_bot(standin, queue, tmp_path):
        for options in ({"steps": 51}, {"guidance": 99.0}, {"size": 300}, {}):
            asked = await standin.slash(mona, studio, "settings set", checked=False, options=options)
            assert (await asked.ack()).ephemeral
            await asked.message()
    assert await queue.server_settings.changes(str(studio.guild.id)) == ()


async def test_long_settings_come_in_several_private_messages(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, mona: Member
) -> None:
    """Lists of a hundred channels and roles; every setting is on one of the messages, and nobody is pinged."""
    assert studio.guild is not None
    ids = frozenset(str(10**18 + number) for number in range(100))
    wide = ServerSettings(channels=ids, categories=ids, denied_channels=ids, denied_categories=ids, fast_roles=ids)
    await queue.server_settings.put(str(studio.guild.id), wide, str(mona.id))
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(mona, studio, "settings view")
        first, second = await asked.message(), await asked.followup(0)
        told = [first, second]
        while not all(f"`{name}`" in "".join(seen.text for seen in told) for name in ServerSettings.model_fields):
            told.append(await asked.followup(len(told) - 1))
    assert all(seen.ephemeral and not seen.mentions for seen in told)
