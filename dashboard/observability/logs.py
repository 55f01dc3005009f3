"""Log configuration: one event a line, as JSON or as text, with the id of the request, the
connection or the task that it belongs to."""

from __future__ import annotations

import re
from typing import Any, Final

import structlog

from dashboard.common.audit_anchor import add_anchor
from dashboard.observability.stranger_lines import StrangerLines

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


def configuration(
    format: str, level: str, audit_file: str = "", audit_syslog: str = ""
) -> dict[str, Any]:
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
    audit = audit_handlers(audit_file, audit_syslog)
    json_line = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"strangers": {"()": StrangerLines}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            },
            "json": json_line,
        },
        "handlers": {**audit, "console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "switchgear.audit": {"handlers": list(audit), "propagate": True, "level": "INFO"},
            "uvicorn": {"handlers": [], "propagate": True, "level": level},
            "uvicorn.error": {
                "handlers": [],
                "propagate": True,
                "level": "WARNING",
                "filters": ["strangers"],
            },
            **{name: {"handlers": [], "propagate": True, "level": "WARNING"} for name in _QUIETER},
        },
    }


def audit_handlers(file: str, syslog: str) -> dict[str, Any]:
    """The handlers that stream the audit trail as JSON lines: to a file, which may be rotated from
    outside, and to syslog at `host:port` (UDP) or at the path of a socket."""
    handlers: dict[str, Any] = {}
    if file:
        handlers["audit_file"] = {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": file,
            "formatter": "json",
            "delay": True,
        }
    if syslog:
        host, _, port = syslog.rpartition(":")
        address = (host, int(port)) if host and port.isdigit() else syslog
        handlers["audit_syslog"] = {
            "class": "logging.handlers.SysLogHandler",
            "address": address,
            "facility": "authpriv",
            "formatter": "json",
        }
    return handlers
