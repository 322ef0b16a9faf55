"""Pictures that are sent to the studio: looked at by their content, whatever they call themselves."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from PIL import Image
from studiokit import studio
from webkit import Client

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.web.reading import MAX_PICTURE

PNG = {"Content-Type": "image/png"}
#: Files that are sent, damaged in some way each.
DAMAGED = 1_000


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with studio(queue) as found, TestClient(found.server) as client:
        yield client


def pictures() -> list[bytes]:
    """A small picture in every kind that is taken."""
    made: list[bytes] = []
    noise = Image.effect_noise((48, 40), 80)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "AVIF"):
        file = io.BytesIO()
        noise.save(file, kind)
        made.append(file.getvalue())
    return made


async def sent(client: Client, data: bytes, kind: str = "image/png") -> tuple[int, dict[str, object]]:
    answer = await client.post("/api/v1/sources", data=data, headers={"Content-Type": kind})
    return answer.status, await answer.json()


async def test_what_a_file_is_is_looked_at(client: Client) -> None:
    """Its kind by name counts for nothing; too many bytes or pixels, and what is none, are refused in words."""
    for data in pictures():
        status, told = await sent(client, data, "application/octet-stream")
        assert (status, told["width"], told["height"]) == (201, 48, 40)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for data in (b"", b"<html>", svg, b"MZ" + bytes(400), b"%PDF-1.7"):
        status, told = await sent(client, data)
        assert (status, told["message"]) == (
            400,
            "This is no picture that I can read. PNG, JPEG, WebP, GIF and AVIF work.",
        )
    answer = await client.post("/api/v1/sources", data=io.BytesIO(bytes(MAX_PICTURE + 1)), headers=PNG)
    assert (answer.status, (await answer.json())["error"]) == (413, "too_large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_PICTURE // 65_536 + 2):
            yield bytes(65_536)

    answer = await client.post("/api/v1/sources", data=endless(), headers=PNG)
    assert answer.status == 413


async def test_a_small_file_of_many_pixels_is_refused_before_it_is_unpacked(client: Client) -> None:
    """41 megapixels in a PNG of some bytes: its head is enough to know."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 6_500, 6_400, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    status, told = await sent(client, bomb)
    assert status == 400
    assert "at most 40 million" in str(told["message"])


async def test_a_thousand_damaged_files_break_nothing(client: Client) -> None:
    """Each is taken or refused with a reason; none is a fault of ours, and a whole picture is taken afterwards."""
    chance, whole, counted = random.Random(7), pictures(), {201: 0, 400: 0}
    for _ in range(DAMAGED):
        data = bytearray(chance.choice(whole))
        match chance.randrange(4):
            case 0:
                del data[chance.randrange(len(data)) :]
            case 1:
                for _ in range(chance.randint(1, 30)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
            case 2:
                place = chance.randrange(len(data))
                data[place:place] = chance.randbytes(chance.randint(1, 400))
            case _:
                place = chance.randrange(len(data))
                del data[place : place + chance.randint(1, 60)]
        status, told = await sent(client, bytes(data), chance.choice(("image/png", "image/jpeg", "image/gif")))
        assert status in counted, told
        assert "message" in told or status == 201
        counted[status] += 1
    assert counted[400] > 200
    assert (await sent(client, whole[0]))[0] == 201


async def test_a_name_that_was_not_given_out_begins_nothing(client: Client) -> None:
    """Names of files in bodies are of one form, and what is not there is told as gone."""
    for name in ("../../daguerre.db", "sources/../x", "/etc/passwd", "sources/" + "a" * 63 + ".webp"):
        answer = await client.post("/api/v1/imagine", json={"prompt": "a dog", "picture": name})
        assert answer.status == 400
    answer = await client.post("/api/v1/imagine", json={"prompt": "a dog", "picture": f"sources/{'a' * 64}.webp"})
    assert answer.status == 404
