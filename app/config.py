"""Reading config.toml and the environment. A mistake is told with its line or variable, and all of them at once."""

from __future__ import annotations

import codecs
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from .config_problems import ConfigFile, combined_problem, file_problems, variable_problems
from .config_values import oddities, secrets_in_file
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
    if odd := oddities(content):
        # What checks types could not even look at these.
        raise ConfigError("\n".join(odd))
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
        data = path.read_bytes()
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ConfigError(f"{path.name} is UTF-16 text; save it as UTF-8")
        # Some editors of Windows begin UTF-8 with a mark of its own.
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; leave --config out to use {PROJECT / 'config.toml'}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _parse(text: str, path: Path | None) -> dict[str, Any]:
    name = path.name if path else "config.toml"
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply: a setting is a value or a list of texts") from None
    except ValueError:
        # Python's limit for decimal numbers, told without a place.
        long = next((n for n, line in enumerate(text.splitlines(), 1) if re.search(r"\d{4300}", line)), None)
        where = f"{name} line {long}" if long else name
        raise ConfigError(f"{where}: a number has thousands of digits; no setting is that large") from None
