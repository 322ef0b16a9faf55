"""Serves the stored files at their signed addresses, as long as a message has them and the address has not expired."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .faults import Faults
from .messages import sign
from .rest import cut
from .world import World


class Cdn:
    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        #: Paths that were asked for.
        self.downloads: list[str] = []
        #: Pictures of custom emoji by file name: `<id>.png`.
        self.emojis: dict[str, bytes] = {}

    def attach(self, application: web.Application) -> None:
        application.router.add_get("/cdn/attachments/{channel_id}/{attachment_id}/{filename}", self.serve)
        application.router.add_get("/emojis/{file}", self.emoji)

    async def emoji(self, http: web.Request) -> web.Response:
        """The picture of a custom emoji, at its own address on the file server."""
        self.downloads.append(http.path)
        data = self.emojis.get(http.match_info["file"])
        if data is None:
            return web.Response(status=404)
        return web.Response(body=data, content_type="image/gif" if http.path.endswith(".gif") else "image/png")

    async def serve(self, http: web.Request) -> web.StreamResponse:
        self.downloads.append(http.path)
        for fault in self._faults.strike("GET", http.path):
            await asyncio.sleep(fault.delay)
            if fault.cut:
                cut(http)
                return web.Response()
            if fault.status:
                return web.Response(status=fault.status)
        path = http.path.removeprefix("/cdn/")
        expires = http.query.get("ex", "")
        attachment = self._world.attachments.get(int(http.match_info["attachment_id"]))
        if attachment is None or http.query.get("hm") != sign(path, expires):
            return web.Response(status=404, text="This content is no longer available.")
        if int(expires, 16) < self._world.clock.now():
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=attachment.data, headers={"Content-Type": attachment.content_type})
