"""Nobody who is logged can forge a line, and no secret of an address is logged."""

from __future__ import annotations

import logging

import pytest

from dashboard.observability.logs import configuration
from dashboard.observability.request_ids import loggable
from dashboard.observability.stranger_lines import StrangerLines
from tests.dashboard.observability.test_health import logged


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a\nb", "/a%0Ab"),
        ("/a\r\n2026-01-01 forged", "/a%0D%0A2026-01-01%20forged"),
        ("/\x1b[31mred", "/%1B%5B31mred"),
        ("/\u2028x", "/%E2%80%A8x"),
        ("/\u202egpj", "/%E2%80%AEgpj"),
        ("/services/posts%2Fdb", "/services/posts%252Fdb"),
        ("/status/a-secret-token", "/status/***"),
        ("/status/a-secret-token/now", "/status/***/now"),
    ],
)
def test_a_path_is_logged_escaped_and_without_its_token(path: str, line: str) -> None:
    assert loggable(path) == line


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_value_that_is_logged_stays_on_its_line(format: str) -> None:
    with logged(format) as written:
        name = "posts\nERROR forged\x1b[2J"
        logging.getLogger("switchgear.test").warning("refused %s", name, extra={"breaker": name})
    (line,) = written.getvalue().splitlines()
    assert "\x1b" not in line
    assert "forged" in line


def test_strangers_fill_no_log() -> None:
    now = 0.0
    lines = StrangerLines(lambda: now)

    def says(message: str) -> str | None:
        record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, message, (), None)
        return record.getMessage() if lines.filter(record) else None

    noise = "Invalid HTTP request received."
    assert says(noise) == noise
    assert [says(noise) for _ in range(200)] == [None] * 200
    assert says("ASGI callable returned without completing handshake.") is None
    assert says("Exception in ASGI application\n") == "Exception in ASGI application\n"
    now = 61.0
    assert says(noise) == f"{noise} 200 more since the last line."


def test_the_configured_log_has_the_filter() -> None:
    found = configuration("json", "INFO")
    assert found["loggers"]["uvicorn.error"]["filters"] == ["strangers"]
    assert found["filters"]["strangers"]["()"] is StrangerLines
