"""Everything that can go wrong while wiring. Each message says what to do; `cli.py` prints it and exits with `code`.

AppError (1)
├── ConfigError (78)       a setting or a variable is unknown, of the wrong type or out of range
├── DataFolderError (73)   the data folder cannot be made or written, or its disk is full
├── PortTaken (75)         another program listens on the address of the local API
├── QueueFailed (75)       the queue cannot be opened: another process owns it, nats-server does not start
├── BotFailed (78)         the bot cannot go on: wrong token, refused intents
├── WorkerError (78)       the worker process cannot start here: weights missing, no such device
├── PackagesMissing (78)   a command needs packages that are not installed here
├── OutputError (73)       the picture cannot be written where it was asked for
├── ServerUnreachable (69) no running `daguerre serve` answers
├── NoWorker (69)          the running `daguerre serve` has no worker and cannot start one
└── Refused (65)           the request itself cannot be carried out

The numbers are those of sysexits.h, so that a supervisor can tell "configured wrongly" from "try again".
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """Something went wrong that the owner can put right."""

    code: ClassVar[int] = 1


class ConfigError(AppError):
    """A setting or a variable is unknown, of the wrong type or out of range."""

    code = 78


class DataFolderError(AppError):
    """The data folder cannot be made or written, or its disk is full."""

    code = 73


class PortTaken(AppError):
    """Another program listens on the address of the local API."""

    code = 75


class QueueFailed(AppError):
    """The queue cannot be opened."""

    code = 75


class BotFailed(AppError):
    """The bot cannot go on, and trying again would not help."""

    code = 78


class WorkerError(AppError):
    """The worker process cannot start here."""

    code = 78


class PackagesMissing(AppError):
    """A command needs packages that are not installed here."""

    code = 78


class OutputError(AppError):
    """The picture cannot be written where it was asked for."""

    code = 73


class ServerUnreachable(AppError):
    """No running `daguerre serve` answers."""

    code = 69


class NoWorker(AppError):
    """The running `daguerre serve` has no worker and cannot start one."""

    code = 69


class Refused(AppError):
    """The request itself cannot be carried out."""

    code = 65
