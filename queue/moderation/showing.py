"""The gate before anybody's eyes: what may be shown of a picture, how, to whom and where. Pure.

Its twin (gate.py) decides what may be asked for. Whatever puts a picture anywhere asks this one, by permits.py,
which collects the facts and alone hands out the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from .records import Marks

NO_MARKS = Marks()


class Use(StrEnum):
    """What somebody wants of a picture."""

    #: See it in an answer that nobody else sees: albums, direct messages, one's data, the HTTP API.
    LOOK = "look"
    #: Have it in a message for everybody who reads there.
    POST = "post"
    #: The answer to its own request, in the message that waits for it.
    ANSWER = "answer"
    #: Begin another picture from it.
    SOURCE = "source"
    #: Make an emoji or a sticker of it: seen by all, and never blurred.
    EXPRESSION = "expression"
    #: The card in the channel of the moderators who decide about it.
    REVIEW = "review"
    #: Read how it was made: prompt, flags, seed.
    WORDS = "words"


class Sight(StrEnum):
    """How a picture may be shown."""

    SHOW = "show"
    #: To everybody there, behind a spoiler.
    SPOILER = "spoiler"
    #: To the one who asks alone.
    PRIVATE = "private"
    REFUSE = "refuse"


#: Why not, or why to nobody else; the bot has a text for each.
Why = Literal[
    "", "gone", "held", "deleted", "not_yours", "banned", "place", "age", "rule", "removed_here", "private", "blurred"
]
#: What the rules of a place say about a picture that is brought there.
Ruled = Literal["", "spoiler", "stop"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The picture, and where it comes from."""

    member: str
    server: str
    #: Its files are in the store and its job is not forgotten.
    there: bool
    #: It was answered so that its member alone sees it.
    private: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where it would be seen: ids are Discord's, `dm` or `local`."""

    server: str
    #: Nobody but the viewer reads there.
    private: bool = False
    #: Pictures may be asked for in this channel.
    allowed: bool = True
    #: Discord lets only adults in, and the server allows more there.
    adult: bool = False


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who wants it."""

    member: str
    #: Holds Manage Messages in the place.
    moderates: bool = False
    #: May not ask for pictures in the place.
    banned: bool = False
    #: Has the picture before them, in a message that the gate let through.
    sees: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided about it, and what would be decided in the place."""

    #: By the moderators, rules and output check of its own server.
    marks: Marks = NO_MARKS
    #: A report about it is open.
    reported: bool = False
    #: By the moderators of the place, where that is another server.
    hidden_here: bool = False
    removed_here: bool = False
    #: By the rules, lists and output limit of the place.
    ruled: Ruled = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; `blurred`: behind a spoiler, also where one member alone sees it."""

    sight: Sight
    blurred: bool = False
    why: Why = ""


def decide(use: Use, origin: Origin, judged: Judged, place: Place, viewer: Viewer) -> Decision:
    """Whether and how a picture may be shown."""
    marks = judged.marks
    own, home = viewer.member == origin.member, place.server == origin.server
    theirs = own or (viewer.moderates and home)
    taken = marks.deleted or marks.review in ("held", "rejected")
    if use is Use.WORDS:
        # No picture: who sees its message may know, but for what is private or not to be seen.
        refused = not theirs and (origin.private or taken)
        return Decision(Sight.REFUSE, why="not_yours") if refused else Decision(Sight.SHOW)
    if not origin.there:
        return Decision(Sight.REFUSE, why="gone")
    if use is Use.REVIEW:
        # Moderators decide about it, so they have to see it; the caller sends it to their channel alone.
        return Decision(Sight.SPOILER, blurred=True)
    if marks.review == "held":
        return Decision(Sight.REFUSE, why="held")
    if marks.deleted or marks.review == "rejected":
        return Decision(Sight.REFUSE, why="deleted")
    if not theirs and not (viewer.sees and use is Use.SOURCE):
        return Decision(Sight.REFUSE, why="not_yours")

    blurred = marks.spoiler or marks.hidden or judged.ruled == "spoiler"
    if use is Use.ANSWER:
        # It was let in where it was asked for; only what has happened to it or to its member since counts, and last
        # of all what a moderator has said about the picture itself.
        if viewer.banned and marks.review != "released":
            return Decision(Sight.REFUSE, why="banned")
        return Decision(Sight.SPOILER if blurred else Sight.SHOW, blurred)
    blurred = blurred or judged.reported or judged.hidden_here
    adult_only = marks.relaxed and not place.adult
    blurred = blurred or adult_only or judged.ruled == "stop"

    why = _kept_from_others(origin, judged, place, viewer, own=own, adult_only=adult_only)
    match use:
        case Use.SOURCE | Use.EXPRESSION if why:
            return Decision(Sight.REFUSE, why=why)
        case Use.EXPRESSION if blurred:
            return Decision(Sight.REFUSE, why="blurred")
        case Use.LOOK:
            return Decision(Sight.PRIVATE, blurred, why)
        case Use.POST if why:
            return Decision(Sight.PRIVATE, blurred, why)
        case _:
            return Decision(Sight.SPOILER if blurred else Sight.SHOW, blurred)


def _kept_from_others(
    origin: Origin, judged: Judged, place: Place, viewer: Viewer, *, own: bool, adult_only: bool
) -> Why:
    """Why the others in the place may not see it; empty where they may."""
    if viewer.banned:
        return "banned"
    if judged.removed_here:
        return "removed_here"
    if not place.allowed:
        return "place"
    if adult_only:
        return "age"
    if judged.ruled == "stop":
        return "rule"
    return "private" if origin.private and not own else ""
