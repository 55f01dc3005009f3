"""How a resilient call is made: cache, retries, breaker, timeout, fallback, in this order."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    PolicyError,
    ResilientCaller,
    RetryBudget,
    State,
    remaining,
)
from breakers.calls.retries import full_jitter, retry_after
from tests.breakers.calls.calling import Boom, Calls, Dependency


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


class TestRetries:
    def test_retries_are_attempts_in_all(self, call: Calls) -> None:
        service = Dependency(failures=99)
        with pytest.raises(Boom):
            call(service, CallOptions(timeout=None, retries=3))
        assert service.asked == 3

    def test_one_attempt_is_no_retry(self, call: Calls) -> None:
        service = Dependency(failures=1)
        with pytest.raises(Boom):
            call(service, CallOptions(timeout=None, retries=1))
        assert call.slept == []

    def test_the_backoff_doubles(self, call: Calls) -> None:
        assert call(Dependency(failures=3), CallOptions(timeout=1.0, retries=4)) == "answer"
        assert call.slept == [0.5, 1.0, 2.0]

    def test_an_open_breaker_is_never_retried(self, call: Calls) -> None:
        breaker = CircuitBreaker()
        breaker.set_override("forced_open")
        with pytest.raises(CircuitBreakerOpen):
            call(Dependency(), CallOptions(timeout=1.0, circuit_breaker=breaker))
        assert call.slept == []
        assert breaker.snapshot().counts["rejected"] == 1

    def test_only_errors_worth_it_are_retried(self, call: Calls) -> None:
        service = Dependency(failures=1)
        with pytest.raises(Boom):
            call(service, CallOptions(timeout=None, retry_on=KeyError))
        assert service.asked == 1

    def test_what_the_callee_asks_for_is_waited(self, call: Calls) -> None:
        def busy() -> Exception:
            error = Boom()
            error.retry_after = 7  # type: ignore[attr-defined]
            return error

        call(Dependency(failures=1, error=busy), CallOptions(timeout=None))
        assert call.slept == [7.0]

    def test_so_is_what_an_answer_that_is_not_good_enough_asks_for(self, call: Calls) -> None:
        class Response:
            def __init__(self, status: int, **headers: str) -> None:
                self.status, self.headers = status, headers

        answers = iter([Response(503, **{"Retry-After": "7"}), Response(503), Response(200)])
        options = CallOptions(timeout=None, retry_on_result=lambda answer: answer.status == 503)
        assert call(lambda: next(answers), options).status == 200
        assert call.slept == [7.0, 1.0]

    def test_who_asks_for_too_long_is_not_asked_again(self, call: Calls) -> None:
        def away() -> Exception:
            error = Boom()
            error.retry_after = float("inf")  # type: ignore[attr-defined]
            return error

        with pytest.raises(Boom):
            call(Dependency(failures=1, error=away), CallOptions(timeout=None))
        assert call.slept == []

    def test_no_sleep_outlives_the_deadline(self, call: Calls) -> None:
        service = Dependency(failures=99)
        options = CallOptions(timeout=1.0, retries=5, retry_delay=50.0, deadline=10.0)
        with pytest.raises(Boom):
            call(service, options)
        assert (service.asked, call.slept) == (1, [])

    def test_retries_have_a_budget(self, call: Calls) -> None:
        breaker = CircuitBreaker(failure_threshold=None)
        options = CallOptions(timeout=None, retries=2, circuit_breaker=breaker)
        service = Dependency(failures=10_000)
        for _ in range(200):
            with pytest.raises(Boom):
                call(service, options)
        retries = service.asked - 200
        assert 40 <= retries <= 50, "a fifth of the calls, and the burst"
        assert breaker.snapshot().counts["retry"] == retries


class TestBreaker:
    def test_each_attempt_counts_at_the_breaker(self, call: Calls) -> None:
        breaker = CircuitBreaker(failure_threshold=2)
        options = CallOptions(timeout=1.0, retries=3, circuit_breaker=breaker)
        with pytest.raises(CircuitBreakerOpen):
            call(Dependency(failures=99), options)
        assert breaker.state is State.OPEN

    def test_an_operators_policy_replaces_what_code_declares(self, call: Calls) -> None:
        breaker = CircuitBreaker()
        options = CallOptions(timeout=1.0, retries=3, circuit_breaker=breaker)
        breaker.apply_policy({"retries": 1})
        service = Dependency(failures=1)
        with pytest.raises(Boom):
            call(service, options)
        breaker.apply_policy({})
        assert call(service, options) == "answer"

    def test_the_first_kind_of_call_speaks_for_the_breaker(self) -> None:
        breaker = CircuitBreaker()
        CallOptions(timeout=1.0, circuit_breaker=breaker)
        CallOptions(timeout=2.0, retries=9, circuit_breaker=breaker)
        assert (breaker.declared.timeout, breaker.declared.retries) == (1.0, 3)

    def test_other_calls_keep_their_own_where_nothing_is_overridden(self) -> None:
        breaker = CircuitBreaker()
        CallOptions(timeout=1.0, circuit_breaker=breaker)
        slow = CallOptions(timeout=2.0, circuit_breaker=breaker)
        breaker.apply_policy({"retries": 1})
        assert slow.effective() == (2.0, 1, 0.5)


class TestDeadlines:
    def test_the_callee_sees_what_is_left(self, call: Calls) -> None:
        left = call(lambda: remaining(), CallOptions(timeout=5.0, deadline=2.0))
        assert 1.5 < left <= 2.0
        assert remaining() is None

    def test_a_deadline_that_has_passed_asks_nobody(self, call: Calls) -> None:
        service = Dependency()
        asked: list[int] = []

        def outer() -> str:
            from breakers.deadline import Deadline, _current

            token = _current.set(Deadline(at=0.0, budget=3.0))
            try:
                return ResilientCaller().call(service, CallOptions(timeout=1.0, retries=1))
            finally:
                _current.reset(token)

        with pytest.raises(CallTimeout) as error:
            outer()
        assert error.value.timeout == 3.0
        assert (service.asked, asked) == (0, [])

    async def test_a_coroutine_is_cut_off_at_its_timeout(self) -> None:
        breaker = CircuitBreaker()
        options = CallOptions(timeout=0.01, retries=1, circuit_breaker=breaker)
        with pytest.raises(CallTimeout):
            await ResilientCaller().acall(asyncio.sleep, options, 30)
        assert breaker.snapshot().counts["timeout"] == 1

    async def test_a_deadline_alone_cuts_off_too(self) -> None:
        options = CallOptions(timeout=None, retries=1, deadline=0.01)
        with pytest.raises(CallTimeout):
            await ResilientCaller().acall(asyncio.sleep, options, 30)

    async def test_a_cancellation_from_outside_stays_one(self) -> None:
        fallback = Dependency()
        options = CallOptions(timeout=30, fallback=fallback)
        task = asyncio.create_task(ResilientCaller().acall(asyncio.sleep, options, 30))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert fallback.asked == 0

    async def test_the_callees_own_timeout_error_is_its_own(self) -> None:
        async def impatient() -> None:
            raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine") as error:
            await ResilientCaller().acall(impatient, CallOptions(timeout=5, retries=1))
        assert not isinstance(error.value, CallTimeout)


class TestFallback:
    def test_it_answers_with_the_calls_arguments(self, call: Calls) -> None:
        options = CallOptions(timeout=None, retries=1, fallback=lambda *args: ["none", *args])
        assert call(Dependency(failures=1), options, 7) == ["none", 7]

    def test_the_first_of_a_chain_that_answers(
        self, call: Calls, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain = (Dependency(failures=9), Dependency(), Dependency())
        options = CallOptions(timeout=None, retries=1, fallback=chain)
        assert call(Dependency(failures=1), options) == "answer"
        assert [each.asked for each in chain] == [1, 1, 0]

    def test_where_the_last_fails_too_its_error_is_raised(self, call: Calls) -> None:
        options = CallOptions(
            timeout=None, retries=1, fallback=(Dependency(failures=9, error=KeyError),)
        )
        with pytest.raises(KeyError):
            call(Dependency(failures=1), options)

    def test_what_it_hid_is_counted(self, call: Calls) -> None:
        breaker = CircuitBreaker()
        options = CallOptions(
            timeout=None, retries=1, circuit_breaker=breaker, fallback=Dependency()
        )
        call(Dependency(failures=1), options)
        counts = breaker.snapshot().counts
        assert (counts["failure"], counts["fallback"]) == (1, 1)

    async def test_it_may_be_a_coroutine_function(self) -> None:
        async def fallback() -> str:
            return "second best"

        async def broken() -> str:
            raise Boom

        caller = ResilientCaller()
        for chain in ([fallback], [broken, fallback]):
            options = CallOptions(timeout=None, retries=1, fallback=chain)
            assert await caller.acall(broken, options) == "second best"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": 1, "retries": 0}, "retries"),
        ({"timeout": 1, "retries": 2.5}, "retries"),
        ({"timeout": 1, "retry_delay": -0.1}, "retry_delay"),
        ({"timeout": 1, "cache_ttl": 0}, "cache_ttl"),
        ({"timeout": 1, "cache_ttl": "x"}, "cache_ttl"),
        ({"timeout": 1, "deadline": 0}, "deadline"),
        ({"timeout": 1, "strategy": "magic"}, "strategy"),
        ({"timeout": 1, "fallback": []}, "fallback"),
        ({"timeout": 1, "fallback": (print, 7)}, "fallback"),
    ],
)
def test_misuse_is_refused_at_construction(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyError) as error:
        CallOptions(**fields)
    assert error.value.field == field


def test_whole_numbers_are_made_whole() -> None:
    assert CallOptions(timeout=1, retries=3.0).effective() == (1.0, 3, 0.5)  # type: ignore[arg-type]


class TestPieces:
    def test_full_jitter_is_anywhere_below_the_backoff(self) -> None:
        assert full_jitter(1, 0.5, uniform=lambda: 0.0) == 0.0
        assert full_jitter(20, 0.5, cap=60.0, uniform=lambda: 1.0) == 60.0

    @pytest.mark.parametrize(
        ("said", "expected"),
        [("7", 7.0), (7.5, 7.5), ("soon", None), (None, None), (-3, 0.0), (["x"], None)],
    )
    def test_retry_after_is_read_from_an_http_error(self, said: Any, expected: Any) -> None:
        class Response:
            headers = {"Retry-After": said}

        error = Boom()
        error.response = Response()  # type: ignore[attr-defined]
        assert retry_after(error) == expected

    def test_retry_after_may_be_a_date(self) -> None:
        error = Boom()
        error.retry_after = formatdate(4_000_000_000, usegmt=True)  # type: ignore[attr-defined]
        assert (retry_after(error) or 0) > 1_000_000

    def test_odd_headers_say_nothing(self) -> None:
        error = Boom()
        error.response = type("Response", (), {"headers": [("a", "b")]})()  # type: ignore[attr-defined]
        assert retry_after(error) is None

    @pytest.mark.parametrize("wrong", [{"ratio": -1}, {"ratio": 2}, {"burst": 0}])
    def test_a_budget_that_is_none_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RetryBudget(**wrong)
