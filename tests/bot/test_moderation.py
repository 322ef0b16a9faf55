"""Moderators' commands and cards, from a moderator's and from a member's hand.

Discord is the stand-in on real sockets, the queue is real, the worker paints plain pictures.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from botkit import until
from moderationkit import House
from standin.records import ClientRefused
from standin.world import Upload

from daguerre.queue.store.audit import first_break, read_export
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("moderationfixtures",)
#: One loop for all, as they share a bot.
pytestmark = pytest.mark.asyncio(loop_scope="module")


# ---- settings


async def test_every_setting_can_be_changed_seen_and_taken_back(house: House) -> None:
    """change, history, undo, export and import; each change says old and new."""
    scene = await house.scene()
    told = await scene.say(scene.mona, "settings change", setting="most_steps", value="9")
    assert "`most_steps`: 100 → 9" in told.content
    await scene.say(scene.mona, "settings change", setting="denied_channels", value=f"<#{scene.log.id}>")
    seen = await scene.say(scene.mona, "settings history")
    assert f"<@{scene.mona.id}>" in seen.content
    assert f"→ {scene.log.id}" in seen.content
    exported = await scene.say(scene.mona, "settings export")
    file = exported.attachments[0].data
    assert b"most_steps = 9\n" in file

    told = await scene.say(scene.mona, "settings undo")
    assert f"`denied_channels`: {scene.log.id} → -" in told.content
    await scene.say(scene.mona, "settings change", setting="most_steps", value="50")
    told = await scene.say(scene.mona, "settings import", file=Upload(file, "s.toml", "application/toml"))
    assert "`most_steps`: 50 → 9" in told.content
    settings = await scene.queue.server_settings.get(scene.server)
    assert (settings.most_steps, settings.denied_channels) == (9, frozenset({str(scene.log.id)}))
    assert (await scene.queue.server_settings.changes(scene.server))[0].version == 6


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("steps", "51", "1–50 | -"), ("most_size", "100", "64–2048 (× 64)"), ("previews", "perhaps", "true | false"),
        ("age_restricted", "never", "same | relaxed | only"), ("size", "big", "128 | 256 | 512 | 768 | 1024 | -"),
        ("channels", "here", "id, id"), ("nonsense", "1", "no setting"), ("hold_from", "1e9", "0–100"),
        ("roles", "7 weight=-1", "weight=2"), ("guidance", "nan", "1–12"),
    ],
)  # fmt: skip
async def test_a_bad_value_is_refused_with_what_is_allowed(setting: str, value: str, part: str) -> None:
    """Pure: nothing is stored."""
    from daguerre.bot.errors import Refused
    from daguerre.bot.moderation.settings_values import with_typed

    with pytest.raises(Refused) as refused:
        with_typed(ServerSettings(), setting, value)
    assert part in refused.value.words("en-US")


async def test_the_panel_opens_a_form_for_each_setting(house: House) -> None:
    """A menu, a form with the value as it is, and the new value stored."""
    scene = await house.scene()
    panel = await scene.do(scene.mona, "settings panel")
    await panel.message()
    opener = await scene.standin.select(scene.mona, panel, "daguerre:settings:0", ["most_steps"])
    modal = await opener.modal()
    assert (modal.title, modal.inputs[0].value) == ("most_steps", "100")
    sent = await scene.standin.submit(scene.mona, opener, {"value": "12"})
    assert "100 → 12" in (await sent.message()).content
    assert (await scene.queue.server_settings.get(scene.server)).most_steps == 12


async def test_a_change_can_be_tried_on_last_weeks_requests(house: House) -> None:
    scene = await house.scene()
    await scene.picture(scene.ada, "a red apple")
    told = await scene.say(scene.mona, "settings try", setting="most_steps", value="8")
    assert "Requests of the last 7 days: 1. 0 would have been stopped and 1 changed" in told.content
    assert "a red apple" in told.content
    assert (await scene.queue.server_settings.get(scene.server)).most_steps == 100
    told = await scene.say(scene.mona, "rules add", pattern="apple", only_try=True)
    assert "1 would have been stopped" in told.content
    assert await scene.queue.moderation.store.rules(scene.server) == ()


# ---- rules and what they do


async def test_rules_are_added_tested_listed_and_taken_off(house: House) -> None:
    """A disguised word is refused privately; nothing is queued."""
    scene = await house.scene()
    assert "#1" in (await scene.say(scene.mona, "rules add", pattern="rocket")).content
    assert "refuse" in (await scene.say(scene.mona, "rules test", words="a r0cket")).content
    assert "rocket" in (await scene.say(scene.mona, "rules list")).content
    refused = await scene.do(scene.ada, "imagine", prompt="a r.o.c.k.e.t and an apple")
    assert (await refused.ack()).ephemeral
    assert "rules of this server" in (await refused.message()).content
    refused = await scene.do(scene.ada, "imagine", prompt="an apple", no="ｒｏｃｋｅｔ")
    assert "rules of this server" in (await refused.message()).content
    assert scene.easel.begun == []
    await scene.say(scene.mona, "rules remove", number=1)
    await scene.picture(scene.ada, "a rocket")
    bad = await scene.say(scene.mona, "rules add", pattern="(", kind="regex")
    assert "cannot be used" in bad.content
    assert await scene.actions() == ["settings", "rule.add", "rule.refused", "rule.refused", "rule.remove"]


async def test_a_spoiler_rule_blurs_and_a_replace_rule_rewrites(house: House) -> None:
    scene = await house.scene()
    await scene.say(scene.mona, "rules add", pattern="rocket", action="spoiler")
    await scene.say(scene.mona, "rules add", pattern="pizza", action="replace", replacement="apple")
    record = await scene.picture(scene.ada, "a rocket with p1zza")
    assert record.current is not None
    assert all(file.filename.startswith("SPOILER_") for file in record.current.attachments)
    assert scene.easel.begun[0].prompt == "a rocket with apple"


@pytest.mark.parametrize("by", ["rule", "score"])
async def test_a_held_picture_is_shown_only_after_review(house: House, by: str) -> None:
    """By a rule, or by the output check; the member is told that it waits, the card shows it behind a spoiler.

    What the worker sends of it while it is drawn is not shown either.
    """
    scene = await house.scene()
    scene.easel.preview = b"\xff\xd8 a picture that must not be seen"
    scene.easel.go.clear()
    if by == "rule":
        await scene.say(scene.mona, "rules add", pattern="rocket", action="hold")
    scene.easel.score = 0.95 if by == "score" else 0.01
    asked = await scene.do(scene.ada, "imagine", prompt="a red rocket")
    await asked.saw(lambda seen: "step" in seen.content)
    scene.easel.go.set()
    await asked.wait_for(lambda seen: "waits for a moderator" in seen.content)
    card = await scene.card("To review")
    assert [file.filename.startswith("SPOILER_") for file in card.attachments] == [True]
    assert "a red rocket" in card.content
    assert ("Output check: 95 of 100" in card.content) == (by == "score")
    assert asked.arrivals == ()
    await scene.standin.click(scene.mona, card, "Show")
    await asked.wait_for(lambda seen: bool(seen.attachments))
    await until(lambda: "Allowed" in scene.standin.history(card)[-1].content)


async def test_a_rejected_picture_never_reaches_the_channel(house: House) -> None:
    scene = await house.scene()
    scene.easel.score = 0.9
    asked = await scene.do(scene.ada, "imagine", prompt="a red rocket")
    card = await scene.card("To review")
    await scene.standin.click(scene.mona, card, "Do not show")
    await asked.wait_for(lambda seen: "taken this picture away" in seen.content)
    assert asked.arrivals == ()
    assert (await scene.queue.moderation.store.marks((await scene.job()).id)).review == "rejected"


# ---- bans, quotas, the queue, the log


async def test_bans_grants_purge_and_skip(house: House) -> None:
    scene = await house.scene(daily_seconds=0.001)
    assert "seconds of drawing" in (await (await scene.do(scene.ada, "imagine", prompt="an apple")).message()).content
    await scene.say(scene.mona, "moderate grant", member=scene.ada, seconds=3600)
    scene.easel.go.clear()
    running = await scene.do(scene.ada, "imagine", prompt="a red apple")
    await until(lambda: scene.easel.begun)
    waiting = await scene.do(scene.ada, "imagine", prompt="a red pizza")
    await waiting.message()
    await scene.say(scene.mona, "queue skip")
    await running.wait_for(lambda seen: "Cancelled" in seen.content)
    purged = await scene.say(scene.mona, "queue purge", member=scene.ada)
    assert "One job of" in purged.content
    await waiting.wait_for(lambda seen: "Cancelled" in seen.content)
    scene.easel.go.set()
    assert "lifts it" in (await scene.say(scene.mona, "moderate ban", member=scene.ada, reason="noise")).content
    assert "noise" in (await scene.say(scene.mona, "moderate bans")).content
    refused = await scene.do(scene.ada, "imagine", prompt="an apple")
    assert "may not ask" in (await refused.message()).content
    await scene.say(scene.mona, "moderate unban", member=scene.ada)
    await scene.picture(scene.ada, "an apple")


async def test_the_audit_log_opens_again_and_is_whole(house: House) -> None:
    scene = await house.scene()
    await scene.say(scene.mona, "moderate ban", member=scene.eve, minutes=5)
    log = await scene.say(scene.mona, "moderate audit")
    entries = read_export(log.attachments[0].data.decode())
    assert first_break(entries) is None
    assert [entry.action for entry in entries] == ["settings", "ban"]
    assert entries[-1].digest in log.content
    assert entries[-1].details["subject"] == str(scene.eve.id)


COMMANDS: Mapping[str, dict[str, Any]] = {
    "settings view": {}, "settings set": {"steps": 9}, "settings change": {"setting": "steps", "value": "9"},
    "settings try": {"setting": "steps", "value": "9"}, "settings history": {}, "settings undo": {},
    "settings export": {}, "settings import": {"file": Upload(b"steps = 9\n", "s.toml", "text/plain")},
    "settings panel": {}, "rules add": {"pattern": "cat"}, "rules remove": {"number": 1}, "rules list": {},
    "rules test": {"words": "cat"}, "moderate ban": {"member": "eve"}, "moderate unban": {"member": "eve"},
    "moderate bans": {}, "moderate grant": {"member": "eve", "seconds": 9}, "moderate audit": {},
    "queue purge": {"member": "eve"}, "queue skip": {}, "queue pause": {}, "queue resume": {}, "queue dead": {},
}  # fmt: skip


async def test_every_moderators_command_by_a_plain_member_has_no_effect(house: House) -> None:
    """Even where a server shows them to everybody: a private refusal, and the log has nothing new."""
    scene = await house.scene()
    before = await scene.actions()
    for name, options in COMMANDS.items():
        given = {key: scene.eve if value == "eve" else value for key, value in options.items()}
        told = await scene.refused(scene.ada, name, **given)
        assert "permission “Manage" in told, name
    assert await scene.actions() == before
    assert len(await scene.queue.server_settings.changes(scene.server)) == 1
    assert scene.queue.paused_servers == frozenset()
    assert await scene.queue.moderation.store.rules(scene.server) == ()
    with pytest.raises(ClientRefused, match="hidden"):
        await scene.do(scene.ada, "settings view")


# ---- places


async def test_age_restricted_channels_by_policy(house: House) -> None:
    """`only` refuses elsewhere; `relaxed` lets the shipped list rest there, and the output check too."""
    scene = await house.scene(age_restricted="only")
    told = await (await scene.do(scene.ada, "imagine", prompt="an apple")).message()
    assert "age-restricted" in told.content
    await scene.queue.server_settings.put(scene.server, ServerSettings(age_restricted="relaxed"), "1")
    refused = await scene.do(scene.ada, "imagine", prompt="a nude statue")
    assert "rules of this server" in (await refused.message()).content
    scene.studio.nsfw = True
    scene.studio.bot_lacks = ()  # tells the bot of the change
    scene.easel.score = 0.99
    await scene.picture(scene.ada, "a nude statue")


async def test_denied_channels_and_clamps(house: House) -> None:
    scene = await house.scene(most_steps=4, most_permutations=2)
    await scene.picture(scene.ada, "a red apple --steps 40")
    assert scene.easel.begun[0].steps == 4
    many = await scene.do(scene.ada, "imagine", prompt="a {red,green,blue} apple")
    assert "at most 2" in (await many.message()).content
    denied = ServerSettings(denied_channels=frozenset({str(scene.studio.id)}))
    await scene.queue.server_settings.put(scene.server, denied, "1")
    told = await (await scene.do(scene.ada, "imagine", prompt="an apple")).message()
    assert "not switched on in this channel" in told.content


async def test_a_servers_language_is_spoken(house: House) -> None:
    scene = await house.scene(language="zh-CN")
    assert "没有这项" in (await scene.say(scene.mona, "moderate unban", member=scene.eve)).content


# ---- members' data


async def test_mydata_export_and_forget(house: House) -> None:
    """The zip comes by direct message and opens; forgetting asks back, and the button is the member's alone."""
    scene = await house.scene()
    await scene.picture(scene.ada, "a secret apple")
    assert "direct messages" in (await scene.say(scene.ada, "mydata export")).content
    sent = await scene.standin.wait_for_message(scene.standin.dm(scene.ada), lambda seen: bool(seen.attachments))
    with zipfile.ZipFile(io.BytesIO(sent.attachments[0].data)) as archive:
        told = json.loads(archive.read("mydata.json"))
        assert len(archive.namelist()) == 2
    assert told["jobs"][0]["request"]["prompt"] == "a secret apple"
    job = (await scene.job()).id
    assert list((house.folder / "pictures" / job).rglob("*.png")) != []
    asked = await scene.do(scene.ada, "mydata forget")
    await asked.message()
    assert (await scene.job()).request.prompt == "a secret apple"
    done = await scene.standin.click(scene.ada, asked, "Erase everything")
    assert "1 job," in (await done.message()).content
    assert (await scene.queue.members.history(str(scene.ada.id), 1))[0] == []
    assert list((house.folder / "pictures" / job).rglob("*.png")) == []
