"""`daguerre doctor`: what it finds, one check at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import familykit
import pytest
import yarl
from discord import Permissions
from pydantic import SecretStr
from standin import payloads
from standin.driver import StandIn

from daguerre.app import doctor
from daguerre.app.config import load
from daguerre.app.doctor_discord import clock, look_at_discord, starts
from daguerre.app.doctor_machine import device, gpus_of
from daguerre.app.doctor_report import report
from daguerre.app.finding import Finding
from daguerre.app.machine import ADDRESS_FILE
from daguerre.app.settings import Configuration, Secrets, Settings
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.service import open_queue
from daguerre.queue.nats.embedded import EmbeddedServer
from daguerre.queue.options import QueueOptions

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab"


def configuration(folder: Path, token: str | None = None, **sections: object) -> Configuration:
    """Settings by hand, with `folder` as the project's."""
    settings = Settings.model_construct(**{**dict(Settings.model_construct()), **sections})
    return Configuration(settings, Secrets(discord_token=SecretStr(token) if token else None), None, folder)


async def test_what_is_missing_is_told_with_the_remedy(tmp_path: Path) -> None:
    """No weights: bad, with the place. An empty folder: fine to write to. The shipped nats-server runs."""
    here = configuration(tmp_path)
    missing = doctor.weights(here)
    assert (missing.level, "[render] weights" in missing.text) == ("fail", True)
    (tmp_path / "models/weights/first-light").mkdir(parents=True)
    (tmp_path / "models/weights/first-light/model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert doctor.weights(here).level == "ok"
    assert doctor.data_folder(here).level in {"ok", "warn"}
    (tmp_path / "data").rmdir()
    (tmp_path / "data").touch()
    assert doctor.data_folder(here).level == "fail"
    server = await doctor.nats_server(here)
    assert (server.level, "nats-server" in server.text) == ("ok", True)


def test_weights_that_cannot_draw_fail(tmp_path: Path) -> None:
    """By what the folder tells: an inpainting U-Net; a checker beside a whole model is none of our business."""
    folder = tmp_path / "models/weights/first-light"
    familykit.write_sd15(folder)
    here = configuration(tmp_path)
    index = folder / "model_index.json"
    told = json.loads(index.read_text()) | {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    index.write_text(json.dumps(told))
    assert doctor.weights(here).level == "ok"
    unet = folder / "unet" / "config.json"
    unet.write_text(json.dumps(json.loads(unet.read_text()) | {"in_channels": 9}))
    found = doctor.weights(here)
    assert (found.level, "inpainting model" in found.text) == ("fail", True)


@pytest.mark.parametrize(
    ("token", "level", "text"),
    [
        (None, "warn", "the bot stays off"),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab", "ok", "has the shape"),
        ("abcdefghijklmnopqrstuvwxyz012345", "fail", "looks like a client secret"),
        ("123456789012345678", "fail", "looks like a client secret, public key or application id"),
        ("what", "fail", "three parts with dots"),
    ],
)
def test_token(tmp_path: Path, token: str | None, level: str, text: str) -> None:
    """The shape of a token is judged, and it is never shown."""
    finding = doctor.token(configuration(tmp_path, token))
    assert finding.level == level
    assert text in finding.text
    assert token is None or token not in finding.text


async def discord(standin: StandIn, token: str | None, **options: Any) -> dict[str, Finding]:
    """What is found out about Discord, by subject."""
    given = DiscordOptions(api_base=standin.api_base, gateway=standin.gateway, **options)
    return {finding.subject: finding async for finding in look_at_discord(given, token)}


async def test_discord_without_a_token(standin: StandIn) -> None:
    """Its address, its gateway's greeting and the clock need no token; silence is told, and limits only the bot."""
    found = await discord(standin, None)
    assert {subject: finding.level for subject, finding in found.items()} == {
        "discord": "ok", "clock": "ok", "gateway": "ok",
    }  # fmt: skip
    silent = DiscordOptions(api_base="http://127.0.0.1:9/api/v10")
    (finding,) = [finding async for finding in look_at_discord(silent, None)]
    assert (finding.level, "does not answer" in finding.text, bool(finding.remedy)) == ("warn", True, True)
    deaf = DiscordOptions(api_base=standin.api_base, gateway="ws://127.0.0.1:9")
    (gateway,) = [one async for one in look_at_discord(deaf, None) if one.subject == "gateway"]
    assert gateway.level == "fail"
    assert "WebSocket" in gateway.remedy


async def test_a_good_token_gives_the_invite_link(standin: StandIn) -> None:
    """Whose token it is, that no privileged intent is needed, and a link with the permissions that are used here."""
    found = await discord(standin, standin.token)
    assert {finding.level for finding in found.values()} == {"ok"}
    assert str(standin.world.application_id) in found["token"].text
    assert standin.token not in str(found)
    assert "no privileged intent" in found["intents"].text
    link = yarl.URL(found["invite"].text)
    assert (link.query["client_id"], link.query["scope"]) == (
        str(standin.world.application_id), "bot applications.commands",
    )  # fmt: skip
    assert Permissions(int(link.query["permissions"])) == Permissions(
        view_channel=True, send_messages=True, send_messages_in_threads=True, attach_files=True,
        read_message_history=True, create_expressions=True,
    )  # fmt: skip


async def test_a_wrong_token_is_told_with_the_way_to_a_right_one(standin: StandIn) -> None:
    """Discord says no: fail, with what to press; the token is not shown."""
    found = await discord(standin, TOKEN)
    assert found["token"].level == "fail"
    assert "Reset Token" in found["token"].remedy
    assert TOKEN not in str(found)


@pytest.mark.parametrize(
    ("changed", "subject", "level", "remedy"),
    [
        ({"interactions_endpoint_url": "https://elsewhere.example"}, "interactions", "fail", "Interactions Endpoint"),
        ({"bot_require_code_grant": True}, "invite", "fail", "Code Grant"),
        ({"bot_public": False}, "invite", "ok", ""),
    ],
)
async def test_settings_of_the_application_that_keep_a_bot_from_working(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], subject: str, level: str, remedy: str
) -> None:
    """They lie in Discord's portal, where nobody looks for them."""
    before = payloads.application
    monkeypatch.setattr(payloads, "application", lambda world: {**before(world), **changed})
    found = await discord(standin, standin.token)
    assert found[subject].level == level
    assert remedy in found[subject].remedy


def test_starts_and_shards() -> None:
    """Too few starts left, or fewer connections than Discord recommends, is said before it hurts."""
    limit = {"total": 1000, "remaining": 900, "reset_after": 3_600_000}
    assert starts({"shards": 1, "session_start_limit": limit}, 1).level == "ok"
    assert "shards = 4" in starts({"shards": 4, "session_start_limit": limit}, 1).remedy
    assert starts({"shards": 1, "session_start_limit": {**limit, "remaining": 3}}, 1).level == "warn"
    assert starts({"shards": 1, "session_start_limit": {**limit, "remaining": 0}}, 1).level == "fail"


@pytest.mark.parametrize(("ahead", "level"), [(0.9, "ok"), (30, "warn"), (-30, "warn"), (-3600, "fail")])
def test_the_clock_is_held_against_discords(ahead: float, level: str) -> None:
    """A second is nothing, a minute is much."""
    now = 1_800_000_000.0
    found = clock(format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True), now + ahead)
    assert found.level == level
    assert bool(found.remedy) == (level != "ok")


async def test_database(tmp_path: Path) -> None:
    """Made at the first start; read as it is; damaged or of a newer version, it says so and is left as it was."""
    here = configuration(tmp_path)
    assert "first start" in (await doctor.database(here)).text
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    async with open_queue(QueueOptions(), tmp_path / "data"):
        pass
    whole = await doctor.database(here)
    assert (whole.level, "SQLite" in whole.text) == ("ok", True)
    file = tmp_path / "data" / "daguerre.db"
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = await doctor.database(here)
    assert (newer.level, "newer" in newer.text) == ("fail", True)
    data = bytearray(file.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    file.write_bytes(data)
    for beside in file.parent.glob("daguerre.db-*"):
        beside.unlink()
    damaged = await doctor.database(here)
    assert (damaged.level, "restore" in damaged.remedy) == ("fail", True)


async def test_a_nats_server_of_ones_own(tmp_path: Path) -> None:
    """Reached with the right token; refused, or nobody there: told, with what to look at."""
    server = EmbeddedServer(tmp_path / "nats")
    await server.start()
    try:

        async def look(url: str, secret: str) -> Finding:
            options = QueueOptions(nats_url=url)
            settings = Settings.model_construct(**{**dict(Settings.model_construct()), "queue": options})
            return await doctor.nats_server(
                Configuration(settings, Secrets(nats_token=SecretStr(secret)), None, tmp_path)
            )

        good = await look(server.url, server.token)
        assert (good.level, "JetStream" in good.text) == ("ok", True)
        wrong = await look(server.url, "wrong")
        assert (wrong.level, "token" in wrong.text) == ("fail", True)
    finally:
        await server.stop()


def test_devices() -> None:
    """What the driver says is read; a GPU whose memory is taken is a warning; without a driver the processor draws."""
    found = gpus_of("NVIDIA H200, 570.86.15, 143771, 143000\nNVIDIA A2, 570.86.15, 15356, 700\nN/A, 1, [N/A], [N/A]\n")
    assert [gpu.name for gpu in found] == ["NVIDIA H200", "NVIDIA A2", "N/A"]
    assert (device(found[:1]).level, device(found).level, device(found[2:]).level) == ("ok", "warn", "ok")
    assert "driver 570.86.15" in device(found).text
    assert (device(()).level, "processor" in device(()).text) == ("ok", True)


async def test_the_report_for_programs_and_for_people() -> None:
    """One JSON object, or a line each as they come; whoever said it, no secret and no control character in it."""

    async def findings() -> AsyncIterator[Finding]:
        yield Finding("ok", "python", "3.11")
        yield Finding("fail", "nats-server", "nats://me:pa55word@host says \x1b[31mno\nreally", "look at pa55word")

    lines: list[str] = []
    assert not await report(findings(), lines.append, as_json=False, secrets=["pa55word"])
    assert lines[0] == "ok    python       3.11"
    assert lines[1] == "fail  nats-server  nats://***@host says \\x1b[31mno really; look at ***"
    told: list[str] = []
    assert not await report(findings(), told.append, as_json=True, secrets=["pa55word"])
    whole = json.loads("\n".join(told))
    assert (whole["ok"], [one["level"] for one in whole["findings"]]) == (False, ["ok", "fail"])
    assert whole["findings"][1]["remedy"] == "look at ***"


async def test_port(tmp_path: Path, unused_tcp_port: int) -> None:
    """A free port is fine; whether a `serve` runs is seen by asking it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ADDRESS_FILE).write_text(f"http://127.0.0.1:{unused_tcp_port}")
    options = Settings.model_construct().web.model_copy(update={"port": unused_tcp_port})
    assert "is free" in (await doctor.api(configuration(tmp_path, web=options))).text


def test_drawing_is_tried_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What keeps a worker from drawing is found as the worker would find it; where nothing is drawn, nothing is tried.

    That it draws where all is there, scripts/check-installs shows.
    """
    file = tmp_path / "config.toml"
    file.write_text('[render]\nweights = "nothing-here"\n', encoding="utf-8")
    (finding,) = doctor.drawings(load(file))
    assert (finding.level, "no weights in" in finding.text) == ("fail", True)
    file.write_text("[render]\ndevices = []\n", encoding="utf-8")
    assert [each.level for each in doctor.drawings(load(file))] == ["warn"]
