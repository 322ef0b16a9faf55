"""Every setting there is, as one checked record, and where its values come from.

Lowest to highest: the defaults, config.toml, `DAGUERRE_<SECTION>__<KEY>` (and two short names for the Discord
addresses). Secrets come from the environment only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..bot.options import DiscordOptions
from ..queue.moderation import ModerationOptions
from ..queue.options import QueueOptions
from ..web.options import WebOptions
from .errors import ConfigError
from .hiding import passwords_in
from .options import LogOptions, RenderOptions, StorageOptions

#: The folder that holds config.toml, models/weights and, by default, data.
PROJECT = Path(__file__).resolve().parents[1]
#: First lines of config.toml.
HEAD = """\
Settings of Daguerre: every one there is, with its default. Restart `daguerre serve` after a change.

Every setting can be overridden by an environment variable DAGUERRE_<SECTION>__<KEY>, such as DAGUERRE_WEB__PORT=8700
(lists as JSON: DAGUERRE_RENDER__DEVICES='["cpu"]'). Secrets come from the environment only:
DISCORD_TOKEN, the bot's token; DAGUERRE_NATS_TOKEN, the token of a nats-server of your own; DAGUERRE_WEB_TOKEN, by
which other machines sign in to the studio; or from files that these names with _FILE name.
`daguerre config` prints the settings in force."""
#: Of every variable that sets something.
PREFIX = "DAGUERRE_"
#: Variables with names of their own, and the setting that each stands for.
SHORT_NAMES = {
    "DAGUERRE_DISCORD_API_BASE": ("discord", "api_base"),
    "DAGUERRE_DISCORD_GATEWAY": ("discord", "gateway"),
}


class _ShortNames(PydanticBaseSettingsSource):
    """Reads the variables of `SHORT_NAMES`."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for variable, (section, key) in SHORT_NAMES.items():
            if os.environ.get(variable):
                found.setdefault(section, {})[key] = os.environ[variable]
        return found


class Settings(BaseSettings):
    """Every section of config.toml. Built by `load`, not by hand."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    discord: DiscordOptions = Field(default_factory=DiscordOptions)
    render: RenderOptions = Field(default_factory=RenderOptions)
    queue: QueueOptions = Field(default_factory=QueueOptions)
    moderation: ModerationOptions = Field(default_factory=ModerationOptions)
    web: WebOptions = Field(default_factory=WebOptions)
    storage: StorageOptions = Field(default_factory=StorageOptions)
    log: LogOptions = Field(default_factory=LogOptions)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What config.toml says arrives as keyword arguments; the environment goes before it.
        return env_settings, _ShortNames(settings_cls), init_settings


@dataclass(frozen=True, slots=True)
class Secrets:
    """What no file of settings may hold. `str()` of it shows stars."""

    discord_token: SecretStr | None = None
    #: Token of an existing nats-server; the embedded one makes its own.
    nats_token: SecretStr | None = None
    #: By which other machines sign in to the studio; where it is needed and not set, `serve` makes one.
    web_token: SecretStr | None = None

    def values(self) -> tuple[str, ...]:
        """The secrets themselves, for the log's filter."""
        return tuple(secret.get_secret_value() for secret in self._all if secret)

    @property
    def _all(self) -> tuple[SecretStr | None, ...]:
        return self.discord_token, self.nats_token, self.web_token


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings in force, and where relative paths count from."""

    settings: Settings
    secrets: Secrets
    #: None when there is no file and the defaults hold.
    file: Path | None
    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / Path(self.settings.storage.data_dir).expanduser()

    @property
    def weights(self) -> Path:
        return self.folder / Path(self.settings.render.weights).expanduser()

    @property
    def models(self) -> Mapping[str, Path]:
        """Folder or file of each model by its name; the first draws what names none."""
        return {name: self.folder / Path(path).expanduser() for name, path in self.settings.render.named.items()}

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every secret that must not reach the log: tokens, and passwords in addresses."""
        texts = [text for section in self.sections.values() for text in section.model_dump().values()]
        return (*self.secrets.values(), *(one for text in texts if isinstance(text, str) for one in passwords_in(text)))

    @property
    def sections(self) -> Mapping[str, BaseModel]:
        return sections_of(self.settings)


def sections_of(settings: Settings) -> Mapping[str, BaseModel]:
    return {name: getattr(settings, name) for name in Settings.model_fields}


def read_secrets(environ: Mapping[str, str]) -> Secrets:
    """From variables, or from the files that `<NAME>_FILE` names, as container runtimes mount them.

    Raises:
        ConfigError: such a file cannot be read or is empty, or both are set.
    """

    def secret(name: str) -> SecretStr | None:
        value = environ.get(name, "")
        if file := environ.get(f"{name}_FILE", ""):
            if value.strip():
                raise ConfigError(f"environment variables {name} and {name}_FILE are both set: unset one")
            value = _secret_file(f"{name}_FILE", Path(file))
        value = value.strip().strip("\"'").removeprefix("Bot ").strip()
        return SecretStr(value) if value else None

    return Secrets(secret("DISCORD_TOKEN"), secret("DAGUERRE_NATS_TOKEN"), secret("DAGUERRE_WEB_TOKEN"))


def _secret_file(variable: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"environment variable {variable}: {file} cannot be read: {reason}") from None
    if not text.strip():
        raise ConfigError(f"environment variable {variable}: {file} is empty")
    return text
