"""
Structured log lines on standard error: events are ``noun.verb``, values are data, never obeyed.

Everything that logs through the standard library (uvicorn, SQLAlchemy, APScheduler) passes through
the same chain, so hostile text is escaped wherever it turns up.
"""

import logging
import sys
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.printable import printable_values

#: Libraries whose everyday messages say nothing to a user.
_QUIET: Final = ("apscheduler", "alembic", "sqlalchemy", "httpx", "httpcore", "asyncio", "deltalake")


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send all log lines to standard error, as text or as one JSON object per line."""
    stream = sys.stderr if stream is None else stream
    as_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_as_text,
        _escape,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=True, default=str) if as_json else _as_text,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _exception_as_text(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Keep a traceback as one escaped value, so that one event stays one line."""
    if event.get("exc_info"):
        structlog.processors.format_exc_info(_logger, _name, event)
    return event


def _escape(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    kept = {key: value for key, value in event.items() if key.startswith("_")}
    return {
        **{key: printable_values(value) for key, value in event.items() if not key.startswith("_")},
        **kept,
    }


def _as_text(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    """``time level event key=value …``, with quotes where a value holds a space."""
    head = [str(event.pop("timestamp", "")), f"{event.pop('level', ''):<7}", str(event.pop("event", ""))]
    return " ".join(head + [f"{key}={_quoted(value)}" for key, value in sorted(event.items())])


def _quoted(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text
