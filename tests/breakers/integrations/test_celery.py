"""Celery's tasks behind a breaker: in a real worker on a real broker, and eagerly."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from breakers import CallTimeout, CircuitBreaker, CircuitBreakerOpen, CircuitForcedOpen
from breakers.integrations.celery import ResilientTask
from tests.breakers.integrations.conftest import counts

ROOT = Path(__file__).parents[3]


class Worker:
    """A worker's tasks, sent to it by name as another process does."""

    def __init__(self, url: str) -> None:
        self.app = Celery("caller", broker=url, backend=url)
        self.app.conf.task_publish_retry = False
        self.store = redis.Redis.from_url(url)

    def send(self, task: str, *args: Any) -> Any:
        return self.app.send_task(f"tests.breakers.integrations.celery_app.{task}", args)

    def ran(self, name: str) -> list[float]:
        return [float(at) for at in self.store.lrange(f"ran:{name}", 0, -1)]


@pytest.fixture(scope="module")
def worker(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Prefork, one process: what most workers are."""
    url = redis_url.rpartition("/")[0] + "/5"
    log = tmp_path_factory.mktemp("celery") / "log"
    command = [
        sys.executable, "-m", "celery", "-A", "tests.breakers.integrations.celery_app", "worker",
        "-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle", "-l", "INFO",
    ]  # fmt: skip
    with log.open("w") as out:
        environment = {**os.environ, "TASKS_URL": url}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        made = Worker(url)
        assert made.send("left").get(timeout=40) > 0, log.read_text()
        yield made
    finally:
        process.terminate()
        process.wait(20)


class TestInAWorker:
    def test_what_an_open_breaker_refused_comes_back_when_it_may_be_asked(
        self, worker: Worker
    ) -> None:
        sent = worker.send("refused_once", "once", 1.3)
        assert sent.get(timeout=30) == "retries: 1"
        first, second = worker.ran("once")
        assert 1.3 <= second - first < 10

    def test_what_waits_for_an_override_runs_soon_after_it_was_lifted(self, worker: Worker) -> None:
        sent = worker.send("forced_for_an_hour", "lifted")
        assert sent.get(timeout=30) == "retries: 0"
        first, second = worker.ran("lifted")
        assert 1.0 <= second - first < 10

    def test_no_other_retry_is_hot(self, worker: Worker) -> None:
        sent = worker.send("refused_and_hot", "hot", 1.3)
        assert sent.get(timeout=30) == "done"
        first, second = worker.ran("hot")
        assert second - first >= 1.3

    def test_who_does_not_ask_is_not_retried(self, worker: Worker) -> None:
        with pytest.raises(CircuitBreakerOpen, match="posts"):
            worker.send("refused_always").get(timeout=30)

    def test_a_run_has_a_deadline(self, worker: Worker) -> None:
        began = time.monotonic()
        with pytest.raises(CallTimeout, match=r"within 0\.3 s"):
            worker.send("hangs").get(timeout=30)
        assert time.monotonic() - began < 15

    def test_the_task_reads_what_is_left(self, worker: Worker) -> None:
        assert 0 < worker.send("left").get(timeout=30) <= 20

    def test_failures_open_the_breaker_of_the_process(self, worker: Worker) -> None:
        for _ in range(2):
            with pytest.raises(ConnectionError):
                worker.send("fails", "smtp").get(timeout=30)
        with pytest.raises(CircuitBreakerOpen):
            worker.send("fails", "smtp").get(timeout=30)
        assert len(worker.ran("smtp")) == 2


class TestEagerly:
    @pytest.fixture
    def app(self) -> Celery:
        made = Celery("eager", broker="memory://", backend="cache+memory://", set_as_current=False)
        made.conf.update(task_always_eager=True)
        return made

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (None, {"success": 1}),
            (ConnectionError(), {"failure": 1}),
            (CallTimeout(1.0), {"timeout": 1}),
            (SoftTimeLimitExceeded(), {"timeout": 1}),
            (LookupError("expected"), {"success": 1}),
            (Ignore(), {}),
            (Reject(), {}),
            (Retry(), {}),
            (Retry(exc=ConnectionError()), {"failure": 1}),
            (CircuitBreakerOpen("another", 5.0), {}),
        ],
    )
    def test_what_is_held_against_the_dependency(
        self, app: Celery, error: Exception | None, told: dict[str, int]
    ) -> None:
        own = CircuitBreaker()

        @app.task(base=ResilientTask, breaker=own, throws=(LookupError,), shared=False)
        def run() -> None:
            if error is not None:
                raise error

        run.apply()
        assert counts(own) == told

    def test_called_as_a_function_it_is_guarded_and_raises(self, app: Celery) -> None:
        own = CircuitBreaker()
        own.set_override("forced_open")

        @app.task(base=ResilientTask, breaker=own, retries_when_open=True, shared=False)
        def run() -> int:
            return 7

        with pytest.raises(CircuitBreakerOpen):
            run()
        own.set_override(None)
        assert run() == 7

    @pytest.mark.parametrize(
        ("said", "asked", "least", "most"),
        [(12.0, None, 12.0, 13.2), (0.0, 0, 1.0, 1.1), (None, None, 40.0, 44.0), (5.0, 60, 60, 60)],
    )
    def test_the_pause_of_a_retry(
        self, app: Celery, said: float | None, asked: float | None, least: float, most: float
    ) -> None:
        @app.task(base=ResilientTask, open_retry_delay=40.0, shared=False)
        def run() -> None:
            pass

        task = app.tasks[run.name]
        task.push_request(called_directly=False, retries=0, is_eager=True, args=(), kwargs={})
        refused = CircuitBreakerOpen("posts", said)
        retry = task.retry(exc=refused, countdown=asked, throw=False)
        task.pop_request()
        assert least <= retry.when <= most

    def test_a_look_for_a_lifted_override_comes_soon_and_is_no_retry(self, app: Celery) -> None:
        @app.task(base=ResilientTask, max_retries=1, open_retry_delay=5.0, shared=False)
        def run() -> None:
            pass

        task = app.tasks[run.name]
        for retries, said, least, most in [(1, 3600.0, 30.0, 33.0), (0, 20.0, 20.0, 22.0)]:
            task.push_request(
                called_directly=False, retries=retries, is_eager=False, args=(), kwargs={}, id="1"
            )
            retry = task.retry(exc=CircuitForcedOpen("posts", said), throw=False)
            assert task.request.retries == retries
            task.pop_request()
            assert least <= retry.when <= most
            assert retry.sig.options["retries"] == 1, "a look keeps the number"

    def test_in_a_thread_a_run_that_comes_late_has_failed_and_knows_its_request(
        self, app: Celery
    ) -> None:
        own, seen = CircuitBreaker(), []

        @app.task(base=ResilientTask, bind=True, breaker=own, deadline=0.05, shared=False)
        def run(self: Any) -> None:
            seen.append(self.request.id)
            time.sleep(0.1)

        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(run.apply(task_id="7")))
        thread.start()
        thread.join(10)
        assert isinstance(results[0].result, CallTimeout)
        assert (seen, counts(own)) == (["7"], {"timeout": 1})

    def test_retries_end(self, app: Celery) -> None:
        own, runs = CircuitBreaker(), []

        @app.task(
            base=ResilientTask, breaker=own, retries_when_open=True, max_retries=2, shared=False
        )
        def run() -> None:
            runs.append(1)

        own.set_override("forced_open")
        result = run.apply()
        assert isinstance(result.result, CircuitBreakerOpen)
        assert (runs, counts(own)) == ([], {"rejected": 3})
