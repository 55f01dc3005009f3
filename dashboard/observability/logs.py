"""Log configuration: one event a line, as JSON or as text, with the id of the request, the
connection or the task that it belongs to."""

from __future__ import annotations

import re
from typing import Any, Final

import structlog

from dashboard.common.audit_anchor import add_anchor

FORMATS: Final = ("json", "text")
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# `dashboard.observability.request_ids` logs each request instead.
_QUIETER: Final = ("uvicorn.access", "websockets", "httpx", "asyncio")
# Control characters, line and paragraph separators, and those that turn the direction of text.
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def escape_controls(logger: Any, name: str, event: Any) -> Any:
    """Write control characters as escapes, so that nobody who is logged can forge a line.

    Line breaks stay in tracebacks alone, which the renderer adds later.
    """
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], value)
    return event


def configuration(format: str, level: str) -> dict[str, Any]:
    """What Django's LOGGING takes. Every logger of the process uses this handler."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        escape_controls,
        add_anchor,
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=False,
                sort_keys=False,
                pad_event_to=0,
                # Without the values of variables, which may be secret.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "uvicorn": {"handlers": [], "propagate": True, "level": level},
            "uvicorn.error": {"handlers": [], "propagate": True, "level": "WARNING"},
            **{name: {"handlers": [], "propagate": True, "level": "WARNING"} for name in _QUIETER},
        },
    }
