"""What machines ask: alive, fit, and what it has to tell. And what is logged meanwhile."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from breakers import CircuitBreaker, Registry
from breakers.agent import start
from dashboard.access.models import Person
from dashboard.asgi import application
from dashboard.observability import logs
from dashboard.observability.request_ids import request_id_of
from tests.dashboard.child_process import Dashboard
from tests.examples.running import eventually, http


def figures(text: str) -> dict[str, float]:
    """Each sample by its name; labels in order."""
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_what_went_through(dashboard: Dashboard, token: str) -> None:
    registry = Registry()
    posts = CircuitBreaker(name="metered", registry=registry)
    agent = start(service="shop", url=dashboard.url, token=token, registry=registry)
    own = {"Authorization": f"Bearer {dashboard.own['SWITCHGEAR_METRICS_TOKEN']}"}

    def scraped() -> dict[str, float]:
        return figures(http.get(f"{dashboard.url}/metrics", headers=own).text)

    try:
        posts.call(int)
        http.post(f"{dashboard.url}/api/v1/reports", headers={"Authorization": "Bearer wrong"})
        eventually(lambda: scraped()["switchgear_checkpoint_seconds_count"] >= 1, 10, scraped)
        eventually(lambda: scraped()["switchgear_frames_emitted_total"] >= 1, 10, scraped)
        found = scraped()
    finally:
        agent.stop()
    assert found["switchgear_agents_connected"] >= 1
    assert found["switchgear_reports_total"] >= 1
    assert found["switchgear_applied_total"] >= 1
    assert found["switchgear_refused_total{unauthenticated}"] >= 1
    assert found["switchgear_breaker_updates_total"] >= 1
    assert {"switchgear_commands_pending", "switchgear_log_lag_seconds"} <= found.keys()
    assert found["process_resident_memory_bytes"] > 1e7


def test_metrics_are_for_whoever_has_the_token(dashboard: Dashboard) -> None:
    assert http.get(f"{dashboard.url}/metrics").status_code == 401
    wrong = http.get(f"{dashboard.url}/metrics", headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401
    assert "SWITCHGEAR_METRICS_TOKEN" in wrong.text


@pytest.mark.django_db
def test_metrics_are_for_people_too(client: Client, viewer: Person) -> None:
    client.force_login(viewer)
    assert b"switchgear_reports_total" in client.get("/metrics").content


def test_ready_says_what_it_looked_at(dashboard: Dashboard) -> None:
    said = http.get(f"{dashboard.url}/readyz")
    assert said.status_code == 200
    assert said.json()["checks"] == {"database": "ok", "bus": "ok", "fleet": "ok"}


def test_an_answer_has_the_id_of_its_request(dashboard: Dashboard) -> None:
    given = http.get(f"{dashboard.url}/healthz", headers={"X-Request-ID": "of-the.proxy_1"})
    assert given.headers["x-request-id"] == "of-the.proxy_1"
    made = http.get(f"{dashboard.url}/healthz").headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


@pytest.mark.parametrize("forged", [b"", b"two words", b'x","level":"', b"a" * 65, b"\xff"])
def test_an_id_that_could_forge_a_line_is_replaced(forged: bytes) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", request_id_of({"headers": [(b"x-request-id", forged)]}))


@contextmanager
def logged(format: str) -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    config = logs.configuration(format, "INFO")
    written = io.StringIO()
    config["handlers"]["console"]["stream"] = written
    before = logging.root.handlers[:]
    logging.config.dictConfig(config)
    try:
        yield written
    finally:
        logging.root.handlers[:] = before


@pytest.mark.usefixtures("static_files")
async def test_every_line_of_a_request_has_its_id() -> None:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/no/such",
        "raw_path": b"/no/such",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"x-request-id", b"abc")],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }

    asking = ApplicationCommunicator(application, scope)
    with logged("json") as written:
        await asking.send_input({"type": "http.request", "body": b""})
        await asking.receive_output(10)
        await asking.wait(10)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = (line for line in lines if line["logger"] == "switchgear.request")
    assert line["request_id"] == "abc"
    assert line["level"] == "info"
    assert line["event"].startswith("GET /no/such ")
    assert line["took_ms"] >= 0


def test_a_failure_is_one_line_for_machines_and_readable_for_people() -> None:
    for format in logs.FORMATS:
        with logged(format) as written:
            try:
                raise KeyError("gone")
            except KeyError:
                logging.getLogger("switchgear.test").exception("it failed")
        if format == "json":
            (line,) = written.getvalue().splitlines()
            assert "KeyError: 'gone'" in json.loads(line)["exception"]
        else:
            assert "it failed" in written.getvalue().splitlines()[0]
            assert "KeyError: 'gone'" in written.getvalue()


@pytest.mark.django_db
def test_open_metrics_need_no_token(client: Client, settings: Any) -> None:
    assert client.get("/metrics").status_code == 401
    settings.METRICS = "open"
    assert client.get("/metrics").status_code == 200
