"""discord.py against the stand-in: slash commands, deferral, edits, follow-ups, buttons, modals, autocomplete."""

from __future__ import annotations

from typing import Any

import aiohttp
import discord
import pytest
from standin.client import running
from standin.driver import StandIn
from standin.records import ClientRefused
from standin.sample import SampleBot, picture, png
from standin.world import Upload

Interaction = discord.Interaction[Any]


async def test_defer_progress_pictures_and_follow_up(standin: StandIn) -> None:
    """The way of a picture: deferred, edited with progress, edited to its files, followed by another message."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="step 4 of 8")
        files = [picture("red", "red apple.png", prompt), picture("green", "2.png")]
        await interaction.edit_original_response(content="here", attachments=files)
        await interaction.followup.send("another", file=picture("blue"))

    async with running(SampleBot(draw), standin):
        record = await standin.slash(ada, channel, "draw", prompt="a red apple", count=2)
        assert (await record.ack()).type == 5
        await record.saw(lambda message: message.text == "step 4 of 8")
        done = await record.wait_for(lambda message: message.attachments)
        more = await record.followup()

    assert [state.content for state in record.history] == ["", "step 4 of 8", "here"]
    assert record.history[0].thinking
    assert len(record.arrivals) == 1
    first, second = done.attachments
    assert (first.filename, first.description, first.data) == ("red_apple.png", "a red apple", png("red"))
    assert (second.description, second.content_type) == (None, "image/png")
    assert more.attachments[0].data == png("blue")
    assert [message.id for message in standin.messages(channel)] == [done.id, more.id]
    assert standin.command_writes == 1


async def test_first_follow_up_fills_the_deferred_message(standin: StandIn) -> None:
    """After a deferral the first POST on the webhook becomes the deferred message, whatever it says about ephemeral."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer(thinking=True, ephemeral=True)
        await interaction.followup.send("first")
        await interaction.followup.send("second")

    async with running(SampleBot(draw), standin):
        record = await standin.slash(ada, channel, "draw", prompt="x")
        assert (await record.message()).content == "first"
        assert not (await record.followup()).ephemeral

    assert record.current is not None
    assert record.current.ephemeral
    assert len(record.followups) == 1
    assert len(standin.messages(channel)) == 1
    assert len(standin.messages(channel, viewer=ada)) == 2


async def test_attachments_that_are_not_listed_vanish(standin: StandIn) -> None:
    """An edit keeps the attachments it lists; the others are gone, from the CDN too."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message(files=[picture("red", "a.png"), picture("green", "b.png")])
        message = await interaction.original_response()
        assert await message.attachments[0].read() == png("red")
        await interaction.edit_original_response(attachments=[message.attachments[1], picture("blue", "c.png")])

    async with running(SampleBot(draw), standin):
        record = await standin.slash(ada, channel, "draw", prompt="x")
        before = await record.message()
        after = await record.wait_for(lambda message: message.attachments[-1].filename == "c.png")
        assert [each.filename for each in after.attachments] == ["b.png", "c.png"]
        async with aiohttp.ClientSession() as session:
            for attachment, status in ((before.attachments[0], 404), (after.attachments[0], 200)):
                async with session.get(attachment.url) as response:
                    assert response.status == status
            standin.advance(25 * 3600)
            async with session.get(after.attachments[0].url) as response:
                assert response.status == 404


async def test_buttons_update_their_message(standin: StandIn) -> None:
    """Callback types 6 and 7, `@original` of a click, ephemeral answers; a disabled button cannot be pressed."""
    channel = standin.guild().channel("studio")
    ada, eve = channel.guild.member("Ada"), channel.guild.member("Eve")

    class Panel(discord.ui.View):
        @discord.ui.button(label="Again", emoji="🔁", custom_id="again")
        async def again(self, interaction: Interaction, button: discord.ui.Button[Any]) -> None:
            await interaction.response.defer()
            await interaction.edit_original_response(content="drawn again")

        @discord.ui.button(label="Stop", custom_id="stop")
        async def stop_it(self, interaction: Interaction, button: discord.ui.Button[Any]) -> None:
            if interaction.user.id != ada.id:
                await interaction.response.send_message("not yours", ephemeral=True)
                return
            button.disabled = True
            await interaction.response.edit_message(content="stopped", view=self)

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message("drawn", view=Panel(timeout=None))

    async with running(SampleBot(draw), standin):
        record = await standin.slash(ada, channel, "draw", prompt="x")
        message = await record.message()
        assert [button.label for button in message.buttons] == ["Again", "Stop"]
        click = await standin.click(ada, message, "🔁")
        assert (await click.wait_for(lambda state: state.content == "drawn again")).id == message.id
        assert (await click.ack()).type == 6
        refusal = await (await standin.click(eve, message, "Stop")).message()
        assert refusal.ephemeral
        assert refusal.viewer_id == eve.id
        stopped = await standin.click(ada, message, custom_id="stop")
        assert (await stopped.message()).button("Stop").disabled
        assert (await stopped.ack()).type == 7
        with pytest.raises(ClientRefused, match="disabled"):
            await standin.click(ada, message, "Stop")
    assert [state.content for state in standin.history(message)] == ["drawn", "drawn again", "stopped"]


async def test_modal_opens_and_is_submitted(standin: StandIn) -> None:
    """Callback type 9, and the interaction that a submitted modal makes."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")

    class Remix(discord.ui.Modal, title="Remix"):
        prompt: discord.ui.TextInput[Any] = discord.ui.TextInput(label="Prompt", default="a red apple", max_length=20)

        async def on_submit(self, interaction: Interaction, /) -> None:
            await interaction.response.send_message(f"remix: {self.prompt.value}", ephemeral=True)

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_modal(Remix())

    async with running(SampleBot(draw), standin):
        record = await standin.slash(ada, channel, "draw", prompt="x")
        modal = await record.modal()
        assert (modal.title, modal.inputs[0].label, modal.inputs[0].value) == ("Remix", "Prompt", "a red apple")
        with pytest.raises(ClientRefused, match="too many"):
            await standin.submit(ada, record, {"Prompt": "x" * 21})
        answer = await (await standin.submit(ada, record, {"Prompt": "a green apple"})).message()
    assert answer.content == "remix: a green apple"


async def test_autocomplete(standin: StandIn) -> None:
    """Callback type 8, with and without choices."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    async with running(SampleBot(), standin):
        record = await standin.autocomplete(ada, channel, "draw", focused="prompt", prompt="ro")
        assert [choice.value for choice in await record.choices()] == ["rocket"]
        record = await standin.autocomplete(ada, channel, "draw", focused="prompt", prompt="zz")
        assert await record.choices() == ()


async def test_components_v2(standin: StandIn) -> None:
    """A gallery with an uploaded picture; the V2 flag stays, and its attachment is resolved."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")

    async def draw(interaction: Interaction, prompt: str) -> None:
        view = discord.ui.LayoutView()
        view.add_item(discord.ui.TextDisplay("two apples"))
        view.add_item(discord.ui.MediaGallery(discord.MediaGalleryItem("attachment://a.png", description="an apple")))
        await interaction.response.send_message(view=view, file=picture(name="a.png"))

    async with running(SampleBot(draw), standin):
        message = await (await standin.slash(ada, channel, "draw", prompt="x")).message()
    assert message.text == "two apples"
    assert message.flags & 1 << 15


async def test_late_double_and_expired_answers(standin: StandIn) -> None:
    """Three seconds for the first answer (10062), one answer only (40060), fifteen minutes for the token (50027)."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    codes: list[int] = []

    async def draw(interaction: Interaction, prompt: str) -> None:
        if prompt == "late":
            standin.advance(3.5)
        try:
            await interaction.response.send_message("once")
            standin.advance(901)
            await interaction.edit_original_response(content="too late")
        except discord.HTTPException as error:
            codes.append(error.code)

    async with running(SampleBot(draw), standin):
        late = await standin.slash(ada, channel, "draw", prompt="late")
        await standin.called("POST /interactions/*/*/callback", 1)
        expired = await standin.slash(ada, channel, "draw", prompt="x")
        await standin.called("PATCH /webhooks/*/*/messages/@original", 1)
        async with aiohttp.ClientSession() as session:
            callback = f"{standin.api_base}/interactions/{expired.id}/{expired.token}/callback"
            async with session.post(callback, json={"type": 4, "data": {"content": "twice"}}) as response:
                assert (await response.json())["code"] == 40060
    assert codes == [10062, 50027]
    assert late.failed


async def test_direct_message_and_user_install(standin: StandIn) -> None:
    """In a direct message there is a user and no member; outside the bot's servers, five follow-ups are all."""
    zoe = standin.user("Zoe")
    elsewhere = standin.guild("Elsewhere", has_bot=False)
    guest = elsewhere.member("Zoe", user=zoe)

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message(str(interaction.guild_id))
        for number in range(6 if interaction.guild_id else 1):
            await interaction.followup.send(str(number))

    bot = SampleBot(draw)
    bot.tree.allowed_installs = discord.app_commands.AppInstallationType(guild=True, user=True)
    async with running(bot, standin):
        here = await standin.slash(zoe, standin.dm(zoe), "draw", prompt="x")
        assert (await here.message()).content == "None"
        await here.followup()
        there = await standin.slash(guest, elsewhere.channel("lounge"), "draw", prompt="x")
        assert (await there.message()).content == str(elsewhere.id)
        await standin.called("POST /webhooks/*/*", 7)
    assert len(there.followups) == 5
    assert [error.code for error in bot.errors if isinstance(error, discord.HTTPException)] == [40094]


async def test_discords_client_refuses_first(standin: StandIn) -> None:
    """What the command's own description forbids never reaches the bot, unless a test insists."""
    channel = standin.guild().channel("studio")
    ada = channel.guild.member("Ada")
    async with running(SampleBot(), standin):
        for options, text in (({}, "required"), ({"prompt": "x", "count": 9}, "range"), ({"promt": "x"}, "no option")):
            with pytest.raises(ClientRefused, match=text):
                await standin.slash(ada, channel, "draw", options=options)
        with pytest.raises(ClientRefused, match="no command"):
            await standin.slash(ada, channel, "paint")


async def test_context_menus_selects_and_follow_up_edits(standin: StandIn) -> None:
    """Menus carry the message or member, a select its values; follow-ups are edited and deleted."""
    guild = standin.guild()
    channel, ada = guild.channel("studio"), guild.member("Ada")

    class Size(discord.ui.View):
        @discord.ui.select(custom_id="size", options=[discord.SelectOption(label=size) for size in ("128", "256")])
        async def chosen(self, interaction: Interaction, select: discord.ui.Select[Any]) -> None:
            await interaction.response.send_message(select.values[0])

    async def draw(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message("size?", view=Size(timeout=None))
        more = await interaction.followup.send("more", wait=True)
        await more.edit(content="edited", attachments=[picture()])
        await more.delete()

    bot = SampleBot(draw)

    @bot.tree.context_menu(name="Describe")
    async def describe(interaction: Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"it says {message.content}")

    @bot.tree.context_menu(name="Greet")
    async def greet(interaction: Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"hello {member.display_name}")

    async with running(bot, standin):
        record = await standin.slash(ada, channel, "draw", prompt="x")
        await record.followup(predicate=lambda message: message.deleted)
        assert [state.content for state in standin.history(record.followups[0])] == ["more", "edited", "edited"]
        assert (await (await standin.select(ada, record, "size", ["256"])).message()).content == "256"
        with pytest.raises(ClientRefused, match="not among"):
            await standin.select(ada, record, "size", ["512"])
        assert (await (await standin.menu(ada, "Describe", record)).message()).content == "it says size?"
        assert (await (await standin.menu(ada, "Greet", ada)).message()).content == "hello Ada"


async def test_upload_and_permissions_of_commands(standin: StandIn) -> None:
    """Attachment options are readable at once; default permissions hide a command from those who lack them."""
    guild = standin.guild()
    channel, ada, chief = (
        guild.channel("studio"),
        guild.member("Ada"),
        guild.member("Chief", permissions=["manage_guild"]),
    )
    bot = SampleBot()

    @bot.tree.command(description="Says how large a file is.")
    @discord.app_commands.default_permissions(manage_guild=True)
    async def weigh(interaction: Interaction, file: discord.Attachment, owner: discord.Member) -> None:
        await interaction.response.send_message(f"{len(await file.read())} {file.width} {owner.display_name}")

    async with running(bot, standin):
        with pytest.raises(ClientRefused, match="hidden"):
            await standin.slash(ada, channel, "weigh", file=Upload(png()), owner=ada)
        record = await standin.slash(chief, channel, "weigh", file=Upload(png()), owner=ada)
        assert (await record.message()).content == f"{len(png())} 8 Ada"


async def test_a_picture_that_v2_hides_is_reported(standin: StandIn) -> None:
    """With the V2 flag an attachment that no component names is taken and not shown: a fault of the bot."""
    channel = standin.guild().channel("studio")

    async def draw(interaction: Interaction, prompt: str) -> None:
        view = discord.ui.LayoutView()
        view.add_item(discord.ui.TextDisplay("here"))
        await interaction.response.send_message(view=view, file=picture(name="lost.png"))

    async with running(SampleBot(draw), standin):
        await (await standin.slash(channel.guild.member("Ada"), channel, "draw", prompt="x")).message()
    standin.expect_violation("lost.png")
