"""What a user of pybreaker expects, and its name here.

| pybreaker | here |
|---|---|
| `fail_max`, `reset_timeout`, `success_threshold` | `failure_threshold`, `timeout_duration`, `success_threshold` |
| `exclude` | `ignore` |
| `CircuitBreakerError` | `CircuitBreakerOpen` |
| `current_state`, `fail_counter` | `state`, `snapshot().window.consecutive_failures` |
| `open()`, `close()`, `half_open()` | `set_override("forced_open")`, `reset()`, lifting `forced_open` |
| `CircuitBreakerListener.state_change` | `add_listener` |
| `calling()` | `with breaker:` |
"""

from __future__ import annotations

import threading
from typing import Any

import pybreaker
import pytest

from breakers import CircuitBreaker, CircuitBreakerOpen, State
from tests.breakers.peers.side_by_side import Boom, Odd, Time, boom, drive, ours


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    time.stop(monkeypatch, "pybreaker")
    return time


def theirs(**fields: Any) -> pybreaker.CircuitBreaker:
    # By default their tripping call raises CircuitBreakerError in the place of the callee's error.
    return pybreaker.CircuitBreaker(throw_new_error_on_trip=False, **fields)


@pytest.mark.parametrize("script", ["xxx...", "xx.xx.xxx.", "x.x.x.x.x.", "xxxxx"])
def test_so_many_failures_in_a_row_open_it(clock: Time, script: str) -> None:
    seen = drive(theirs(fail_max=3, reset_timeout=30).call, script)
    assert drive(ours(clock, failure_threshold=3, timeout_duration=30).call, script) == seen


def test_it_closes_after_so_many_successes(clock: Time) -> None:
    them = theirs(fail_max=2, reset_timeout=30, success_threshold=2)
    us = ours(clock, failure_threshold=2, timeout_duration=30, success_threshold=2)
    for script, expected in (("xx.", "xx-"), ("..x.", "..x.")):
        assert drive(them.call, script) == drive(us.call, script) == expected
        clock.advance(31)


def test_a_failed_trial_opens_it_for_the_whole_time_again(clock: Time) -> None:
    them = theirs(fail_max=2, reset_timeout=30)
    us = ours(clock, failure_threshold=2, timeout_duration=30, success_threshold=1)
    for pause, script, expected in (
        (0, "xx", "xx"),
        (31, "x..", "x--"),
        (29, ".", "-"),
        (2, "..", ".."),
    ):
        clock.advance(pause)
        assert drive(them.call, script) == drive(us.call, script) == expected


def test_what_is_excluded_counts_as_no_failure(clock: Time) -> None:
    script = "ooooo"
    seen = drive(theirs(fail_max=2, exclude=[Odd]).call, script)
    assert drive(ours(clock, failure_threshold=2, ignore=Odd).call, script) == seen == script


def test_an_excluded_error_in_between_is_no_success_here(clock: Time) -> None:
    # Theirs counts it as a success, so that a client's mistakes hide an outage for ever.
    script = "xoxoxo"
    assert drive(theirs(fail_max=3, exclude=[Odd]).call, script) == script
    assert drive(ours(clock, failure_threshold=3, ignore=Odd).call, script) == "xoxox-"


def test_a_function_may_say_what_is_excluded(clock: Time) -> None:
    def is_odd(error: Exception) -> bool:
        return isinstance(error, Odd)

    seen = drive(theirs(fail_max=1, exclude=[is_odd]).call, "oox.")
    assert drive(ours(clock, failure_threshold=1, ignore=is_odd).call, "oox.") == seen == "oox-"


def test_the_tripping_call_raises_its_own_error(clock: Time) -> None:
    with pytest.raises(pybreaker.CircuitBreakerError):
        pybreaker.CircuitBreaker(fail_max=1).call(boom)
    with pytest.raises(Boom):
        ours(clock, failure_threshold=1).call(boom)


def test_state_and_counter_can_be_read(clock: Time) -> None:
    them, us = theirs(fail_max=2), ours(clock, failure_threshold=2)
    drive(them.call, "x")
    drive(us.call, "x")
    assert them.fail_counter == us.snapshot().window.consecutive_failures == 1
    assert them.current_state == us.state == "closed"


def test_it_is_opened_and_closed_by_hand(clock: Time) -> None:
    them, us = theirs(fail_max=2), ours(clock, failure_threshold=2)
    them.open()
    us.set_override("forced_open")
    assert drive(them.call, "..") == drive(us.call, "..") == "--"
    them.close()
    us.set_override(None)
    us.reset()
    assert drive(them.call, "..") == drive(us.call, "..") == ".."
    # Theirs comes back by itself once reset_timeout is over; ours when asked to, or after this.
    us.set_override("forced_open", expires_in_s=30)
    clock.advance(30)
    assert us.state is not State.FORCED_OPEN


def test_listeners_are_told_of_changes_of_state(clock: Time) -> None:
    heard: list[tuple[str, str]] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            heard.append((old_state.name, new_state.name))

    them = theirs(fail_max=1, reset_timeout=30, listeners=[Listener()])
    us = ours(clock, failure_threshold=1, timeout_duration=30, success_threshold=1)
    told: list[tuple[str, str]] = []
    us.add_listener(lambda record: told.append((record.before, record.after)))
    for each in (them, us):
        drive(each.call, "x")
    clock.advance(31)
    for each in (them, us):
        drive(each.call, ".")
    assert [(a.replace("-", "_"), b.replace("-", "_")) for a, b in heard] == told
    assert told == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_a_block_is_guarded(clock: Time) -> None:
    them, us = theirs(fail_max=1), ours(clock, failure_threshold=1)
    with pytest.raises(Boom), them.calling():
        boom()
    with pytest.raises(Boom), us:
        boom()
    with pytest.raises(pybreaker.CircuitBreakerError), them.calling():
        pytest.fail("was let in")
    with pytest.raises(CircuitBreakerOpen), us:
        pytest.fail("was let in")


def test_a_function_is_decorated(clock: Time) -> None:
    them, us = theirs(fail_max=1), ours(clock, failure_threshold=1)
    assert them(len)("four") == us(len)("four") == 4


def test_calls_run_side_by_side() -> None:
    # Theirs holds its lock around the user's function: the second call waits for the first.
    def meet(call: Any) -> bool:
        meeting = threading.Barrier(2)
        met: list[int] = []

        def wait() -> None:
            try:
                met.append(meeting.wait(0.1))
            except threading.BrokenBarrierError:
                return

        threads = [threading.Thread(target=call, args=(wait,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        return len(met) == 2

    assert not meet(theirs(fail_max=5).call)
    assert meet(CircuitBreaker().call)


def test_a_clock_that_is_set_back_keeps_nothing_open(clock: Time) -> None:
    them, us = (
        theirs(fail_max=1, reset_timeout=30),
        ours(clock, failure_threshold=1, timeout_duration=30),
    )
    for each in (them, us):
        drive(each.call, "x")
    clock.set_wall(clock.wall() - 86_400)
    clock.advance(31)
    assert drive(them.call, ".") == "-"
    assert drive(us.call, ".") == "."
