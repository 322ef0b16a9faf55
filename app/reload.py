"""Taking up changed settings while everything runs: `daguerre config reload`, or SIGHUP.

Only what can change between one job and the next is taken up; for the rest the answer says that a restart is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..queue.control import Queue
from ..queue.errors import QueueError
from .config import load
from .errors import ConfigError
from .logs import configure
from .settings import Configuration, Settings, sections_of

log = logging.getLogger(__name__)

#: What is taken up at once.
AT_ONCE: Mapping[str, frozenset[str]] = {
    "queue": frozenset(
        {
            "max_attempts", "max_queued_per_member", "max_queued_per_server", "max_queued", "max_running_per_member",
            "max_running_per_server", "daily_seconds_per_member", "roles", "keep_transitions_days",
            "reconcile_seconds", "min_free_megabytes",
        }
    ),
    "moderation": frozenset(
        {
            "allowed_servers", "leave_unknown_servers", "rules", "keep_pictures_days", "keep_prompts_days",
            "keep_reports_days",
        }
    ),
    "log": frozenset({"level", "format", "prompts"}),
}  # fmt: skip


def changed(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the settings that differ, as `section.key`: those that are taken up, those that need a restart. Pure."""
    at_once: list[str] = []
    later: list[str] = []
    for section in Settings.model_fields:
        before, after = sections_of(old)[section], sections_of(new)[section]
        for key in type(after).model_fields:
            if getattr(before, key) != getattr(after, key):
                (at_once if key in AT_ONCE.get(section, ()) else later).append(f"{section}.{key}")
    return tuple(at_once), tuple(later)


def taken_up(old: Settings, new: Settings, names: tuple[str, ...]) -> Settings:
    """The old settings with the new values of `names`. Pure."""
    sections: dict[str, Any] = {}
    for section in Settings.model_fields:
        values = {
            name.partition(".")[2]: getattr(getattr(new, section), name.partition(".")[2])
            for name in names
            if name.startswith(f"{section}.")
        }
        sections[section] = getattr(old, section).model_copy(update=values)
    return old.model_copy(update=sections)


class Reloader:
    """Knows the settings in force."""

    def __init__(self, configuration: Configuration, queue: Queue) -> None:
        self._configuration = configuration
        self._queue = queue
        self._settings = configuration.settings

    def reload(self) -> Mapping[str, Any]:
        """Read the file again and take up what can be; gives `taken_up` and `needs_restart`.

        Raises:
            QueueError: the file is wrong; nothing was changed. Its text names each mistake.
        """
        try:
            read = load(self._configuration.file)
        except ConfigError as error:
            log.error("config.toml is wrong, so nothing was changed: %s", error)  # noqa: TRY400 - no traceback wanted
            raise QueueError(f"nothing was changed: {error}") from None
        at_once, later = changed(self._settings, read.settings)
        self._settings = taken_up(self._settings, read.settings, at_once)
        self._queue.adopt(self._settings.queue, self._settings.moderation, log_prompts=self._settings.log.prompts)
        options = self._settings.log
        configure(options.level, (*self._configuration.hidden, *read.hidden), options.format)
        log.info(
            "settings were read again taken_up=%s needs_restart=%s", ",".join(at_once) or "-", ",".join(later) or "-"
        )
        return {"taken_up": list(at_once), "needs_restart": list(later)}
