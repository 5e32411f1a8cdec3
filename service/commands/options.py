"""Options that every command takes, and how a command gets what it works with."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from models.domain.agent import NEWEST, release
from models.errors import BadInputError, UnsupportedError
from service.configfile import load_settings
from service.durations import parse_duration
from service.logging import configure_logging
from service.settings import Settings
from service.wiring import Portolan, open_portolan


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class OutputFormat(StrEnum):
    """How results look."""

    TABLE = "table"
    JSON = "json"


class PostureOption(StrEnum):
    """How far a proposal may reach beyond what was seen."""

    GENEROUS = "generous"
    BALANCED = "balanced"
    STRICT = "strict"


class StateOption(StrEnum):
    """Which proposals."""

    APPROVED = "approved"
    ANY = "any"


_COMMON = "Options of every command"
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder for observations and review state.", show_default=".portolan", rich_help_panel=_COMMON
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        help="Configuration file.",
        show_default="./portolan.yaml or <data-dir>/portolan.yaml, if there",
        rich_help_panel=_COMMON,
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option(
        help="Log lines (on standard error) as text or JSON.", show_default="auto", rich_help_panel=_COMMON
    ),
]
CiliumVersion = Annotated[
    str | None,
    typer.Option(help="Release whose semantics count.", show_default="the configured one, else the newest"),
]
PolicyFiles = Annotated[
    list[Path] | None,
    typer.Option(metavar="<path>", help="Files or folders of policies; may be given more than once."),
]
InPlaceOfFiles = Annotated[
    StateOption | None, typer.Option(help="Stored proposals in place of --policies: approved or any.")
]
ClusterOption = Annotated[str | None, typer.Option(help="Cluster, where several were observed.")]
AsOf = Annotated[
    str | None,
    typer.Option(help="End of the window (ISO 8601, UTC); the newest observation by default."),
]
Format = Annotated[OutputFormat, typer.Option("--format", help="Form of the result on standard output.")]


def settings_for(data_dir: Path | None, config: Path | None, log_format: LogFormat | None) -> Settings:
    """Settings of this command, and logging as they say."""
    settings = load_settings(config=config, data_dir=data_dir, log_format=log_format)
    configure_logging(settings.log.format, settings.log.level)
    return settings


@contextmanager
def portolan_for(
    data_dir: Path | None, config: Path | None, log_format: LogFormat | None
) -> Iterator[Portolan]:
    """Everything a command works with, closed at its end."""
    with open_portolan(settings_for(data_dir, config, log_format)) as portolan:
        yield portolan


def parse_length(text: str | None) -> timedelta | None:
    """Length of time given on the command line."""
    return None if text is None else parse_duration(text)


def parse_time(text: str | None) -> datetime | None:
    """Moment given on the command line: ISO 8601, in UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInputError(f"{text!r} is not a time: write 2026-03-15 or 2026-03-15T02:00:00Z") from None


def chosen_release(option: str | None, settings: Settings) -> str:
    """Cilium release to answer for: the option's, else the configured one, else the newest known."""
    version = option or settings.capabilities.cilium_version or NEWEST
    try:
        return release(version).name
    except UnsupportedError as error:
        raise BadInputError(str(error)) from None


def account() -> str:
    """Name of whoever sits at the terminal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise BadInputError("this account has no name: say who decides with --reviewer") from None
