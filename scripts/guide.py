"""Makes the pictures of docs/guide.md and docs/moderators.md anew: messages of the bot, drawn as a chat shows them.

    .venv/bin/python -P scripts/guide.py [NAME …]

Runs `daguerre serve` with the shipped weights against the stand-in Discord, does what a member and a moderator do, and
draws each message that arrived (scripts/guide_page.py) with chromium, which has to be installed, as has an emoji font.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]

from guide_page import Shown, form, message, page  # noqa: E402
from standin.driver import StandIn  # noqa: E402

GUIDE = ROOT / "docs" / "guide"
#: Seconds that one picture may take on a busy machine.
WAIT = 240.0
WIDTH, HEIGHT = 660, 2400
#: Most colours of a file; photographs of fewer are all there are.
COLOURS = 256


async def tour(discord: StandIn) -> dict[str, list[str]]:
    """Everything that is shown, as parts of pages by the picture's name."""
    guild = discord.guild("Darkroom")
    studio, log = guild.channel("studio"), guild.channel("moderators")
    ada, eve = guild.member("Ada"), guild.member("Eve")
    mona = guild.member("Mona", permissions=("manage_guild", "manage_messages"))
    names = {str(one.id): one.name for one in (ada, eve, mona)} | {str(log.id): "moderators", str(studio.id): "studio"}
    made: dict[str, list[str]] = {}

    def show(name: str, seen: Any, who: str = "", what: str = "") -> None:
        made.setdefault(name, []).append(message(Shown(seen, (who, what) if who else None, names)))

    async def finished(asked: Any) -> Any:
        return await asked.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1, WAIT)

    await (await discord.slash(mona, studio, "settings change", setting="log_channel", value=f"<#{log.id}>")).message(
        WAIT
    )

    # Warm up, then one request from its card to its grid.
    await finished(await discord.slash(eve, studio, "imagine", prompt="a yellow star", seed=3))
    asked = await discord.slash(ada, studio, "imagine", prompt="a red apple", seed=7, count=4)
    show("card", await asked.message(WAIT), "Ada", "/imagine")
    await discord.slash(eve, studio, "imagine", prompt="a blue car and a tree", seed=5)
    show("queue", await (await discord.slash(eve, studio, "queue mine")).message(WAIT), "Eve", "/queue mine")
    grid = await finished(asked)
    previews = [seen for seen in asked.history if seen.attachments and seen.attachments[0].filename[:7] == "preview"]
    if not previews:
        raise SystemExit("no preview came in time on this machine: try again")
    show("preview", previews[-1], "Ada", "/imagine")
    show("grid", grid, "Ada", "/imagine")
    one = await discord.click(ada, grid, "U1")
    single = await one.wait_for(lambda seen: bool(seen.attachments), WAIT)
    show("one", single)
    more = await (await discord.click(ada, single, "More")).message(WAIT)
    show("more", more)
    show("varied", await finished(await discord.click(ada, single, "Vary strongly")))
    for name, button in (("panned", "Right"), ("zoomed", "2×")):
        show(name, await finished(await discord.click(ada, more, button)))
    made["region"] = [form(await (await discord.click(ada, more, "Redraw a part")).modal(WAIT))]

    # What only one member sees.
    wrong = await discord.slash(ada, studio, "imagine", prompt="an apple --sed 7")
    show("error", await wrong.message(WAIT), "Ada", "/imagine")
    many = await discord.slash(ada, studio, "imagine", prompt="a {red, green, blue} {apple, car}")
    show("many", await many.message(WAIT), "Ada", "/imagine")
    history = await discord.slash(ada, studio, "history")
    show("history", await history.wait_for(lambda seen: bool(seen.buttons), WAIT), "Ada", "/history")
    show("help", await (await discord.slash(ada, studio, "help")).message(WAIT), "Ada", "/help")
    chinese = await discord.slash(eve, studio, "imagine", prompt="一个红苹果", seed=7, locale="zh-CN")
    show("chinese", await finished(chinese), "Eve", "/画图")
    chinese_help = await discord.slash(eve, studio, "help", locale="zh-CN")
    show("chinese-help", await chinese_help.message(WAIT), "Eve", "/帮助")

    # Moderators.
    panel = await (await discord.slash(mona, studio, "settings panel")).message(WAIT)
    show("panel", panel, "Mona", "/settings panel")
    menu = panel.components[0]["components"][0]["custom_id"]
    made["setting"] = [form(await (await discord.select(mona, panel, menu, ["most_steps"])).modal(WAIT))]
    complaint = await discord.click(eve, await (await discord.click(eve, single, "More")).message(WAIT), "Report")
    reason = (await complaint.modal(WAIT)).inputs[0].custom_id
    await (await discord.submit(eve, complaint, {reason: "it is rude"})).message(WAIT)
    card = await discord.wait_for_message(log, lambda seen: bool(seen.attachments), WAIT)
    show("report", card)
    return made


def draw(name: str, parts: Sequence[str], folder: Path) -> Path:
    """One page as a PNG, cut to what is on it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("chromium is missing: install it (on Debian: apt install chromium fonts-noto-color-emoji)")
    source, shot = folder / f"{name}.html", folder / f"{name}.png"
    source.write_text(page(*parts), encoding="utf-8")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")
    sizes = (f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}")
    subprocess.run([browser, *options, *sizes, source.as_uri()], check=True, capture_output=True, timeout=120)
    drawn = Image.open(io.BytesIO(shot.read_bytes())).convert("RGB")
    empty = Image.new("RGB", drawn.size, drawn.getpixel((WIDTH - 1, HEIGHT - 1)))
    box = ImageChops.difference(drawn, empty).getbbox() or (0, 0, WIDTH, 40)
    cut = drawn.crop((0, 0, min(WIDTH, box[2] + 16), box[3] + 14))
    file = GUIDE / f"{name}.png"
    cut.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    return file


async def main(wanted: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with StandIn() as discord:
            environment = {
                **os.environ,
                **discord.environment(),
                "DAGUERRE_STORAGE__DATA_DIR": f"{folder}/data",
                "DAGUERRE_WEB__PORT": "0",
            }
            serving = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "daguerre.app", "serve", env=environment, cwd=ROOT
            )
            try:
                await discord.wait_for_commands("imagine", timeout=WAIT)
                made = await tour(discord)
            finally:
                serving.terminate()
                await serving.wait()
        GUIDE.mkdir(exist_ok=True)
        for name, parts in made.items():
            if not wanted or name in wanted:
                file = draw(name, parts, Path(folder))
                print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
