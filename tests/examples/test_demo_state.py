"""What the demo keeps between two starts."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import state as demo_state
from examples.demo.state import PEOPLE, SERVICES, State, known


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test, with a space in its name."""
    path = tmp_path / "a demo"
    monkeypatch.setattr(demo_state, "HOME", path)
    return path


def test_secrets_are_made_once_and_are_for_their_owner_only() -> None:
    state = State(8000)
    files = [*map(state.password, PEOPLE), *map(state.token, SERVICES)]
    first = [file.read_text() for file in files]
    again = [*map(state.password, PEOPLE), *map(state.token, SERVICES)]
    assert [file.read_text() for file in again] == first
    assert len(set(first)) == len(first)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700


def test_the_demos_of_two_ports_share_no_secret() -> None:
    assert State(8000).password("operator").read_text() != (
        State(8001).password("operator").read_text()
    )


def test_the_dashboards_environment_names_files_and_not_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWITCHGEAR_SECRET_KEY", "of somebody else")
    monkeypatch.setenv("SWITCHGEAR_DATABASE_URL_FILE", "/of/somebody/else")
    monkeypatch.setenv("SWITCHGEAR_LOG_LEVEL", "DEBUG")
    env = State(8000).environment("http://127.0.0.1:8247")
    assert "SWITCHGEAR_SECRET_KEY" not in env
    assert "SWITCHGEAR_DATABASE_URL_FILE" not in env
    assert Path(env["SWITCHGEAR_SECRET_KEY_FILE"]).stat().st_size > 50
    assert "a%20demo/8000/db.sqlite3" in env["SWITCHGEAR_DATABASE_URL"]
    assert env["SWITCHGEAR_DEMO_URL"] == "http://127.0.0.1:8247"
    assert env["SWITCHGEAR_LOG_LEVEL"] == "DEBUG"


def test_what_is_prepared_is_not_prepared_again() -> None:
    state = State(8000)
    assert state.stale() == ["database", "static"]
    state.database.touch()
    state.prepared(["database", "static"])
    assert state.stale() == []


def test_a_database_that_is_gone_is_prepared_again() -> None:
    state = State(8000)
    state.prepared(["database", "static"])
    assert state.stale() == ["database"]


def test_one_process_holds_a_demo_and_others_see_which() -> None:
    state = State(8000)
    assert state.owner() is None
    with state.locked() as ours:
        assert ours
        assert state.owner() == os.getpid()
        with State(8000).locked() as theirs:
            assert not theirs
        assert state.owner() == os.getpid()
    assert state.owner() is None


def test_a_demo_whose_process_was_killed_has_no_owner(home: Path) -> None:
    program = (
        "import os; from examples.demo.state import State\n"
        "with State(8000).locked(): os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "DEMO_DIR": str(home)}
    killed = subprocess.run([sys.executable, "-c", program], env=env, check=False)
    assert killed.returncode == -9
    assert [state.port for state in known()] == [8000]
    assert State(8000).owner() is None
