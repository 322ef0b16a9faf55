"""Interaction callbacks, and the webhook that each interaction brings with it."""

from __future__ import annotations

from .drafts import edit_message
from .errors import Refused
from .interactions import DEFER, MESSAGE, UPDATE, Interaction
from .messages import Message
from .records import Json
from .rest import Answer, Call, Route


async def callback(call: Call) -> Answer:
    interaction = call.world.interactions.get(call.number("interaction_id"))
    if interaction is None or interaction.token != call.params["interaction_token"]:
        raise Refused(10062)
    kind: int = call.body.json["type"]
    interaction.answer(kind, call.sent)
    if not call.flag("with_response"):
        return Answer(204)
    return Answer(200, _told(interaction, kind))


def _told(interaction: Interaction, kind: int) -> Json:
    about: Json = {"id": str(interaction.id), "type": interaction.type, "channel_id": str(interaction.channel.id)}
    if interaction.guild is not None:
        about["guild_id"] = str(interaction.guild.id)
    whole: Json = {"interaction": about}
    original = interaction.original
    if original is not None:
        about |= {
            "response_message_id": str(original.id),
            "response_message_loading": kind == DEFER,
            "response_message_ephemeral": original.viewer is not None,
        }
        if kind in (MESSAGE, UPDATE):
            whole["resource"] = {"type": kind, "message": original.json()}
    return whole


def _interaction(call: Call) -> Interaction:
    interaction = call.world.tokens.get(call.params["webhook_token"])
    if call.number("webhook_id") != call.world.application_id:
        raise Refused(10015)
    if interaction is None:
        raise Refused(50027)
    interaction.reachable()
    if interaction.channel.deleted:
        raise Refused(10003)
    return interaction


def _message(call: Call) -> Message:
    """The message that `@original` or a follow-up's id names.

    Raises:
        Refused: 10008, it is gone or was never there.
    """
    interaction = _interaction(call)
    if "message_id" not in call.params:
        message = interaction.original
    else:
        number = call.number("message_id")
        own = [*interaction.followups, *([interaction.original] if interaction.original else [])]
        message = next((each for each in own if each.id == number), None)
    if message is None or message.deleted:
        raise Refused(10008)
    return message


async def follow_up(call: Call) -> Answer:
    return Answer(200, _interaction(call).follow_up(call.sent).json())


async def get_message(call: Call) -> Answer:
    return Answer(200, _message(call).json())


async def patch_message(call: Call) -> Answer:
    return Answer(200, edit_message(_message(call), call.sent).json())


async def delete_message(call: Call) -> Answer:
    _message(call).remove()
    return Answer(204)


WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
ROUTES = (
    Route("POST", "/interactions/{interaction_id}/{interaction_token}/callback", callback, bot=False),
    Route("POST", WEBHOOK, follow_up, bot=False),
    *(
        Route(method, f"{WEBHOOK}/messages/{which}", handler, bot=False)
        for which in ("@original", "{message_id}")
        for method, handler in (("GET", get_message), ("PATCH", patch_message), ("DELETE", delete_message))
    ),
)
