"""The last desired state outlives the process, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakers import CircuitBreaker, Registry, State
from breakers.agent import start
from breakers.agent.desired_state_file import DesiredFile
from breakers.protocol import messages as wire
from breakers.testing import FakeClock, FakeDashboard

DESIRED = wire.Desired(
    revision=7,
    overrides=[
        wire.Override("o1", "posts", "forced_open", expires_in_s=60.0),
        wire.Override("o2", "users", "forced_open"),
    ],
)


@pytest.fixture
def file(tmp_path: Path, clock: FakeClock) -> DesiredFile:
    return DesiredFile(tmp_path, "shop/é", clock)


def test_what_was_saved_is_loaded_with_what_is_left_of_each_expiry(
    file: DesiredFile, clock: FakeClock
) -> None:
    file.save(DESIRED)
    clock.set_wall(clock.wall() + 20.0)
    loaded = file.load()
    assert loaded is not None
    assert loaded.revision == 7
    assert [each.expires_in_s for each in loaded.overrides] == [40.0, 7 * 86_400 - 20.0]


def test_what_expired_meanwhile_is_gone(file: DesiredFile, clock: FakeClock) -> None:
    file.save(DESIRED)
    clock.set_wall(clock.wall() + 61.0)
    loaded = file.load()
    assert loaded is not None
    assert [each.id for each in loaded.overrides] == ["o2"]


def test_a_wall_clock_set_back_lengthens_nothing(file: DesiredFile, clock: FakeClock) -> None:
    file.save(DESIRED)
    clock.set_wall(0.0)
    loaded = file.load()
    assert loaded is not None
    assert loaded.overrides[0].expires_in_s == 60.0


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"service":"x","saved_at":0}']
)
def test_a_corrupt_file_is_ignored_with_a_warning(
    file: DesiredFile, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.write_bytes(junk)
    assert file.load() is None
    assert "ignored" in caplog.text


def test_another_services_file_is_not_taken(
    file: DesiredFile, tmp_path: Path, clock: FakeClock
) -> None:
    file.save(DESIRED)
    other = DesiredFile(tmp_path, "shop-é", clock)
    assert other.load() is None
    other.path.write_bytes(file.path.read_bytes())
    assert other.load() is None


def test_nothing_half_written_is_left_behind(file: DesiredFile, tmp_path: Path) -> None:
    file.save(DESIRED)
    file.save(DESIRED)
    assert list(tmp_path.iterdir()) == [file.path]
    assert file.path.stat().st_mode & 0o077 == 0


def test_a_disk_that_fails_is_said_once_and_harms_nobody(
    file: DesiredFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.joinpath("gone").mkdir()
    broken = DesiredFile(tmp_path / "gone", "shop", FakeClock())
    tmp_path.joinpath("gone").rmdir()
    broken.save(DESIRED)
    broken.save(DESIRED)
    assert len(caplog.records) == 1


def test_a_restart_during_an_outage_still_honours_the_override(tmp_path: Path) -> None:
    with FakeDashboard() as dashboard:
        first = Registry()
        CircuitBreaker(name="posts", registry=first)
        agent = dashboard.start_agent(registry=first, state_dir=tmp_path)
        dashboard.force("posts", "forced_open")
        dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_open"})
        agent.stop()
        url, token = dashboard.url, dashboard.token
    second = Registry()
    agent = start(url=url, token=token, service="tested", registry=second, state_dir=tmp_path)
    assert CircuitBreaker(name="posts", registry=second).state is State.FORCED_OPEN
    agent.stop(0.2)
