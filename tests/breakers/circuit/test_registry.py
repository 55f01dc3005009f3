"""Breakers shared by threads and forked processes, and the registry of them."""

from __future__ import annotations

import os
import threading

import pytest

from breakers import (
    CircuitBreaker,
    CircuitBreakerOpen,
    Registry,
    RegistryFull,
    State,
)
from breakers.testing import FakeClock
from tests.breakers.circuit.failing_calls import Boom, fail, opened


class TestThreads:
    def test_counts_are_exact(self) -> None:
        breaker = CircuitBreaker(failure_threshold=None)

        def work() -> None:
            for n in range(20_000):
                if n % 100:
                    breaker.call(int)
                else:
                    with pytest.raises(Boom):
                        breaker.call(fail)

        drained: list[dict[str, int]] = []
        stop = threading.Event()

        def drain() -> None:
            while not stop.is_set():
                drained.append(breaker.drain().counts)

        threads = [threading.Thread(target=work) for _ in range(8)]
        drainer = threading.Thread(target=drain)
        for thread in (*threads, drainer):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        drainer.join()
        drained.append(breaker.drain().counts)
        assert sum(each.get("success", 0) for each in drained) == 8 * 19_800
        assert sum(each.get("failure", 0) for each in drained) == 8 * 200
        assert breaker.snapshot().in_flight == 0

    def test_a_crowd_at_a_half_open_breaker_makes_no_more_probes_than_allowed(self) -> None:
        clock = FakeClock()
        breaker = opened(clock, half_open_max_calls=3, success_threshold=1000)
        clock.advance(30)
        running, most, lock = 0, 0, threading.Lock()

        def probe() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            with lock:
                running -= 1

        def work() -> None:
            # Fewer in all than would close it: then any number may pass.
            for _ in range(120):
                try:
                    breaker.call(probe)
                except CircuitBreakerOpen:
                    continue

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= most <= 3

    def test_no_lock_is_held_while_the_callee_runs(self) -> None:
        # pybreaker: calls through one breaker serialise.
        breaker = CircuitBreaker()
        meeting = threading.Barrier(4, timeout=5)
        threads = [threading.Thread(target=breaker.call, args=(meeting.wait,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert breaker.snapshot().counts["success"] == 4


def test_a_forked_child_starts_with_the_state_and_nobodys_counts() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(30)
    breaker.enter()  # a probe of the parent's is under way
    pid = os.fork()
    if pid == 0:
        try:
            fresh = breaker.drain().counts == {} and breaker.snapshot().in_flight == 0
            breaker.call(int)
            breaker.call(int)
            os._exit(0 if fresh and breaker.state is State.CLOSED else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert breaker.state is State.HALF_OPEN
    assert breaker.drain().counts["failure"] == 3


class TestRegistry:
    def test_named_breakers_are_found_and_unnamed_ones_are_not_kept(self) -> None:
        mine = Registry()
        named = CircuitBreaker(name="posts", registry=mine)
        CircuitBreaker(registry=mine)
        assert mine.all() == [named]
        assert mine.get("posts") is named
        assert mine.get("users") is None

    def test_two_breakers_cannot_share_a_name(self) -> None:
        mine = Registry()
        CircuitBreaker(name="posts", registry=mine)
        with pytest.raises(ValueError, match="already"):
            CircuitBreaker(name="posts", registry=mine)

    def test_it_is_bounded(self) -> None:
        mine = Registry(max_breakers=1)
        CircuitBreaker(name="posts", registry=mine)
        with pytest.raises(RegistryFull):
            CircuitBreaker(name="users", registry=mine)
        with pytest.raises(ValueError, match="whole number from 1"):
            Registry(max_breakers=0)

    def test_get_or_create_makes_one_for_all_who_ask(self) -> None:
        mine = Registry()

        def new() -> CircuitBreaker:
            return CircuitBreaker(name="posts", registry=None)

        assert mine.get_or_create("posts", new) is mine.get_or_create("posts", new)
        with pytest.raises(ValueError, match="not 'users'"):
            mine.get_or_create("users", new)

    def test_the_loser_of_a_race_gets_the_winners(self) -> None:
        mine = Registry()

        def slow() -> CircuitBreaker:
            CircuitBreaker(name="posts", registry=mine)
            return CircuitBreaker(name="posts", registry=None)

        assert mine.get_or_create("posts", slow) is mine.get("posts")

    def test_whoever_listens_hears_of_new_ones(self) -> None:
        mine = Registry()
        heard: list[str] = []

        def listen(breaker: CircuitBreaker) -> None:
            heard.append(breaker.name)

        mine.on_create(listen)
        CircuitBreaker(name="posts", registry=mine)
        mine.off_create(listen)
        CircuitBreaker(name="users", registry=mine)
        assert heard == ["posts"]

    def test_what_was_removed_can_be_named_again(self) -> None:
        mine = Registry()
        CircuitBreaker(name="posts", registry=mine)
        mine.remove("posts")
        CircuitBreaker(name="posts", registry=mine)
