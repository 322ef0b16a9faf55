"""Who and what there is: users, servers, channels, members. Mutable; what changes is announced to the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import payloads
from .clock import Changes, Clock, Snowflakes
from .permissions import ALL, BOT_ROLE, ORDINARY, bits
from .records import Json, Violation

if TYPE_CHECKING:
    from .interactions import Interaction
    from .messages import Attachment, Message

#: Gateway intents that an event needs.
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 0, 1 << 9, 1 << 12
GUILD_REACTIONS, DM_REACTIONS = 1 << 10, 1 << 13
#: Types of channels. A forum holds threads only.
TEXT, PUBLIC_THREAD, PRIVATE_THREAD, FORUM = 0, 11, 12, 15


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a member gives to an attachment option."""

    data: bytes
    filename: str = "picture.png"
    content_type: str = "image/png"


@dataclass(eq=False, slots=True)
class User:
    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    accepts_dms: bool = True

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(eq=False, slots=True)
class Member:
    user: User
    guild: Guild
    #: Bits beyond @everyone's.
    extra: int
    joined: float

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def mention(self) -> str:
        return self.user.mention

    def permissions(self, channel: Channel) -> int:
        if self.user is self.guild.owner:
            return ALL
        lacks = channel.bot_lacks if self.user.bot else frozenset[str]()
        return (ORDINARY | self.extra) & ~bits(lacks)


class Channel:
    """A text channel of a server, or (without `guild`) a direct-message channel."""

    def __init__(self, world: World, name: str, guild: Guild | None, recipient: User | None = None) -> None:
        self.world = world
        self.id = world.ids.next()
        self.name = name
        self.guild = guild
        self.recipient = recipient
        self.kind = TEXT
        self.nsfw = False
        self.deleted = False
        self.messages: list[Message] = []
        self._bot_lacks: frozenset[str] = frozenset()

    @property
    def bot_lacks(self) -> frozenset[str]:
        """Names of the permissions that an overwrite takes from the bot here."""
        return self._bot_lacks

    @bot_lacks.setter
    def bot_lacks(self, names: Iterable[str]) -> None:
        bits(names)
        self._bot_lacks = frozenset(names)
        self.world.announce("CHANNEL_UPDATE", payloads.channel(self), GUILDS, self.guild)

    def delete(self) -> None:
        self.deleted = True
        self.world.announce("CHANNEL_DELETE", payloads.channel(self), GUILDS, self.guild)

    def wake(self) -> None:
        """Somebody wrote: an archived thread is open again."""

    @property
    def bot_permissions(self) -> int:
        """What the bot may do here; everything in a direct message, nothing in a server it is not in."""
        if self.guild is None:
            return ALL
        if not self.guild.has_bot:
            return 0
        return self.guild.members[self.world.bot.id].permissions(self)

    def thread(self, name: str, *, private: bool = False) -> Thread:
        """A thread that hangs in this channel; in a forum, a post."""
        assert self.guild is not None
        made = Thread(self, name, PRIVATE_THREAD if private else PUBLIC_THREAD)
        self.guild.channels[made.id] = self.world.channels[made.id] = made
        if made.bot_inside:
            self.world.announce("THREAD_CREATE", payloads.channel(made) | {"newly_created": True}, GUILDS, self.guild)
        return made


class Thread(Channel):
    """A thread: it has the permissions of its channel, and falls asleep (archived) or is closed (locked)."""

    def __init__(self, parent: Channel, name: str, kind: int) -> None:
        super().__init__(parent.world, name, parent.guild)
        self.parent = parent
        self.kind = kind
        self.created = parent.world.clock.now()
        #: Nobody can edit in it; a new message wakes it up.
        self.archived = False
        #: Only who holds Manage Threads can write in it.
        self.locked = False
        #: A private thread is for those who were added to it.
        self.bot_inside = kind == PUBLIC_THREAD

    @property
    def bot_lacks(self) -> frozenset[str]:
        return self.parent.bot_lacks

    def state(self, *, archived: bool | None = None, locked: bool | None = None) -> None:
        """Archive, lock or open it, and tell the gateway."""
        self.archived = self.archived if archived is None else archived
        self.locked = self.locked if locked is None else locked
        self.world.announce("THREAD_UPDATE", payloads.channel(self), GUILDS, self.guild)

    def wake(self) -> None:
        if self.archived and not self.locked:
            self.state(archived=False)

    def delete(self) -> None:
        self.deleted = True
        about = {key: payloads.channel(self)[key] for key in ("id", "guild_id", "parent_id", "type")}
        self.world.announce("THREAD_DELETE", about, GUILDS, self.guild)

    @property
    def bot_permissions(self) -> int:
        """As in its channel; nothing in a private thread that the bot was not added to."""
        return self.parent.bot_permissions if self.bot_inside else 0


class Guild:
    """A server."""

    def __init__(self, world: World, name: str, *, upload_limit: int | None, has_bot: bool) -> None:
        self.world = world
        self.id = world.ids.next()
        self.name = name
        #: Bytes of one file here, as boosts would raise it; None = the stand-in's own.
        self.upload_limit = upload_limit
        self.has_bot = has_bot
        self.created = world.clock.now()
        self.owner = world.user(f"owner of {name}")
        self.members: dict[int, Member] = {self.owner.id: Member(self.owner, self, ALL, self.created)}
        self.channels: dict[int, Channel] = {}
        self.bot_role_id = world.ids.next()
        #: Emoji and stickers as Discord tells them, and places for each.
        self.emojis: list[Json] = []
        self.stickers: list[Json] = []
        self.slots = 50
        if has_bot:
            self.members[world.bot.id] = Member(world.bot, self, BOT_ROLE, self.created)

    def channel(self, name: str, *, nsfw: bool = False, bot_lacks: Iterable[str] = (), forum: bool = False) -> Channel:
        made = Channel(self.world, name, self)
        made.kind = FORUM if forum else TEXT
        made.nsfw = nsfw
        bits(bot_lacks)
        made._bot_lacks = frozenset(bot_lacks)
        self.channels[made.id] = self.world.channels[made.id] = made
        self.world.announce("CHANNEL_CREATE", payloads.channel(made), GUILDS, self)
        return made

    def member(
        self, name: str, *, permissions: Iterable[str] = (), locale: str = "en-US", user: User | None = None
    ) -> Member:
        """A new member, or `user` as a member of this server too."""
        user = user or self.world.user(name, locale=locale)
        made = Member(user, self, bits(permissions), self.world.clock.now())
        self.members[user.id] = made
        return made

    def leave(self) -> None:
        """The bot is thrown out."""
        self.world.announce("GUILD_DELETE", {"id": str(self.id)}, GUILDS, self)
        self.has_bot = False
        self.members.pop(self.world.bot.id, None)


class World:
    """Everything the stand-in knows."""

    def __init__(self, name: str, upload_limit: int, request_limit: int) -> None:
        self.clock = Clock()
        self.ids = Snowflakes(self.clock)
        self.changes = Changes()
        self.name = name
        #: Bytes of one file, and of one whole request.
        self.upload_limit = upload_limit
        self.request_limit = request_limit
        #: Set when the server listens: `http://127.0.0.1:PORT`.
        self.base_url = ""
        self.application_id = self.ids.next()
        self.users: dict[int, User] = {}
        self.bot = self.user(name, bot=True, number=self.application_id)
        self.owner = self.user("the operator")
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        #: Deleted ones too.
        self.messages: dict[int, Message] = {}
        self.attachments: dict[int, Attachment] = {}
        self.interactions: dict[int, Interaction] = {}
        self.tokens: dict[str, Interaction] = {}
        #: Registered commands by scope: None is global, else a server's id.
        self.commands: dict[int | None, dict[int, Json]] = {None: {}}
        #: The application's own, which no server sees.
        self.application_emojis: dict[int, Json] = {}
        self.command_writes = 0
        self.command_creates = 0
        self.violations: list[Violation] = []
        #: Replaced by the gateway: (event name, payload, intent, server it belongs to).
        self.announce: Callable[[str, Json, int, Guild | None], None] = lambda *_: None

    def user(self, name: str, *, bot: bool = False, locale: str = "en-US", number: int | None = None) -> User:
        made = User(number or self.ids.next(), name, bot, locale)
        self.users[made.id] = made
        return made

    def guild(self, name: str, *, upload_limit: int | None = None, has_bot: bool = True) -> Guild:
        made = Guild(self, name, upload_limit=upload_limit, has_bot=has_bot)
        self.guilds[made.id] = made
        self.announce("GUILD_CREATE", payloads.guild_create(made), GUILDS, made)
        return made

    def dm(self, user: User) -> Channel:
        """The direct-message channel between the bot and `user`, opened if there is none."""
        for channel in self.channels.values():
            if channel.recipient is user:
                return channel
        made = Channel(self, "", None, user)
        self.channels[made.id] = made
        return made

    def blame(self, where: str, route: str, problem: str) -> None:
        self.violations.append(Violation(where, route, problem))

    def limit_in(self, channel: Channel) -> int:
        """Bytes of one file in this channel."""
        if channel.guild is not None and channel.guild.upload_limit is not None:
            return channel.guild.upload_limit
        return self.upload_limit
