"""The agent in a real pre-forking server: each worker reports for itself, and loses no call when
the server is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from breakers.testing import FakeDashboard
from tests.examples.running import http
from tests.servers import free_port, until

APPLICATION = """
import breakers.agent

posts = breakers.CircuitBreaker(name="posts")
breakers.agent.start()

def application(environ, start_response):
    body = str(posts.call(os.getpid)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@contextmanager
def gunicorn(dashboard: FakeDashboard, directory: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Its address and the process id of its master."""
    (directory / "shop.py").write_text("import os\n" + APPLICATION)
    port = free_port()
    env = os.environ | {
        "PYTHONPATH": f"{directory}:{Path(__file__).resolve().parents[3]}",
        "SWITCHGEAR_URL": dashboard.url,
        "SWITCHGEAR_TOKEN": dashboard.token,
        "SWITCHGEAR_SERVICE": dashboard.service,
    }
    where = ("--bind", f"127.0.0.1:{port}", "--no-control-socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "shop:application", "--workers", "2", *where, *options],
        cwd=directory,
        env=env,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: http.get(url))
        yield url, process.pid
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "options",
    [(), ("--preload",), ("--worker-class", "gthread", "--threads", "4")],
    ids=["imported-by-workers", "preloaded", "threads"],
)
def test_sigterm_loses_no_call(tmp_path: Path, options: tuple[str, ...]) -> None:
    with FakeDashboard() as dashboard:
        with gunicorn(dashboard, tmp_path, *options) as (url, master):

            def ask(_: int) -> str:
                # A connection each, so that both workers get some.
                return http.get(url, headers={"Connection": "close"}).raise_for_status().text

            with ThreadPoolExecutor(8) as pool:
                pids = {int(pid) for pid in pool.map(ask, range(100))}
            dashboard.wait_for(lambda: dashboard.counts("posts"))
            with ThreadPoolExecutor(8) as pool:
                pids |= {int(pid) for pid in pool.map(ask, range(100))}
            os.kill(master, signal.SIGTERM)
        # The first request of all was that which waited for the server.
        assert dashboard.counts("posts") == {"success": 201}
        reporting = {
            report.instance.pid
            for report in dashboard.reports
            if any(each.counts.success for each in report.breakers)
        }
        assert reporting == pids
