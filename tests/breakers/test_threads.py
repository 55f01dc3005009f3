"""Eight threads and a million calls: every call is counted once, no probe too many, no convoy.

tests/breakers/test_pure_python.py runs these over the twin in plain Python too.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from breakers import CircuitBreaker, CircuitBreakerOpen, State
from breakers.common.guard import Guard, give_way
from breakers.testing import FakeClock

THREADS = 8


class Boom(Exception):
    pass


class NotAFailure(Exception):
    pass


def boom() -> None:
    raise Boom


@pytest.fixture
def _switching_often() -> Iterator[None]:
    """Threads take turns far more often than they do by default."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def crowd(work: Callable[[int], object]) -> None:
    """`work(number)` in each of eight threads that start together."""
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        start.wait(10)
        work(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def hammer(breaker: CircuitBreaker, calls: int, fails_at: Callable[[int], bool]) -> Counter[str]:
    """So many calls of each thread; returns how the callers saw them end."""
    ends: list[Counter[str]] = []

    def work(_: int) -> None:
        success = failure = rejected = 0
        for n in range(calls):
            try:
                breaker.call(boom if fails_at(n) else int)
            except Boom:
                failure += 1
            except CircuitBreakerOpen:
                rejected += 1
            else:
                success += 1
        ends.append(Counter(success=success, failure=failure, rejected=rejected))

    crowd(work)
    return sum(ends, Counter())


def counted(breaker: CircuitBreaker) -> dict[str, int]:
    counts = breaker.snapshot().counts
    return {name: counts[name] for name in ("success", "failure", "rejected")}


def test_a_million_calls_are_each_counted_once() -> None:
    breaker = CircuitBreaker(failure_threshold=None, failure_rate_threshold=0.9)
    seen = hammer(breaker, 125_000, lambda n: not n % 500)
    assert (
        counted(breaker)
        == {"success": 998_000, "failure": 2000, "rejected": 0}
        == seen | {"rejected": 0}
    )
    shot = breaker.snapshot()
    assert sum(shot.buckets.values()) == 1_000_000
    assert shot.in_flight == 0


@pytest.mark.usefixtures("_switching_often")
def test_not_one_is_lost_where_the_breaker_trips_and_recovers_all_the_time() -> None:
    breaker = CircuitBreaker(
        failure_threshold=2, timeout_duration=0.001, success_threshold=1, half_open_max_calls=4
    )
    stop = threading.Event()

    def operate() -> None:
        while not stop.wait(0.0005):
            breaker.set_override("forced_closed")
            breaker.apply_policy({"minimum_calls": 7})
            breaker.set_override(None)
            breaker.apply_policy({})
            breaker.reset()

    operator = threading.Thread(target=operate)
    operator.start()
    try:
        seen = hammer(breaker, 10_000, lambda n: n % 20 < 2)
    finally:
        stop.set()
        operator.join(10)
    assert counted(breaker) == dict(seen)
    assert sum(seen.values()) == THREADS * 10_000
    assert breaker.snapshot().in_flight == 0


@pytest.mark.usefixtures("_switching_often")
def test_never_more_probes_at_once_than_allowed_however_many_ask() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(
        1, 30, half_open_max_calls=3, success_threshold=1, ignore=NotAFailure, clock=clock
    )
    with pytest.raises(Boom):
        breaker.call(boom)
    clock.advance(30)
    running: list[int] = []
    most: list[int] = []
    seen: list[Counter[str]] = []

    def probe() -> None:
        running.append(1)
        most.append(len(running))
        running.pop()
        raise NotAFailure

    def work(_: int) -> None:
        ends: Counter[str] = Counter()
        for _ in range(2000):
            try:
                breaker.call(probe)
            except NotAFailure:
                ends["ignored"] += 1
            except CircuitBreakerOpen:
                ends["rejected"] += 1
        seen.append(ends)

    crowd(work)
    whole = sum(seen, Counter())
    counts = breaker.snapshot().counts
    assert breaker.state is State.HALF_OPEN
    assert 1 <= max(most) <= 3
    assert (counts["ignored"], counts["rejected"]) == (whole["ignored"], whole["rejected"])
    assert whole.total() == THREADS * 2000


def test_who_succeeds_never_waits_for_the_lock() -> None:
    """A thread that is put to sleep with the lock in hand would line up all others behind it, and
    they would go on in step for ever after: a convoy."""
    breaker = CircuitBreaker()
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        breaker._guard.run(lambda: (held.set(), go.wait(10)))

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    caller = threading.Thread(target=lambda: [breaker.call(int) for _ in range(1000)], daemon=True)
    caller.start()
    caller.join(5)
    waited = caller.is_alive()
    go.set()
    holder.join(5)
    caller.join(5)
    assert not waited
    assert breaker.snapshot().counts["success"] == 1000


class TestGivingWay:
    def test_nobody_does_for_a_guard_that_is_free(self) -> None:
        guard = Guard()
        give_way(guard)
        assert not guard.is_busy

    def test_the_thread_inside_runs_until_it_has_left(self) -> None:
        asked: list[int] = []

        class Busy:
            is_mine = False

            @property
            def is_busy(self) -> bool:
                asked.append(1)
                return len(asked) < 3

        give_way(Busy())  # type: ignore[arg-type]
        assert len(asked) == 3

    def test_patience_has_an_end(self) -> None:
        guard, inside, go = Guard(), threading.Event(), threading.Event()
        other = threading.Thread(target=guard.run, args=(lambda: (inside.set(), go.wait(10)),))
        other.start()
        assert inside.wait(5)
        give_way(guard)
        go.set()
        other.join(5)

    def test_nobody_waits_for_itself(self) -> None:
        guard = Guard()
        guard.run(give_way, guard)


def test_a_success_in_the_middle_of_a_trip_is_counted() -> None:
    def meanwhile() -> float:
        # Asked for jitter: the breaker has folded in what waited, and not yet changed its state.
        caller = threading.Thread(target=breaker.call, args=(int,), daemon=True)
        caller.start()
        caller.join(5)
        assert not caller.is_alive()
        return 0.0

    breaker = CircuitBreaker(failure_threshold=1, random=meanwhile)
    with pytest.raises(Boom):
        breaker.call(boom)
    shot = breaker.snapshot()
    assert (shot.state, shot.counts["success"], shot.in_flight) == (State.OPEN, 1, 0)
