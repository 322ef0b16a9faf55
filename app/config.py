"""Reading config.toml and the environment. A mistake is told with its line or variable, and all of them at once."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from .config_problems import ConfigFile, combined_problem, file_problems, secrets_in_file, variable_problems
from .errors import ConfigError
from .settings import PROJECT, Configuration, Settings, read_secrets


def load(file: Path | None = None) -> Configuration:
    """Read `file`, else the one that DAGUERRE_CONFIG names, else config.toml of the project if there is one.

    Raises:
        ConfigError: names every bad setting with its line or variable and what is allowed.
    """
    named = file or (Path(os.environ["DAGUERRE_CONFIG"]) if os.environ.get("DAGUERRE_CONFIG") else None)
    path = named or PROJECT / "config.toml"
    if named is None and not path.exists():
        path, text = None, ""
    else:
        text = _read(path)
    content = ConfigFile(path.name if path else "config.toml", text, _parse(text, path))
    problems = [*secrets_in_file(content), *file_problems(content), *variable_problems()]
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        settings = Settings(**content.table)
    except ValidationError as error:
        raise ConfigError("\n".join(combined_problem(detail, content) for detail in error.errors())) from None
    except SettingsError as error:
        raise ConfigError(f"environment: {error}") from None
    folder = path.resolve().parent if path else PROJECT
    return Configuration(settings, read_secrets(os.environ), path, folder)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; leave --config out to use {PROJECT / 'config.toml'}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name if path else 'config.toml'} is not valid TOML: {error}") from None
