"""Work in the background: one run at a time, and a failure is not the last run."""

from __future__ import annotations

import threading

import pytest

from dashboard.common.background_job import BackgroundJob

pytestmark = pytest.mark.django_db(transaction=True)
LONG_S = 10.0


def test_it_is_not_started_while_it_runs() -> None:
    release, runs = threading.Event(), []

    def work() -> None:
        runs.append(threading.current_thread().name)
        assert release.wait(LONG_S)

    job = BackgroundJob("a-job", work)
    assert job.join(0.0)
    assert job.start()
    assert not job.start()
    assert not job.join(0.0)
    release.set()
    assert job.join(LONG_S)
    assert job.start()
    assert job.join(LONG_S)
    assert runs == ["a-job", "a-job"]


def test_a_run_that_fails_is_logged_and_the_next_one_starts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work() -> None:
        raise RuntimeError("no room")

    job = BackgroundJob("a-job", work)
    for _ in range(2):
        assert job.start()
        assert job.join(LONG_S)
    assert caplog.text.count("a-job failed; it is tried again") == 2
    assert "no room" in caplog.text
