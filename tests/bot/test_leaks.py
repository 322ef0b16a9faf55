"""Every component, command, menu, reaction and form, on pictures in every state and in every place: nothing leaks.

A new component or command fails here until it is walked; a new way that reads pictures without a permit fails too.
"""

from __future__ import annotations

import ast
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botkit import a_bot, a_queue, a_worker, png, told, until
from leakkit import PLACES, STATES, House, Palette, Place
from sourcekit import dynamic_items
from standin.driver import StandIn
from standin.records import ClientRefused
from standin.tracks import InteractionRecord
from standin.world import Member, Upload, User

from daguerre.bot.message.keys import EMOJI, Key
from daguerre.bot.moderation.report_cards import LABELS
from daguerre.queue.moderation import permits
from daguerre.queue.moderation.records import Marks
from daguerre.queue.moderation.showing import Decision, Judged, Origin, Sight, Use, Viewer, decide
from daguerre.queue.moderation.showing import Place as Where
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.schema_moderation import REPORTS
from daguerre.queue.store.server_settings import ServerSettings

PROJECT = Path(__file__).resolve().parents[2]
#: What is put into a form, by its action.
FORMS: dict[str, dict[str, Any]] = {
    "remix": {"prompt": "a red apple"},
    "region": {"prompt": "a worm"},
    "emoji": {"name": "x{job}"},
    "sticker": {"name": "x{job}"},
    "report": {"reason": "it is rude"},
}
#: Every slash command, with what is typed into it; moderators' ones are refused to Ada, which is walked too.
COMMANDS: dict[str, dict[str, Any]] = {
    "imagine": {"prompt": "a red apple"}, "info": {}, "show": {"job": "{job}"}, "history": {}, "favourites": {},
    "help": {}, "prefer": {"count": 1}, "queue mine": {}, "queue status": {}, "queue pause": {}, "queue resume": {},
    "queue dead": {}, "queue retry": {"job": "{job}"}, "queue cancel": {"job": "{job}"},
    "queue drain": {}, "queue purge": {"member": "Eve"}, "queue skip": {},
    "settings view": {}, "settings set": {}, "settings change": {"setting": "steps", "value": "9"},
    "settings try": {"setting": "steps", "value": "9"}, "settings history": {}, "settings undo": {},
    "settings export": {}, "settings import": {"file": Upload(b"steps = 9\n", "s.toml", "text/plain")},
    "settings panel": {},
    "rules add": {"pattern": "zebra"}, "rules remove": {"number": 99}, "rules list": {},
    "rules test": {"words": "cat"}, "moderate ban": {"member": "Eve"}, "moderate unban": {"member": "Eve"},
    "moderate bans": {}, "moderate grant": {"member": "Eve", "seconds": 9}, "moderate audit": {},
    "mydata export": {}, "mydata forget": {}, "verify": {"picture": Upload(png(1, 64, 64), "p.png", "image/png")},
}  # fmt: skip
#: Those that change what the walk stands on, so that nobody who may does them.
UNDERMINING = ("settings import", "settings undo", "settings change", "queue pause", "queue drain")
MENUS = ("Use as image prompt", "Picture info", "Report picture")
REACTIONS = ("✉️", "⭐", "❌")
PAGES = ("daguerre:page:history:0", "daguerre:page:history:1", "daguerre:page:favourites:0")
OTHERS = (
    *(f"daguerre:{action}:0000000000000000" for action in ("yes", "paint", "swap")),
    *("daguerre:settings:0", "daguerre:forget:1"),
)


@asynccontextmanager
async def a_house(folder: Path) -> AsyncIterator[House]:
    easel = Palette()
    async with (
        StandIn() as standin,
        a_queue(folder, max_queued_per_member=1000) as queue,
        a_worker(queue, easel, slots=4),
        a_bot(standin, queue, folder),
    ):
        house = House(standin, queue, easel)
        await house.build()
        yield house


# ---- one step of a walk


async def press(house: House, who: Member | User, place: Place, custom_id: str) -> None:
    """A component of this id, and the form that it opens."""
    values = ["steps"] if ":settings:" in custom_id else None
    record = await house.standin.forge(who, place.channel, custom_id, values=values, private=":page:" in custom_id)
    ack = await record.ack()
    if ack.type == 9:
        kind, job = custom_id.split(":")[1], custom_id.split(":")[2]
        if kind in FORMS:
            given = {name: str(value).format(job=job[-8:]) for name, value in FORMS[kind].items()}
            record = await house.standin.submit(who, record, given, checked=False)
            await record.ack()
    if record.interaction.answered != 9:
        await house.settle(record)


async def command(house: House, who: Member | User, place: Place, name: str, job: str) -> None:
    """A slash command, past Discord's hiding of it."""
    if place.kind == "dm" and name.split()[0] in ("settings", "rules", "moderate", "queue"):
        return
    given: dict[str, Any] = {}
    for option, value in COMMANDS[name].items():
        given[option] = place.who[value] if value == "Eve" else value
        if value == "{job}":
            given[option] = job[:16]
    record = await house.standin.slash(who, place.channel, name, checked=False, options=given)
    await house.settle(record)


async def on_a_message(house: House, who: Member | User, place: Place, what: str) -> None:
    """A menu entry or a reaction, on the newest picture of the bot that stands there for all."""
    seen = [one for one in house.standin.messages(place.channel) if one.attachments and one.viewer_id is None]
    if not seen:
        return
    if what in REACTIONS:
        house.standin.react(who, seen[-1], what)
        await house.settle()
        return
    try:
        record: InteractionRecord = await house.standin.menu(who, what, seen[-1])
    except ClientRefused:
        return
    if (await record.ack()).type == 9:
        await house.standin.submit(who, record, {"prompt": "a red apple"}, checked=False)
    await house.settle()


def components(job: str, *pictures: int | None) -> list[str]:
    """Every action of every button of a job."""
    return [Key(action, job, picture).custom_id for action in EMOJI for picture in pictures or (0, None)]


async def cards(house: House) -> list[str]:
    """Every button of every report."""
    rows = await house.queue._database.view(lambda one: one.execute(REPORTS.select()).mappings().all())
    return [f"daguerre-card:{action}:{row['number']}" for row in rows for action in LABELS]


# ---- what there is to walk


async def test_everything_is_walked(tmp_path: Path) -> None:
    """Every kind of component, every command and every menu entry has its step in the walks below."""
    async with a_house(tmp_path) as house:
        given: set[str] = set()
        menus: set[str] = set()
        for name, one in house.standin.commands.items():
            below = [option["name"] for option in one.get("options", []) if option["type"] == 1]
            given |= {f"{name} {option}" for option in below} or ({name} if one["type"] == 1 else set())
            menus |= {name} if one["type"] == 3 else set()
        assert given == set(COMMANDS)
        assert menus == set(MENUS)
        walked = [*components("0" * 32), *PAGES, *OTHERS, *(f"daguerre-card:{action}:1" for action in LABELS)]
        for kind in dynamic_items():
            template: Any = kind.__discord_ui_compiled_template__
            assert any(template.fullmatch(custom_id) for custom_id in walked), kind


#: Actions that ask for another picture; they begin from theirs by one function.
DRAWING = {"vary", "again", "subtle", "strong", "region", "upscale", "zoom15", "zoom20", "left", "right", "up", "down"}
#: Once in the suite, and every combination by hand.
THOROUGH = pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.slow)])


@THOROUGH
async def test_every_component_and_command_on_pictures_in_every_state(tmp_path: Path, thorough: bool) -> None:
    """In the server where they were made: by their owner, by a stranger, by a moderator who only looks."""
    async with a_house(tmp_path) as house:
        home = house.places["home"]
        for state, job in house.jobs.items():
            for number, custom_id in enumerate(components(job.id, 0)):
                who = "Ada" if state != "clean" else ("Eve", "Mona")[number % 2]
                action = custom_id.split(":")[1]
                if not thorough and action in DRAWING - {"strong"} and state not in ("held", "spoilered"):
                    continue
                await press(house, home.who[who], home, custom_id)
                await house.look(f"{who} {state} {custom_id}")
        for who, custom_id in itertools.product(("Ada", "Eve"), (*PAGES, *OTHERS, *await cards(house))):
            await press(house, home.who[who], home, custom_id)
            await house.look(f"{who} {custom_id}")
        for name in COMMANDS:
            await command(house, home.who["Ada"], home, name, house.jobs["held"].id)
            await house.look(f"/{name}")
        for who, what in itertools.product(("Eve", "Ada"), (*MENUS, *REACTIONS)):
            await on_a_message(house, home.who[who], home, what)
            await house.look(f"{who} {what}")
        assert not house.leaks, "\n".join(house.leaks)


@THOROUGH
async def test_every_component_in_every_place(tmp_path: Path, thorough: bool) -> None:
    """Pictures of a direct message, of a private answer and of an age-restricted channel, brought everywhere else."""
    async with a_house(tmp_path) as house:
        for place in house.places.values():
            for state in STATES if thorough else ("dm", "relaxed"):
                for action in EMOJI if thorough else ("use", "strong", "emoji", "report"):
                    await press(house, place.who["Ada"], place, Key(action, house.jobs[state].id, 0).custom_id)
                    await house.look(f"{place.kind} {state} {action}")
            for what in (*PAGES, *MENUS, *REACTIONS):
                act = press if what in PAGES else on_a_message
                await act(house, place.who["Ada"], place, what)
                await house.look(f"{place.kind} {what}")
        assert not house.leaks, "\n".join(house.leaks)


async def walk(house: House, steps: int, seed: int) -> dict[str, int]:
    """Random steps, moderators' decisions among them; gives how often each kind was taken."""
    dice, taken = random.Random(seed), dict[str, int]()
    for number in range(steps):
        place = house.places[dice.choice(PLACES)]
        state = dice.choice(STATES)
        job = house.jobs[state].id
        name = dice.choice(("Ada", "Ada", "Ada", "Mona", "Eve")) if place.kind != "dm" else "Ada"
        who, kind = place.who[name], dice.choice(("component", "component", "component", "command", "message", "card"))
        match kind:
            case "component":
                what = dice.choice((*components(job), *PAGES))
                if ":delete:" not in what or dice.random() < 0.2:
                    await press(house, who, place, what)
            case "command":
                what = dice.choice([name for name in COMMANDS if name not in UNDERMINING and name != "mydata forget"])
                await command(house, who, place, what, job)
            case "message":
                what = dice.choice((*MENUS, *REACTIONS))
                await on_a_message(house, who, place, what)
            case _:
                what = dice.choice(await cards(house))
                await press(house, who, place, what)
        taken[kind] = taken.get(kind, 0) + 1
        await house.look(f"step {number}: {name} in {place.kind}, {state}, {what}")
    return taken


async def test_a_random_walk_finds_no_leak(tmp_path: Path) -> None:
    """Where moderators decide meanwhile, in any order."""
    async with a_house(tmp_path) as house:
        taken = await walk(house, 120, seed=7)
        assert not house.leaks, "\n".join(house.leaks)
    assert sum(taken.values()) == 120


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_a_thousand_random_steps_find_no_leak(tmp_path: Path, seed: int) -> None:
    """300 steps in each of five houses; prints what was done."""
    async with a_house(tmp_path) as house:
        taken = await walk(house, 300, seed)
        print(f"seed {seed}: {sum(taken.values())} steps {taken}, {len(house.easel.begun)} pictures drawn, "
              f"{len(house.standin.world.messages)} messages, {len(house.leaks)} leaks")  # fmt: skip
        assert not house.leaks, "\n".join(house.leaks)


async def test_the_walk_sees_leaks_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a gate that lets everything through: so the walks above are not blind."""

    def open_gate(use: Use, origin: Origin, *_: Any) -> Decision:
        return Decision(Sight.SHOW if origin.there else Sight.REFUSE, why="gone")

    async with a_house(tmp_path) as house:
        monkeypatch.setattr(permits, "decide", open_gate)
        for state in ("held", "spoilered", "deleted", "private"):
            for action, place in (("use", "home"), ("strong", "home"), ("use", "denied"), ("use", "ruled")):
                key = Key(action, house.jobs[state].id, 0).custom_id
                await press(house, house.places[place].who["Ada"], house.places[place], key)
                await house.look(f"{state} {place} {action}")
        seen = {tuple(leak.split(":")[0].split()) for leak in house.leaks}
    held = {(state, place, "use") for state in ("held", "deleted") for place in ("home", "denied", "ruled")}
    assert held <= seen
    assert {("held", "home", "strong"), ("spoilered", "home", "use"), ("private", "denied", "use")} <= seen


async def test_after_a_restart_nothing_is_brought_that_was_decided_about(tmp_path: Path) -> None:
    """Rendered while no bot ran, and held, taken away or its member banned before it came back."""
    easel = Palette()
    async with StandIn() as standin, a_queue(tmp_path) as queue, a_worker(queue, easel):
        guild = standin.guild("Darkroom")
        studio, ada, eve = guild.channel("studio"), guild.member("Ada"), guild.member("Eve")
        await queue.server_settings.put(str(guild.id), ServerSettings(hold_from=0), "1")
        asked: dict[str, InteractionRecord] = {}
        await queue.pause()
        async with a_bot(standin, queue, tmp_path):
            for kind, who in (("held", ada), ("deleted", ada), ("banned", ada), ("spoiler", eve)):
                asked[kind] = await standin.slash(who, studio, "imagine", prompt=f"a {kind} apple")
                await asked[kind].message()
        jobs = {
            kind: job for kind in asked for job in await queue.pending_notifications() if kind in job.request.prompt
        }
        store = queue.moderation.store
        for kind, changes in (
            ("held", {"review": "held"}),
            ("deleted", {"deleted": True}),
            ("spoiler", {"spoiler": True}),
        ):
            await store.mark(jobs[kind].id, **changes)
        await queue.resume()

        async def rendered() -> bool:
            return (await queue.counts())[JobState.RENDERED] == len(asked)

        await until(rendered)
        await store.ban(str(guild.id), "member", str(ada.id), "1", until=None)
        async with a_bot(standin, queue, tmp_path):
            await told(queue)
        shown = {kind: [file.spoiler for file in record.history[-1].attachments] for kind, record in asked.items()}
        assert shown == {"held": [], "deleted": [], "banned": [], "spoiler": [True]}


# ---- that it cannot be forgotten


def calls_of(name: str) -> list[tuple[str, ast.Call, ast.AST]]:
    """Every call of a method or class of this name in the source, with its file and the function around it."""
    found: list[tuple[str, ast.Call, ast.AST]] = []
    for folder in ("app", "bot", "queue", "web"):
        for file in sorted((PROJECT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            around = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
            for function in around or [tree]:
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        called = node.func
                        text = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                        if text == name:
                            found.append((file.relative_to(PROJECT).as_posix(), node, function))
    return found


def test_only_the_gate_makes_permits_and_only_a_permit_opens_the_store() -> None:
    """Bytes of pictures leave the store in three places: for a permit, for a worker, and nowhere else."""
    assert {file for file, _, _ in calls_of("Permit")} == {"queue/moderation/permits.py"}
    reading = {
        file
        for file, call, _ in calls_of("get")
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).endswith("_pictures")
    }
    assert reading == {"queue/moderation/permits.py", "queue/pictures/sources.py"}
    stores = {
        path.name
        for folder in ("app", "bot", "web")
        for path in (PROJECT / folder).rglob("*.py")
        if "PictureStore" in path.read_text(encoding="utf-8") or "._pictures.get" in path.read_text(encoding="utf-8")
    }
    assert stores == set()


def test_what_a_permit_opens_is_blurred_where_it_says_so() -> None:
    """Each function of the bot that takes pictures for a permit also looks at whether they are to be blurred."""
    for file, call, function in calls_of("pictures"):
        if not file.startswith("bot/") or not isinstance(call.func, ast.Attribute):
            continue
        if not ast.unparse(call.func.value).endswith(("queue", "_queue")):
            continue
        source = ast.unparse(function)
        assert "as_permitted" in source or "blurred" in source or "permit: Permit" in source, (file, call.lineno)


def test_every_answer_of_the_gate() -> None:
    """Every combination: what was taken away or waits is seen by moderators' cards alone, what is blurred stays so."""
    flags = (False, True)
    marks = [
        Marks(spoiler, review, hidden, deleted, relaxed)
        for spoiler, review, hidden, deleted, relaxed in itertools.product(
            flags, ("", "held", "released", "rejected"), flags, flags, flags
        )
    ]
    count = 0
    for use, mark, home, own, moderates, banned, allowed, ruled, reported in itertools.product(
        Use, marks, flags, flags, flags, flags, flags, ("", "spoiler", "stop"), flags
    ):
        origin = Origin("ada", "1", there=True)
        place = Where("1" if home else "2", allowed=allowed)
        viewer = Viewer("ada" if own else "eve", moderates, banned)
        given = decide(use, origin, Judged(mark, reported=reported, ruled=ruled), place, viewer)
        count += 1
        if use is Use.WORDS:
            continue  # No picture: below.
        if use is Use.REVIEW:
            assert given.sight is Sight.SPOILER
            continue
        if mark.review in ("held", "rejected") or mark.deleted:
            assert given.sight is Sight.REFUSE
            continue
        if not own and not (moderates and home):
            assert given.sight is Sight.REFUSE
            continue
        shown = given.sight in (Sight.SHOW, Sight.SPOILER)
        if use is Use.LOOK:
            assert given.sight is Sight.PRIVATE
        if use is not Use.ANSWER:
            assert not (shown and (banned or not allowed or ruled == "stop" or mark.relaxed))
            assert given.blurred or given.sight is Sight.REFUSE or not reported
        if given.sight is not Sight.REFUSE:
            assert given.blurred or not (mark.spoiler or mark.hidden or ruled == "spoiler")
            assert (given.sight is Sight.SPOILER) <= given.blurred
            assert not (given.sight is Sight.SHOW and given.blurred)
        assert decide(use, Origin("ada", "1", there=False), Judged(mark), place, viewer).sight is Sight.REFUSE
    assert count > 10_000


def test_words_are_for_whoever_sees_the_message() -> None:
    """Also when the files are gone; what is private, waits or was taken away is its member's and the moderators'."""
    for there, private, held, own, moderates in itertools.product((False, True), repeat=5):
        judged = Judged(Marks(review="held" if held else ""))
        viewer = Viewer("ada" if own else "eve", moderates)
        given = decide(Use.WORDS, Origin("ada", "1", there, private), judged, Where("1"), viewer)
        assert (given.sight is Sight.SHOW) == (own or moderates or not (private or held))
