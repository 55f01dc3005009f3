"""Runs the selected modes once a session, and prints their table at its end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

import pytest

from tests.failure_modes.harness import measure_all
from tests.failure_modes.modes import MODES
from tests.failure_modes.report import page, table
from tests.failure_modes.world import VERSIONS, Result

Results = dict[tuple[str, str], Result]
Measured = dict[tuple[str, str], Future[Result]]
_RESULTS = pytest.StashKey[Results]()
DOCS = Path(__file__).parents[2] / "docs" / "failure-modes.md"
SHORT = "short selection of the failure modes"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short-modes", action="store_true", help=f"run a {SHORT}")
    parser.addoption("--write-docs", action="store_true", help="write docs/failure-modes.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--short-modes", default=False):
        return
    short = {mode.name for mode in MODES if mode.short}
    for item in items:
        mode = getattr(item, "callspec", None) and item.callspec.params.get("mode")  # type: ignore[attr-defined]
        if mode is not None and mode.name not in short:
            item.add_marker(pytest.mark.skip(reason=f"not in the {SHORT}"))


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """A Redis of this session, without a disk."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            cwd=directory,
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest, redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Measured]:
    """Every selected mode against every version, measured meanwhile; a test waits for its own."""
    wanted = {
        item.callspec.params["mode"].name  # type: ignore[attr-defined]
        for item in request.session.items
        if "results" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("skip")
    }
    modes = tuple(mode for mode in MODES if mode.name in wanted)
    directory: Path = tmp_path_factory.mktemp("modes")
    found = request.config.stash[_RESULTS] = {}
    measured: Measured = {(mode.name, version): Future() for mode in modes for version in VERSIONS}

    def keep(result: Result) -> None:
        key = (result.mode.name, result.version)
        found[key] = result
        measured[key].set_result(result)

    thread = Thread(
        target=lambda: asyncio.run(measure_all(modes, redis_port, directory, keep)), daemon=True
    )
    thread.start()
    yield measured
    thread.join(60)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = terminalreporter.config.stash.get(_RESULTS, {})
    if found:
        terminalreporter.section("failure modes")
        terminalreporter.write(table(found))
        complete = len(found) == len(MODES) * len(VERSIONS)
        if complete and terminalreporter.config.getoption("--write-docs", default=False):
            DOCS.write_text(page(found))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    found = config.stash.get(_RESULTS, {})
    if found:
        total = len(found) // len(VERSIONS)
        kept = {v: sum(each.kept for each in found.values() if each.version == v) for v in VERSIONS}
        columns = " ".join(f"{version} {kept[version]}/{total}" for version in VERSIONS)
        print(f"failure modes: {columns}")
