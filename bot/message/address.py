"""Where the answer to one `/imagine` goes: what lies in `Job.reply`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...queue.moderation import Place

#: Discord honours an interaction token for 15 minutes; ours are given up a minute earlier.
TOKEN_SECONDS = 14 * 60.0
#: Marks replies that this folder wrote: other askers (the HTTP API) keep theirs in the same table.
KIND = "discord"


@dataclass(frozen=True, slots=True)
class Address:
    """One interaction, and the message that answers it. Ids are Discord's snowflakes."""

    application: int
    interaction: int
    #: Lets anyone who has it write this answer for 15 minutes: never in a log.
    token: str
    #: Unix time on this machine's clock at which the interaction came in.
    received: float
    user: int
    channel: int | None
    guild: int | None
    #: The message that carries the answer, once known.
    message: int | None = None
    #: Channel into which a new message may have been posted before its id was noted: to be looked for.
    posting: int | None = None
    #: Language in which the member is answered, such as `en-GB`.
    locale: str = "en-US"
    #: Only the member sees the message: it can be reached by the interaction alone, and never goes to a channel.
    private: bool = False
    #: The message is not the first answer to its interaction but came behind it.
    followup: bool = False
    #: The message is a new one that the bot posted when the first could not be changed: it mentions the member.
    posted: bool = False
    #: Largest file that Discord takes here, in bytes.
    file_limit: int = 10 * 2**20

    def token_open(self, now: float) -> bool:
        """Whether the interaction token may still be used at Unix time `now`."""
        return now - self.received < TOKEN_SECONDS

    def reply(self) -> dict[str, Any]:
        """As kept in the job table."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Address | None:
        """The address in a job's `reply`, or None when somebody else asked or it cannot be read."""
        fields = dict(reply)
        if fields.pop("kind", None) != KIND:
            return None
        try:
            return _reader().validate_python(fields)
        except ValidationError:
            return None


@cache
def _reader() -> TypeAdapter[Address]:
    """Making one costs as much as everything else that is done for a job's first answer."""
    return TypeAdapter(Address)


#: Everybody who asks in private is one server for the fair queue.
PRIVATE_SERVER = "dm"
#: What the bot writes to one member.
DIRECT = Place(PRIVATE_SERVER, private=True)
