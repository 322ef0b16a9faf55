"""Changed settings while everything runs: by SIGHUP and by `daguerre config reload`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from servingkit import DIRECT, serve

from daguerre.app.reload import AT_ONCE, changed, taken_up
from daguerre.app.settings import Settings, sections_of


def test_what_is_taken_up_and_what_waits() -> None:
    """Limits, rules and the log's level at once; addresses and devices need a restart; nothing else is touched."""
    old = Settings.model_construct()
    new = old.model_copy(
        update={
            "queue": old.queue.model_copy(update={"max_queued_per_member": 3, "nats_port": 4444}),
            "log": old.log.model_copy(update={"level": "debug"}),
        }
    )
    at_once, later = changed(old, new)
    assert (at_once, later) == (("queue.max_queued_per_member", "log.level"), ("queue.nats_port",))
    now = taken_up(old, new, at_once)
    assert (now.queue.max_queued_per_member, now.log.level, now.queue.nats_port) == (3, "debug", 0)
    assert changed(old, old) == ((), ())


def test_every_setting_that_is_taken_up_exists() -> None:
    """A renamed one would be left out without a word."""
    sections = sections_of(Settings.model_construct())
    for section, keys in AT_ONCE.items():
        assert keys <= type(sections[section]).model_fields.keys()


def test_a_running_serve_takes_up_its_settings(tmp_path: Path) -> None:
    """By command it answers what was taken up; by SIGHUP the log says so; a wrong file changes nothing and is told."""
    config = tmp_path / "config.toml"

    def written(text: str) -> None:
        config.write_text(text, encoding="utf-8")

    written("[queue]\nmax_queued = 5\n")
    environment = {"DAGUERRE_CONFIG": str(config)}
    with serve(tmp_path, **environment) as running:
        address = running.address()

        def ask() -> int:
            return posted(address, json.dumps({"prompt": "a red apple"}).encode())

        def reload(*more: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "daguerre.app", "config", "reload", *more]
            variables = {**os.environ, **environment, "DAGUERRE_STORAGE__DATA_DIR": str(tmp_path / "data")}
            return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

        assert ask() == 202
        written("[queue]\nmax_queued = 1\nmax_attempts = 2\nack_wait_seconds = 20\n")
        told = json.loads(reload("--json").stdout)
        assert told == {
            "taken_up": ["queue.max_attempts", "queue.max_queued"], "needs_restart": ["queue.ack_wait_seconds"],
        }  # fmt: skip
        assert ask() == 429
        written("[queue]\nmax_queued = -1\n")
        wrong = reload()
        assert (wrong.returncode, "max_queued" in wrong.stderr) == (78, True)
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: "nothing was changed" in running.log())
        assert ask() == 429
        written("[queue]\nmax_queued = 50\n")
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: "taken_up=queue.max_attempts,queue.max_queued" in running.log())
        assert ask() == 202
        assert running.process.poll() is None
        assert "needs restart" not in reload().stdout


def posted(address: str, body: bytes) -> int:
    """The status of the answer."""
    request = urllib.request.Request(f"{address}/api/v1/jobs", body, {"Content-Type": "application/json"})
    try:
        with DIRECT.open(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
