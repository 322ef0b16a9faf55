"""`StandIn`: a Discord on 127.0.0.1 for one bot; what members of its servers do, and what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import actions, payloads
from .actions import MESSAGE_MENU, SLASH, USER_MENU, Typed
from .interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from .messages import Message
from .records import EPHEMERAL, Json, SeenMessage
from .server import Server
from .tracks import InteractionRecord, Predicate, arrivals, describe, message_of
from .world import DM_REACTIONS, GUILD_REACTIONS, Channel, Guild, Member, Upload, User

Someone = Member | User
#: What stands for a message in a test's hands.
SomeMessage = SeenMessage | InteractionRecord | Message


class StandIn(Server):
    """Listens while its context is open: `async with StandIn() as discord`. Faults are in `Server`."""

    # ---- the world

    def guild(self, name: str = "Darkroom", *, upload_limit: int | None = None, has_bot: bool = True) -> Guild:
        return self.world.guild(name, upload_limit=upload_limit, has_bot=has_bot)

    def user(self, name: str, *, accepts_dms: bool = True, locale: str = "en-US") -> User:
        made = self.world.user(name, locale=locale)
        made.accepts_dms = accepts_dms
        return made

    def dm(self, user: Someone) -> Channel:
        return self.world.dm(user.user if isinstance(user, Member) else user)

    @property
    def upload_limit(self) -> int:
        """Bytes of one file."""
        return self.world.upload_limit

    @upload_limit.setter
    def upload_limit(self, limit: int) -> None:
        self.world.upload_limit = limit

    @property
    def request_limit(self) -> int:
        """Bytes of one request."""
        return self.world.request_limit

    @request_limit.setter
    def request_limit(self, limit: int) -> None:
        self.world.request_limit = limit

    @property
    def commands(self) -> dict[str, Json]:
        """Registered commands by name, those of servers too."""
        return {each["name"]: each for scope in self.world.commands.values() for each in scope.values()}

    @property
    def command_writes(self) -> int:
        return self.world.command_writes

    async def wait_for_commands(self, *names: str, timeout: float = 10) -> dict[str, Json]:
        def probe() -> dict[str, Json] | None:
            return self.commands if set(names) <= set(self.commands) and self.commands else None

        return await self._until(probe, timeout, lambda: f"commands {names}: there are {sorted(self.commands)}")

    # ---- a member does something

    async def slash(
        self,
        who: Someone,
        channel: Channel,
        name: str,
        /,
        *,
        checked: bool = True,
        age: float = 0.0,
        locale: str | None = None,
        away: bool = False,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> InteractionRecord:
        """`/name`, with sub-commands after spaces. `age`: seconds for which it was on its way already; `away`: do not
        wait for a connected bot.

        Raises:
            ClientRefused: Discord's client would not send it (unless `checked` is False).
        """
        if not away:
            await self.connected()
        first, *path = name.split()
        typed = Typed({**(options or {}), **more}, checked=checked)
        command = actions.find_command(self.world, channel, self._member(who), first, SLASH, checked=checked)
        data = actions.command_data(self.world, channel, command, path, typed)
        return self._send(COMMAND, who, channel, data, age=age, locale=locale)

    async def autocomplete(
        self, who: Someone, channel: Channel, name: str, /, *, focused: str, **values: Any
    ) -> InteractionRecord:
        """What is sent while the member types into `focused`."""
        await self.connected()
        first, *path = name.split()
        command = actions.find_command(self.world, channel, self._member(who), first, SLASH, checked=True)
        data = actions.command_data(self.world, channel, command, path, Typed({focused: "", **values}, focused))
        return self._send(AUTOCOMPLETE, who, channel, data)

    async def menu(self, who: Someone, name: str, target: SomeMessage | Member) -> InteractionRecord:
        """A context-menu command on a message or a member."""
        await self.connected()
        if isinstance(target, Member):
            channel, kind, on = next(iter(target.guild.channels.values())), USER_MENU, target
        else:
            on = message_of(target, self.world.messages)
            channel, kind = on.channel, MESSAGE_MENU
        command = actions.find_command(self.world, channel, self._member(who), name, kind, checked=True)
        return self._send(COMMAND, who, channel, actions.menu_data(self.world, channel, command, on))

    async def click(
        self, who: Someone, message: SomeMessage, button: str = "", *, custom_id: str = "", age: float = 0.0
    ) -> InteractionRecord:
        """Press the button with this label, emoji or custom_id."""
        await self.connected()
        on = message_of(message, self.world.messages)
        part = actions.find_component(on, self._user(who), custom_id or button, (2,))
        data = {"component_type": 2, "custom_id": part["custom_id"], "id": part["id"]}
        return self._send(COMPONENT, who, on.channel, data, source=on, age=age)

    async def forge(
        self,
        who: Someone,
        channel: Channel,
        custom_id: str,
        *,
        values: Sequence[str] | None = None,
        private: bool = False,
    ) -> InteractionRecord:
        """Press a button (with `values`: choose from a menu) of this id, on a message of the bot made for it.

        `private`: on one that only `who` sees.
        """
        await self.connected()
        on = Message(self.world, self.world.ids.next(), channel, self.world.bot, self.world.clock.now())
        on.content = "" if private else "forged"
        on.flags, on.viewer = (EPHEMERAL, self._user(who)) if private else (0, None)
        part: Json = {"type": 2, "style": 2, "label": "x", "custom_id": custom_id, "id": 2}
        data: Json = {"component_type": 2, "custom_id": custom_id, "id": 2}
        if values is not None:
            options = [{"label": value, "value": value} for value in values]
            part = {"type": 3, "custom_id": custom_id, "id": 2, "options": options}
            data |= {"component_type": 3, "values": list(values)}
        on.components = [{"type": 1, "id": 1, "components": [part]}]
        on.publish()
        return self._send(COMPONENT, who, channel, data, source=on)

    async def select(
        self, who: Someone, message: SomeMessage, custom_id: str, values: Sequence[str]
    ) -> InteractionRecord:
        await self.connected()
        on = message_of(message, self.world.messages)
        part = actions.find_component(on, self._user(who), custom_id, (3, 5, 6, 7, 8))
        return self._send(COMPONENT, who, on.channel, actions.select_data(part, values), source=on)

    async def submit(
        self,
        who: Someone,
        opener: InteractionRecord,
        values: Mapping[str, str | Sequence[str | Upload]],
        *,
        checked: bool = True,
    ) -> InteractionRecord:
        """Fill in and send the modal that `opener` opened; values by custom_id or label."""
        await opener.modal()
        await self.connected()
        parent = actions.opener_of(opener)
        data = actions.modal_data(parent, values, checked=checked)
        return self._send(MODAL_SUBMIT, who, parent.channel, data, source=parent.source, parent=parent)

    def react(self, who: Someone, message: SomeMessage, emoji: str) -> None:
        """MESSAGE_REACTION_ADD, for bots that asked for it."""
        on = message_of(message, self.world.messages)
        member = self._member(who)
        payload: Json = {
            "user_id": str(who.id),
            "channel_id": str(on.channel.id),
            "message_id": str(on.id),
            "message_author_id": str(on.author.id),
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        if on.channel.guild is not None and member is not None:
            payload |= {"guild_id": str(on.channel.guild.id), "member": payloads.interaction_member(member, on.channel)}
        intent = DM_REACTIONS if on.channel.guild is None else GUILD_REACTIONS
        self.world.announce("MESSAGE_REACTION_ADD", payload, intent, on.channel.guild)

    def redeliver(self, record: InteractionRecord) -> None:
        """The gateway sends the same INTERACTION_CREATE once more."""
        self.world.announce("INTERACTION_CREATE", record.interaction.payload(), 0, None)

    def delete(self, message: SomeMessage) -> None:
        """A moderator deletes it."""
        message_of(message, self.world.messages).remove()

    def _send(
        self,
        kind: int,
        who: Someone,
        channel: Channel,
        data: Json,
        *,
        source: Message | None = None,
        parent: Interaction | None = None,
        age: float = 0.0,
        locale: str | None = None,
    ) -> InteractionRecord:
        now = self.world.clock.now()
        user = self._user(who)
        member = self._member(who) if channel.guild else None
        if channel.guild is not None and member is None:
            raise ValueError(f"{user.name} is not a member of {channel.guild.name}")
        interaction = Interaction(
            self.world,
            self.world.ids.next(now - age),
            kind,
            channel,
            user,
            member,
            data,
            now - age,
            now,
            locale or user.locale,
            source=source,
            parent=parent,
        )
        self.world.announce("INTERACTION_CREATE", interaction.payload(), 0, None)
        return InteractionRecord(interaction)

    def _user(self, who: Someone) -> User:
        return who.user if isinstance(who, Member) else who

    def _member(self, who: Someone) -> Member | None:
        return who if isinstance(who, Member) else None

    # ---- what is in a channel

    def messages(self, channel: Channel, viewer: Someone | None = None) -> tuple[SeenMessage, ...]:
        """Visible now, oldest first; ephemeral ones only for their viewer."""
        seer = self._user(viewer) if viewer is not None else None
        return tuple(each.states[-1] for each in channel.messages if each.viewer is None or each.viewer is seer)

    def history(self, message: SomeMessage) -> tuple[SeenMessage, ...]:
        return tuple(message_of(message, self.world.messages).states)

    def arrivals(self, message: SomeMessage) -> tuple[SeenMessage, ...]:
        return arrivals(self.history(message))

    async def wait_for_message(
        self,
        channel: Channel,
        predicate: Predicate = bool,
        timeout: float = 10,
    ) -> SeenMessage:
        """Any message in the channel that satisfies `predicate`, now or later; ephemeral ones too."""

        def probe() -> SeenMessage | None:
            return next((each.states[-1] for each in channel.messages if predicate(each.states[-1])), None)

        def told() -> str:
            return f"no such message in #{channel.name}: {describe([each.states[-1] for each in channel.messages])}"

        return await self._until(probe, timeout, told)
