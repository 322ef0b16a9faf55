"""How soon the bot is ready, answers and delivers, against the stand-in Discord, with the shipped weights.

    python -P benchmarks/first_light.py [--json FILE]

Prints seconds: start of `daguerre serve` → commands registered and gateway identified; click → status card; click →
picture, with the worker's start and warm; and whether importing the bot pulls in torch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from standin.driver import StandIn  # noqa: E402  the folder of the tests is put on the path first

Figures = dict[str, float | bool]


async def measure(pictures: int) -> Figures:
    """One run with its own data folder."""
    figures: Figures = {"bot_imports_torch": await imports_torch()}
    async with StandIn() as discord:
        guild = discord.guild("Darkroom")
        channel, member = guild.channel("studio"), guild.member("Ada")
        with tempfile.TemporaryDirectory() as folder:
            kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAGUERRE_", "DISCORD_"))}
            environment = {
                **kept,
                **discord.environment(),
                "DAGUERRE_STORAGE__DATA_DIR": folder,
                "DAGUERRE_WEB__PORT": "0",
                "DAGUERRE_LOG__LEVEL": "error",
            }
            begun = time.perf_counter()
            serving = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "daguerre.app", "serve", env=environment
            )
            try:
                await discord.connected()
                await discord.wait_for_commands(timeout=60)
                figures["ready_s"] = time.perf_counter() - begun
                cards: list[float] = []
                for number in range(pictures):
                    clicked = time.perf_counter()
                    asked = await discord.slash(member, channel, "imagine", prompt="a red apple", seed=number)
                    await asked.ack()
                    cards.append(time.perf_counter() - clicked)
                    await asked.wait_for(lambda message: message.attachments, 300)
                    name = "first_picture_s" if number == 0 else "warm_picture_s"
                    figures[name] = time.perf_counter() - clicked
                figures["card_s"] = max(cards)
            finally:
                serving.terminate()
                stopping = time.perf_counter()
                await asyncio.wait_for(serving.wait(), 20)
                figures["stop_s"] = time.perf_counter() - stopping
    return figures


async def imports_torch() -> bool:
    """Whether `import daguerre.bot.client` brings torch along."""
    code = "import sys, daguerre.bot.client; sys.exit('torch' in sys.modules)"
    return await (await asyncio.create_subprocess_exec(sys.executable, "-c", code)).wait() != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=4, help="clicks, one after the other")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    figures = asyncio.run(measure(options.pictures))
    for name, value in figures.items():
        print(f"{name:<18} {value if isinstance(value, bool) else round(value, 3)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
