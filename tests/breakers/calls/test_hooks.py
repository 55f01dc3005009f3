"""Hooks of calls and attempts, and rules that see the state of a call."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from breakers import (
    Bulkhead,
    CallOptions,
    CallRecord,
    CallTimeout,
    CircuitBreaker,
    FallbackValue,
    ResilientCaller,
    RetryAttempt,
    TTLCache,
)
from breakers.calls.observing import outcome_of
from breakers.testing import FakeClock
from tests.breakers.calls.calling import Boom, Calls, Dependency


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


class Recorded:
    """Options whose hooks keep what they get."""

    def __init__(self, **fields: Any) -> None:
        self.attempts: list[CallRecord] = []
        self.calls: list[CallRecord] = []
        self.options = CallOptions(
            **{"timeout": None, "retry_delay": 0.0, **fields},
            on_attempt=self.attempts.append,
            on_call=self.calls.append,
        )

    @property
    def outcomes(self) -> list[str]:
        return [record.outcome for record in self.attempts]

    @property
    def last(self) -> tuple[str, str, Any, int]:
        record = self.calls[-1]
        return record.outcome, type(record.error).__name__, record.result, record.attempt


class TestHooks:
    def test_each_attempt_and_the_call_are_seen(self, call: Calls) -> None:
        seen, dependency = Recorded(), Dependency(failures=2)
        assert call(dependency, seen.options, 7) == "answer"
        assert seen.outcomes == ["failure", "failure", "success"]
        assert [record.attempt for record in seen.attempts] == [1, 2, 3]
        first, last = seen.attempts[0], seen.attempts[-1]
        assert (first.args, first.kwargs, first.attempts) == ((7,), {}, 3)
        assert isinstance(first.error, Boom)
        assert (last.error, last.result) == (None, "answer")
        assert last.elapsed_s >= 0
        assert seen.last == ("success", "NoneType", "answer", 3)

    def test_the_function_is_the_one_that_was_given(self) -> None:
        seen = Recorded(timeout=5.0, circuit_breaker=CircuitBreaker(registry=None))
        ResilientCaller().call(len, seen.options, "four")
        assert seen.attempts[0].function is seen.calls[0].function is len

    def test_a_call_that_raises_is_seen(self, call: Calls) -> None:
        seen = Recorded(retries=2)
        with pytest.raises(Boom):
            call(Dependency(failures=9), seen.options)
        assert seen.last == ("failure", "Boom", None, 2)

    def test_so_is_what_a_fallback_hid(self, call: Calls) -> None:
        seen = Recorded(retries=1, fallback=FallbackValue("default"))
        assert call(Dependency(failures=9), seen.options) == "default"
        assert seen.last == ("fallback", "Boom", "default", 1)

    def test_and_a_fallback_that_fails(self, call: Calls) -> None:
        seen = Recorded(retries=1, fallback=Dependency(failures=1))
        with pytest.raises(Boom):
            call(Dependency(failures=9), seen.options)
        assert seen.last[0] == "fallback"

    def test_a_cached_and_a_stale_result(self, call: Calls) -> None:
        clock = FakeClock()
        call.caller.cache = TTLCache(clock=clock)
        seen = Recorded(retries=1, cache_key="k", cache_ttl=1, stale_ttl=9)
        for failures in (0, 9):
            call(Dependency(failures), seen.options)
        clock.advance(2)
        call(Dependency(9), seen.options)
        assert [record.outcome for record in seen.calls] == ["success", "cached", "stale"]
        assert seen.last == ("stale", "Boom", "answer", 1)

    def test_a_cached_failure(self, call: Calls) -> None:
        call.caller.cache = TTLCache()
        seen = Recorded(retries=1, cache_key="k", negative_on=(Boom,))
        for _ in range(2):
            with pytest.raises(Boom):
                call(Dependency(9), seen.options)
        assert len(seen.attempts) == 1

    def test_a_refusal_is_rejected(self, call: Calls) -> None:
        breaker = CircuitBreaker(registry=None)
        breaker.set_override("forced_open")
        seen, dependency = Recorded(circuit_breaker=breaker), Dependency()
        with pytest.raises(Exception, match="forced open"):
            call(dependency, seen.options)
        assert (seen.outcomes, dependency.asked) == (["rejected"], 0)
        full = Recorded(bulkhead=Bulkhead(1))
        assert full.options.bulkhead is not None
        full.options.bulkhead.acquire()
        with pytest.raises(Exception, match="slots"):
            call(dependency, full.options)
        assert (full.outcomes, full.last[0]) == ([], "rejected")

    def test_a_timeout_is_one(self) -> None:
        assert outcome_of(ExceptionGroup("one", [CallTimeout(1.0)])) == "timeout"

    def test_a_hook_that_fails_is_logged(
        self, call: Calls, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(record: CallRecord) -> None:
            raise ValueError("broken hook")

        made = CallOptions(timeout=None, retries=1, on_attempt=broken, on_call=broken)
        with caplog.at_level(logging.ERROR):
            assert call(Dependency(), made) == "answer"
        assert caplog.text.count("ValueError: broken hook") == 2


class TestTheStateOfACall:
    def test_a_rule_sees_it(self, call: Calls) -> None:
        states: list[RetryAttempt] = []

        def twice(state: RetryAttempt) -> bool:
            states.append(state)
            return state.attempt < 2

        options = CallOptions(timeout=None, retries=5, retry_delay=1.0, retry_if=twice)
        with pytest.raises(Boom):
            call(Dependency(failures=9), options)
        assert [(each.attempt, each.attempts, each.pause_s) for each in states] == [
            (1, 5, 1.0),
            (2, 5, 2.0),
        ]
        assert all(isinstance(each.error, Boom) and each.elapsed_s >= 0 for each in states)

    def test_it_sees_results(self, call: Calls) -> None:
        made = iter([None, None, "ready"])
        options = CallOptions(
            timeout=None, retries=5, retry_delay=0.0, retry_if=lambda state: state.result is None
        )
        assert call(lambda: next(made), options) == "ready"

    def test_it_has_the_last_word_after_retry_on_result(self, call: Calls) -> None:
        made = iter([1, 2, 3, 4])
        options = CallOptions(
            timeout=None,
            retries=5,
            retry_delay=0.0,
            retry_on_result=lambda n: n < 4,
            retry_if=lambda state: state.attempt < 2,
        )
        assert call(lambda: next(made), options) == 2

    def test_a_pause_is_chosen_by_it(self, call: Calls) -> None:
        options = CallOptions(
            timeout=None,
            retries=3,
            retry_delay=1.0,
            retry_pause=lambda state: state.pause_s + 10 * state.attempt,
        )
        call(Dependency(failures=2), options)
        assert call.slept == [11.0, 22.0]

    def test_no_pause_goes_beyond_the_deadline(self, call: Calls) -> None:
        options = CallOptions(timeout=None, deadline=5.0, retry_pause=lambda state: 30.0)
        with pytest.raises(Boom):
            call(Dependency(failures=9), options)
        assert call.slept == []
