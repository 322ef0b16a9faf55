"""A real browser for the page: Debian's Chromium without a window, steered over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-proxy-server", "--disable-background-networking", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip


class Page:
    """One tab. What the page logs or refuses to load is in `complaints`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.complaints: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (future := self._waiting.pop(told.get("id", 0), None)) is not None and not future.done():
                future.set_result(told)
            match told.get("method"):
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(told["params"]["exceptionDetails"]))
                case "Log.entryAdded":
                    self.complaints.append(told["params"]["entry"]["text"])
                case "Runtime.consoleAPICalled":
                    self.complaints.append(str(told["params"]["args"]))

    async def send(self, method: str, **params: Any) -> Any:
        self._number += 1
        future = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        told = await asyncio.wait_for(future, 30)
        assert "error" not in told, told["error"]
        return told["result"]

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are waited for."""
        told = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, script: str, seconds: float = 60) -> Any:
        """Wait for an expression to become true."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (value := await self.run(script)):
            now = await self.run("document.body.innerText")
            assert asyncio.get_running_loop().time() < deadline, f"never: {script}\n{now}\n{self.complaints}"
            await asyncio.sleep(0.05)
        return value

    async def open(self, address: str, width: int = 1000, height: int = 900) -> None:
        await self.resize(width, height)
        await self.send("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def resize(self, width: int, height: int) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def press(self, key: str, code: int) -> None:
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def shot(self, file: Path) -> None:
        told = await self.send("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(told["data"]))  # noqa: ASYNC240


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A tab of a fresh Chromium, whose profile lies in `profile`; it ends with the block."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, f"--user-data-dir={profile}", *ARGUMENTS,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = profile / "DevToolsActivePort"
        deadline = asyncio.get_running_loop().time() + 60
        while not (port.exists() and port.read_text().strip()):
            assert asyncio.get_running_loop().time() < deadline, "Chromium does not start"
            await asyncio.sleep(0.1)
        address = f"http://127.0.0.1:{port.read_text().split()[0]}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{address}/json/list") as answer:
                tabs = await answer.json()
            where = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with session.ws_connect(where, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.ensure_future(page.listen())
                try:
                    for domain in ("Page", "Runtime", "Log"):
                        await page.send(f"{domain}.enable")
                    yield page
                finally:
                    listening.cancel()
    finally:
        process.terminate()
        await process.wait()
