"""`daguerre doctor`: what it finds, one check at a time."""

from __future__ import annotations

import json
from pathlib import Path

import familykit
import pytest
from pydantic import SecretStr
from standin.driver import StandIn

from daguerre.app import doctor
from daguerre.app.config import load
from daguerre.app.machine import ADDRESS_FILE
from daguerre.app.settings import Configuration, Secrets, Settings


def configuration(folder: Path, token: str | None = None, **sections: object) -> Configuration:
    """Settings by hand, with `folder` as the project's."""
    settings = Settings.model_construct(**{**dict(Settings.model_construct()), **sections})
    return Configuration(settings, Secrets(discord_token=SecretStr(token) if token else None), None, folder)


def test_what_is_missing_is_told_with_the_remedy(tmp_path: Path) -> None:
    """No weights: bad, with the place. An empty folder: fine to write to. The shipped nats-server runs."""
    here = configuration(tmp_path)
    missing = doctor.weights(here)
    assert (missing.level, "[render] weights" in missing.text) == ("bad", True)
    (tmp_path / "models/weights/first-light").mkdir(parents=True)
    (tmp_path / "models/weights/first-light/model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert doctor.weights(here).level == "ok"
    assert doctor.data_folder(here).level in {"ok", "note"}
    (tmp_path / "data").rmdir()
    (tmp_path / "data").touch()
    assert doctor.data_folder(here).level == "bad"
    server = doctor.nats_server(here)
    assert (server.level, "nats-server" in server.text) == ("ok", True)


def test_weights_that_cannot_draw_are_bad(tmp_path: Path) -> None:
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
    assert (found.level, "inpainting model" in found.text) == ("bad", True)


@pytest.mark.parametrize(
    ("token", "level", "text"),
    [
        (None, "note", "the bot stays off"),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab", "ok", "has the shape"),
        ("abcdefghijklmnopqrstuvwxyz012345", "bad", "looks like a client secret"),
        ("123456789012345678", "bad", "looks like a client secret, public key or application id"),
        ("what", "bad", "three parts with dots"),
    ],
)
def test_token(tmp_path: Path, token: str | None, level: str, text: str) -> None:
    """The shape of a token is judged, and it is never shown."""
    finding = doctor.token(configuration(tmp_path, token))
    assert finding.level == level
    assert text in finding.text
    assert token is None or token not in finding.text


async def test_discord(standin: StandIn) -> None:
    """Discord's address is asked without a token; silence is told, and limits only the bot."""
    assert (await doctor.discord_reachable(standin.api_base)).level == "ok"
    silent = await doctor.discord_reachable("http://127.0.0.1:9/api/v10")
    assert (silent.level, "does not answer" in silent.text) == ("note", True)


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
    assert (finding.level, "no weights in" in finding.text) == ("bad", True)
    file.write_text("[render]\ndevices = []\n", encoding="utf-8")
    assert [each.level for each in doctor.drawings(load(file))] == ["note"]
