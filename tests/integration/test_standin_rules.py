"""What the stand-in holds against a request: Discord's OpenAPI description, and the rules that it leaves out."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from standin import payloads
from standin.command_rules import command_problems, command_set_problems, valid_name
from standin.driver import StandIn
from standin.openapi import openapi
from standin.quirks import QUIRKS
from standin.rules import attachment_problems, flag_problems, message_problems, modal_problems
from standin.world import World

CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
MESSAGES = "/channels/{channel_id}/messages"
COMMANDS = "/applications/{application_id}/commands"


def button(**more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "Go", "custom_id": "go", **more}


def rows(*buttons: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": 1, "components": list(buttons)}]


def command(*options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "draw", "description": "Draws.", "options": list(options), **more}


def option(name: str, **more: Any) -> dict[str, Any]:
    return {"type": 3, "name": name, "description": "An option.", **more}


TEXT = {"type": 4, "custom_id": "t", "style": 1, "label": "Text"}
V2 = 1 << 15


@pytest.mark.parametrize(
    ("route", "body", "found"),
    [
        (MESSAGES, {"content": "x", "embeds": [{"title": "y" * 257}]}, "embeds/0/title"),
        (MESSAGES, {"contents": "x"}, "'contents' was unexpected"),
        (MESSAGES, {"components": rows(button(label="x" * 81))}, "components/0/components/0/label"),
        (MESSAGES, {"components": rows(button(style=9))}, "components/0/components/0/style"),
        (MESSAGES, {"content": 5}, "content"),
        (MESSAGES, {"attachments": [{"id": 0, "description": "x" * 1025}]}, "attachments/0/description"),
        (CALLBACK, {"type": 4, "data": {"content": "x" * 2001}}, "data/content"),
        (CALLBACK, {"type": 9, "data": {"custom_id": "m", "title": "t" * 46, "components": []}}, "data/title"),
        (CALLBACK, {"type": 8, "data": {"choices": [{"name": "n", "value": "v"}] * 26}}, "data/choices"),
        (CALLBACK, {"type": 77}, "type"),
    ],
)
def test_the_schema_finds(route: str, body: dict[str, Any], found: str) -> None:
    """A body that the OpenAPI description forbids is reported with its place."""
    problems = openapi().request_problems("POST", route, body, {}, has_body=True)
    assert any(found in str(problem) for problem in problems), [str(problem) for problem in problems]


def test_quirks_are_accepted() -> None:
    """What every client sends although the description says otherwise is no violation; each quirk gives its reason."""
    body = {"content": "x", "tts": False, "attachments": [{"id": 0, "filename": "a.png"}]}
    assert not openapi().request_problems("POST", MESSAGES, body, {}, has_body=True)
    callback = {"type": 5, "data": {"flags": 64}}
    assert not openapi().request_problems("POST", CALLBACK, callback, {"with_response": "1"}, has_body=True)
    assert openapi().request_problems("POST", CALLBACK, callback, {"with_responses": "1"}, has_body=True)
    assert len({quirk.name for quirk in QUIRKS}) == len(QUIRKS)
    assert all(quirk.why for quirk in QUIRKS)


@pytest.mark.parametrize(
    ("body", "flags", "found"),
    [
        ({"content": "x" * 2001}, 0, "content"),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, 0, "embeds"),
        ({"components": rows(button(), button())}, 0, "components"),
        ({"components": rows(button()) * 6}, 0, "components"),
        ({"components": rows(button(custom_id=None))}, 0, "components: Go"),
        ({"components": rows(button(style=5))}, 0, "components: go"),
        ({"components": rows(button(label=None))}, 0, "components: go"),
        ({"components": rows(button(emoji={"name": "smile"}))}, 0, "components: go"),
        ({"components": [{"type": 10, "content": "x"}]}, 0, "components/0"),
        ({"content": "x", "components": [{"type": 10, "content": "x"}]}, V2, "content"),
        ({"components": [{"type": 10, "content": "x" * 4001}]}, V2, "components"),
        ({"components": [{"type": 10, "content": "x"}] * 41}, V2, "components"),
        (
            {"components": [{"type": 12, "items": [{"media": {"url": "attachment://b.png"}}]}]},
            V2,
            "components/items/0/media/url",
        ),
        ({"embeds": [{"image": {"url": "attachment://b.png"}}]}, 0, "embeds/0/image/url"),
        ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 0, "allowed_mentions"),
    ],
)
def test_rules_for_messages(body: dict[str, Any], flags: int, found: str) -> None:
    """Each of these passes the schema, and Discord refuses it."""
    assert found in message_problems(body, flags=flags, filenames={"a.png"})


def test_a_good_message_has_no_problem() -> None:
    """The rules refuse nothing that Discord takes."""
    plain = {"content": "x", "embeds": [{"image": {"url": "attachment://a.png"}}], "components": rows(button())}
    assert not message_problems(plain, flags=0, filenames={"a.png"})
    gallery = {"type": 12, "items": [{"media": {"url": "attachment://a.png"}}]}
    inside = {"type": 17, "components": [{"type": 10, "content": "x"}, gallery, *rows(button(emoji={"name": "🔁"}))]}
    assert not message_problems({"components": [inside]}, flags=V2, filenames={"a.png"})


def test_rules_for_flags_and_attachments() -> None:
    """Ephemeral belongs to interactions; each file is listed once, and only what is there can be kept."""
    assert flag_problems(64, interaction=False)
    assert not flag_problems(64 | V2, interaction=True)
    assert not attachment_problems(None, [0, 1], [])
    assert not attachment_problems([{"id": 0}, {"id": "77"}], [0], [77])
    assert "attachments" in attachment_problems([{"id": 0}], [0, 1], [])
    assert "attachments/1/id" in attachment_problems([{"id": 0}, {"id": "78"}], [0], [77])


def test_rules_for_commands() -> None:
    """Names in lower case of any script, required options first, unique names, no choices beside autocomplete."""
    assert not command_problems(command(option("prompt", required=True), option("style")))
    assert all(valid_name(name) for name in ("imagine", "größe", "画像", "zwei-wörter", "x_1"))
    assert not any(valid_name(name) for name in ("Imagine", "two words", "", "a" * 33, "no!"))
    choices = [{"name": "a", "value": "a"}, {"name": "a", "value": "b"}]
    for broken in (
        command(name="Draw"),
        command(option("a"), option("b", required=True)),
        command(option("a"), option("a")),
        command(option("a", choices=choices)),
        command(option("a", choices=choices[:1], autocomplete=True)),
        command(option("a"), {"type": 1, "name": "sub", "description": "x"}),
        command(option("a", min_length=5, max_length=4)),
        command(description=""),
        command(name_localizations={"de": "Malen"}),
    ):
        assert command_problems(broken), broken
    assert command_set_problems([command(), command()])
    assert command_set_problems([command(name=f"c{number}") for number in range(101)])


def test_rules_for_modals() -> None:
    """At most five rows, which the schema does not say; no custom_id twice; lengths that can be met."""

    def modal(*inputs: dict[str, Any]) -> dict[str, Any]:
        return {"custom_id": "m", "title": "t", "components": [{"type": 1, "components": [each]} for each in inputs]}

    assert not modal_problems(modal(TEXT, TEXT | {"custom_id": "u"}))
    assert modal_problems(modal(*(TEXT | {"custom_id": str(number)} for number in range(6))))
    assert modal_problems(modal(TEXT, TEXT))
    assert modal_problems(modal(TEXT | {"min_length": 5, "max_length": 4}))
    assert modal_problems(modal(TEXT | {"max_length": 4, "value": "longer"}))


async def test_a_broken_request_is_refused_and_reported(standin: StandIn) -> None:
    """Both kinds of problems are answered with 400 code 50035 and kept as violations; nothing is sent."""
    channel = standin.guild().channel("studio")
    headers = {"Authorization": f"Bot {standin.token}", "User-Agent": "DiscordBot (https://example.org, 1)"}
    address = f"{standin.api_base}/channels/{channel.id}/messages"
    async with aiohttp.ClientSession(headers=headers) as session:
        for body in ({"content": 5}, {"components": rows(button(), button()), "content": "x"}):
            async with session.post(address, json=body) as response:
                assert (response.status, (await response.json())["code"]) == (400, 50035)
        async with session.post(address, json={}) as response:
            assert (await response.json())["code"] == 50006
        async with session.post(address, json={"content": "x", "colour": "red"}) as response:
            assert response.status == 200
    assert len(standin.messages(channel)) == 1
    for part in ("content: 5 is not", "cannot be duplicated", "empty message", "'colour' was unexpected"):
        assert len(standin.expect_violation(part)) == 1


def test_what_the_gateway_sends_fits_the_schema() -> None:
    """The gateway has no description of its own; what it shares with REST is checked against that."""
    world = World("Daguerre", 1, 1)
    guild = world.guild("Darkroom")
    channel, ada = guild.channel("studio", bot_lacks=["attach_files"]), guild.member("Ada")
    for schema, payload in (
        ("UserPIIResponse", payloads.me(world)),
        ("UserResponse", payloads.user(ada.user)),
        ("BasicGuildMemberResponse", payloads.member(ada)),
        ("GuildChannelResponse", payloads.channel(channel)),
        ("PrivateChannelResponse", payloads.channel(world.dm(ada.user))),
        ("GuildWithCountsResponse", payloads.guild(guild)),
        ("PrivateApplicationResponse", payloads.application(world)),
    ):
        assert not openapi().schema_problems(schema, payload), schema
