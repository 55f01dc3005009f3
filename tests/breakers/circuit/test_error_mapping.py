"""What the callee raises can reach the caller as another error, with the first as its cause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from breakers import CallOptions, CircuitBreaker, CircuitBreakerOpen, PolicyError, ResilientCaller
from breakers.calls.cache import TTLCache


class Down(Exception):
    """The house's own word for it."""


class Missing(Exception):
    pass


def refused(*_: object) -> None:
    raise ConnectionRefusedError("port 5432")


async def arefused() -> None:
    raise ConnectionRefusedError("port 5432")


def mapping(**more: Any) -> CircuitBreaker:
    return CircuitBreaker(map_errors={ConnectionError: Down}, **more)


def mapped(caught: pytest.ExceptionInfo[BaseException]) -> tuple[str, type[BaseException]]:
    return str(caught.value), type(caught.value.__cause__)


class TestBreaker:
    def test_a_type_is_made_of_the_message_and_keeps_the_cause(self) -> None:
        with pytest.raises(Down) as caught:
            mapping().call(refused)
        assert mapped(caught) == ("port 5432", ConnectionRefusedError)
        assert caught.value.__cause__.__traceback__ is not None

    def test_a_function_makes_what_it_likes_of_it_or_nothing(self) -> None:
        def make(error: OSError) -> Exception | None:
            return Missing(error.errno) if error.errno == 2 else None

        breaker = CircuitBreaker(map_errors={OSError: make})
        with pytest.raises(Missing, match="2"):
            breaker.call(open, "/nowhere/at/all")
        with pytest.raises(ConnectionRefusedError):
            breaker.call(refused)

    def test_the_first_that_fits_is_taken_and_others_pass(self) -> None:
        breaker = CircuitBreaker(map_errors={ConnectionResetError: Missing, OSError: Down})
        with pytest.raises(Down):
            breaker.call(refused)
        with pytest.raises(KeyError):
            breaker.call({}.__getitem__, 1)

    def test_the_rules_judge_what_the_callee_raised(self) -> None:
        breaker = mapping(failure_threshold=None, record=OSError, ignore=Down)
        with pytest.raises(Down):
            breaker.call(refused)
        assert breaker.snapshot().counts["failure"] == 1
        breaker = mapping(ignore=ConnectionError)
        with pytest.raises(Down):
            breaker.call(refused)
        assert breaker.snapshot().counts["ignored"] == 1

    def test_a_refusal_is_the_breakers_own_and_stays_one(self) -> None:
        breaker = CircuitBreaker(1, map_errors={Exception: Down})
        with pytest.raises(Down):
            breaker.call(refused)
        with pytest.raises(CircuitBreakerOpen):
            breaker.call(refused)

    def test_an_interrupt_is_nobodys_error(self) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            CircuitBreaker(map_errors={Exception: Down}).call(interrupted)

    async def test_coroutines_blocks_and_generators_too(self) -> None:
        breaker = mapping()
        with pytest.raises(Down):
            await breaker.acall(arefused)
        with pytest.raises(Down) as caught, breaker:
            refused()
        assert mapped(caught) == ("port 5432", ConnectionRefusedError)
        with pytest.raises(Down):
            async with breaker:
                await arefused()

        @breaker
        def numbers() -> Iterator[int]:
            yield 1
            refused()

        @breaker
        async def anumbers() -> AsyncIterator[int]:
            yield 1
            refused()

        with pytest.raises(Down):
            list(numbers())
        with pytest.raises(Down):
            async for _ in anumbers():
                pass
        assert breaker.snapshot().counts["failure"] == 5
        assert breaker.snapshot().in_flight == 0

    @pytest.mark.parametrize("wrong", [[KeyError], {KeyError: 7}, {"KeyError": Down}, {7: Down}])
    def test_what_is_no_mapping_of_errors_is_refused(self, wrong: Any) -> None:
        with pytest.raises(PolicyError) as caught:
            CircuitBreaker(map_errors=wrong)
        assert caught.value.field == "map_errors"
        with pytest.raises(PolicyError) as caught:
            CallOptions(timeout=None, map_errors=wrong)
        assert caught.value.field == "map_errors"

    def test_an_interrupt_cannot_be_asked_for(self) -> None:
        with pytest.raises(PolicyError, match="map_errors"):
            CircuitBreaker(map_errors={KeyboardInterrupt: Down})  # type: ignore[dict-item]


class TestCalls:
    OPTIONS = CallOptions(timeout=None, retries=2, retry_delay=0, map_errors={OSError: Down})

    def test_what_is_raised_in_the_end_is_mapped(self) -> None:
        asked: list[int] = []

        def flaky() -> None:
            asked.append(1)
            refused()

        with pytest.raises(Down) as caught:
            ResilientCaller().call(flaky, self.OPTIONS)
        assert mapped(caught) == ("port 5432", ConnectionRefusedError)
        assert len(asked) == 2

    async def test_of_coroutines_too(self) -> None:
        with pytest.raises(Down) as caught:
            await ResilientCaller().acall(arefused, self.OPTIONS)
        assert mapped(caught) == ("port 5432", ConnectionRefusedError)

    def test_a_refusal_can_be_called_by_the_houses_name(self) -> None:
        breaker = CircuitBreaker()
        breaker.set_override("forced_open")
        options = CallOptions(
            timeout=None, circuit_breaker=breaker, map_errors={CircuitBreakerOpen: Down}
        )
        with pytest.raises(Down):
            ResilientCaller().call(int, options)

    def test_retries_and_breaker_judge_what_the_callee_raised(self) -> None:
        breaker = mapping(record=OSError)
        options = CallOptions(
            timeout=None, retries=3, retry_delay=0, retry_on=KeyError, circuit_breaker=breaker
        )
        with pytest.raises(Down):
            ResilientCaller().call(refused, options)
        assert breaker.snapshot().counts["failure"] == 1

    def test_a_fallback_answers_before_anything_is_mapped(self) -> None:
        options = CallOptions(timeout=None, retries=1, fallback=len, map_errors={OSError: Down})
        assert ResilientCaller().call(refused, options, "four") == 4

    def test_a_failure_that_is_kept_is_mapped_each_time(self) -> None:
        options = CallOptions(
            timeout=None,
            retries=1,
            cache_key="k",
            negative_on=(OSError,),
            map_errors={OSError: Down},
        )
        caller = ResilientCaller(TTLCache())
        for _ in range(2):
            with pytest.raises(Down, match="port 5432"):
                caller.call(refused, options)


class TestTimeouts:
    """A timeout is the callee's too; it counts as one, and leaves no cancellation behind."""

    def test_of_a_function(self) -> None:
        breaker = CircuitBreaker(map_errors={TimeoutError: Down})
        options = CallOptions(timeout=0.01, retries=1, circuit_breaker=breaker)
        with pytest.raises(Down, match=r"no answer within 0\.01 s"):
            ResilientCaller().call(time.sleep, options, 30)
        assert breaker.snapshot().counts["timeout"] == 1

    async def test_of_a_coroutine(self) -> None:
        breaker = CircuitBreaker(map_errors={TimeoutError: Down})
        options = CallOptions(timeout=0.01, retries=1, circuit_breaker=breaker)
        with pytest.raises(Down, match=r"no answer within 0\.01 s"):
            await ResilientCaller().acall(asyncio.sleep, options, 30)
        assert breaker.snapshot().counts["timeout"] == 1
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
