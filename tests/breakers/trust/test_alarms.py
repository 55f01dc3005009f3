"""Alarms swallowed or misdirected: the late call is interrupted, and nothing else is."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import urllib3

from breakers import (
    CallInterrupted,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    ResilientCaller,
    timeout,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    yield
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_client_that_retries_timeouts_is_interrupted_once(silent: str) -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=2))
    began = time.monotonic()
    with pytest.raises(CallTimeout) as raised, timeout(0.3):
        session.get(silent, timeout=5)
    assert time.monotonic() - began < 3
    assert raised.value.timeout == 0.3


def test_so_it_is_in_a_resilient_call(silent: str) -> None:
    http = urllib3.PoolManager(retries=urllib3.Retry(3))
    options = CallOptions(timeout=0.2, retries=1)
    with pytest.raises(CallTimeout):
        ResilientCaller().call(http.request, options, "GET", silent, timeout=5)


def test_who_swallows_every_exception_is_interrupted_all_the_same() -> None:
    began = time.monotonic()
    with pytest.raises(CallTimeout), timeout(0.05):
        while True:
            with suppress(Exception):
                time.sleep(30)
    assert time.monotonic() - began < 10


def test_who_swallows_the_interruption_is_interrupted_again() -> None:
    swallowed = 0
    began = time.monotonic()
    with pytest.raises(CallTimeout), timeout(0.05):
        while swallowed < 3:
            try:
                time.sleep(30)
            except BaseException:
                swallowed += 1
        time.sleep(30)
    assert (swallowed, time.monotonic() - began < 20) == (3, True)


def test_an_error_raised_in_place_of_the_interruption_is_its_cause() -> None:
    def wrap() -> None:
        try:
            time.sleep(30)
        except BaseException as error:
            raise ConnectionError("read failed") from error

    with pytest.raises(CallTimeout) as raised, timeout(0.05):
        wrap()
    assert isinstance(raised.value.__cause__, ConnectionError)


def test_an_interruption_in_a_group_is_a_timeout() -> None:
    def wrap() -> None:
        try:
            time.sleep(30)
        except BaseException as error:
            raise BaseExceptionGroup("tasks", [error]) from None

    with pytest.raises(CallTimeout), timeout(0.05):
        wrap()


def test_an_error_of_the_callee_in_time_is_its_own() -> None:
    with pytest.raises(ConnectionError), timeout(30):
        raise ConnectionError


def test_an_interrupt_by_the_user_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt), timeout(0.05):
        try:
            time.sleep(30)
        except CallInterrupted:
            raise KeyboardInterrupt from None


def test_the_inner_block_does_not_answer_for_the_outer_one() -> None:
    with pytest.raises(CallTimeout) as raised, timeout(0.05):
        with suppress(CallTimeout), timeout(0.04):
            time.sleep(30)
        time.sleep(30)
    assert raised.value.timeout == 0.05


def test_a_breaker_inside_the_block_records_a_timeout() -> None:
    breaker = CircuitBreaker(registry=None)
    with pytest.raises(CallTimeout), timeout(0.05):
        breaker.call(time.sleep, 30)
    assert breaker.snapshot().counts["timeout"] == 1


def test_somebody_elses_alarm_keeps_its_time_while_ours_rings_again() -> None:
    rang: list[float] = []
    signal.signal(signal.SIGALRM, lambda *_: rang.append(time.monotonic()))
    try:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with pytest.raises(CallTimeout), timeout(0.05):
            for _ in range(2):
                with suppress(BaseException):
                    time.sleep(30)
            time.sleep(30)
        while not rang and time.monotonic() - began < 10:
            time.sleep(0.01)
        assert rang[0] - began >= 0.14
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_a_task_that_awaits_is_left_alone() -> None:
    async def other() -> str:
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            time.sleep(0.005)  # noqa: ASYNC251 - it blocks the loop on purpose
        return "undisturbed"

    async def main() -> str:
        task = asyncio.create_task(other())
        with suppress(CallTimeout), timeout(0.02):
            await asyncio.sleep(0.15)
        return await task

    assert asyncio.run(main()) == "undisturbed"


GREENLETS = """
import {library}
{patch}
import sys, time
from breakers import CallOptions, CallTimeout, CircuitBreaker, ResilientCaller, timeout

others = []

def other():
    for _ in range(20):
        {library}.sleep(0.02)
    others.append("undisturbed")

def bounded():
    began = time.monotonic()
    try:
        with timeout(0.1):
            while True:
                try:
                    {library}.sleep(30)
                except Exception:
                    pass
    except CallTimeout:
        others.append("late" if time.monotonic() - began > 5 else "in time")

def called():
    breaker = CircuitBreaker(registry=None)
    options = CallOptions(timeout=0.1, retries=1, circuit_breaker=breaker)
    try:
        ResilientCaller().call({library}.sleep, options, 30)
    except CallTimeout:
        others.append(f"{{breaker.snapshot().counts['timeout']}} timeout")

greenlets = [{library}.spawn(each) for each in (other, bounded, called)]
for each in greenlets:
    each.{join}()
print(sorted(others))
"""


@pytest.mark.parametrize("patched", [True, False], ids=["patched", "unpatched"])
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_under_a_hub_the_greenlet_that_is_late_is_interrupted(library: str, patched: bool) -> None:
    patch = {
        "gevent": "from gevent import monkey; monkey.patch_all()",
        "eventlet": "eventlet.monkey_patch()",
    }[library]
    code = GREENLETS.format(
        library=library,
        patch=patch if patched else "",
        join="join" if library == "gevent" else "wait",
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "['1 timeout', 'in time', 'undisturbed']", done.stderr[-2000:]


def test_a_thread_is_never_interrupted_by_anothers_alarm() -> None:
    seen: list[str] = []

    def work() -> None:
        time.sleep(0.1)
        seen.append("undisturbed")

    thread = threading.Thread(target=work)
    thread.start()
    with suppress(CallTimeout), timeout(0.02):
        time.sleep(30)
    thread.join(5)
    assert seen == ["undisturbed"]
