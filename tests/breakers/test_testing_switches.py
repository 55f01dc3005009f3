"""`breakers.testing`: one switch for every call of the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from breakers import CallOptions, CircuitBreaker, PolicyError, ResilientCaller, TTLCache, resilient
from breakers.integrations.httpx import AsyncResilientTransport, ResilientTransport
from breakers.testing import is_active, is_testing, set_active, set_testing
from tests.breakers.calls.calling import Boom, Dependency

SLOW = CallOptions(timeout=None, retries=4, retry_delay=300)


@pytest.fixture(autouse=True)
def normal_afterwards() -> Iterator[None]:
    yield
    set_testing(False)
    set_active(True)
    assert (is_testing(), is_active()) == (False, True)


def attempts(options: CallOptions = SLOW) -> int:
    dependency = Dependency(failures=99)
    with pytest.raises(Boom):
        ResilientCaller().call(dependency, options)
    return dependency.asked


class TestTesting:
    @pytest.mark.parametrize(
        ("given", "made"),
        [
            ({}, 1),
            ({"attempts": 2}, 2),
            ({"attempts": 9}, 9),
            ({"attempts": 9, "cap": True}, 4),
            ({"attempts": 2, "cap": True}, 2),
            ({"attempts": None}, 4),
        ],
    )
    def test_there_are_no_pauses_and_so_many_attempts(
        self, given: dict[str, Any], made: int
    ) -> None:
        set_testing(True, **given)
        assert is_testing()
        assert attempts() == made

    async def test_so_it_is_for_coroutines_and_decorated_functions(self) -> None:
        dependency = Dependency(failures=99)

        @resilient(SLOW)
        async def decorated() -> None:
            dependency()

        set_testing(attempts=3)
        with pytest.raises(Boom):
            await decorated()
        assert dependency.asked == 3

    async def test_and_for_clients(self) -> None:
        made = 0

        def answer(request: httpx.Request) -> httpx.Response:
            nonlocal made
            made += 1
            return httpx.Response(503, headers={"Retry-After": "30"})

        mock = httpx.MockTransport(answer)
        set_testing(attempts=2)
        with httpx.Client(transport=ResilientTransport(mock, breaker=None)) as client:
            client.get("http://h")  # noqa: ASYNC212 - a mock answers
        transport = AsyncResilientTransport(mock, breaker=None)
        async with httpx.AsyncClient(transport=transport) as aclient:
            await aclient.get("http://h")
        assert made == 4

    def test_as_a_block_it_ends(self) -> None:
        with set_testing(attempts=2):
            with set_testing(attempts=3):
                assert attempts() == 3
            assert attempts() == 2
        assert not is_testing()

    def test_no_attempts_at_all_are_refused(self) -> None:
        with pytest.raises(PolicyError, match="attempts is 0"):
            set_testing(attempts=0)
        assert not is_testing()


class TestOff:
    def options(self) -> CallOptions:
        breaker = CircuitBreaker(registry=None)
        breaker.set_override("forced_open")
        return CallOptions(timeout=None, circuit_breaker=breaker, cache_key="k", fallback=int)

    def test_calls_go_straight_to_the_function(self) -> None:
        caller, dependency = ResilientCaller(TTLCache()), Dependency(failures=1)
        with set_active(False):
            assert not is_active()
            with pytest.raises(Boom):
                caller.call(dependency, self.options())
            assert [caller.call(dependency, self.options()) for _ in range(2)] == ["answer"] * 2
        assert dependency.asked == 3
        assert caller.call(dependency, self.options()) == 0

    async def test_so_do_those_of_coroutines(self) -> None:
        async def answer() -> str:
            return "answer"

        with set_active(False):
            assert await ResilientCaller().acall(answer, self.options()) == "answer"
