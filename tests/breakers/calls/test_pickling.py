"""Options cross processes: a task queue pickles them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    CallOptions,
    CircuitBreaker,
    Fallback,
    FallbackValue,
    RateLimiter,
    ResilientCaller,
    RetryBudget,
    registry,
)


def crossed(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def is_empty(found: object) -> bool:
    return not found


@pytest.fixture
def posts() -> Iterator[CircuitBreaker]:
    yield CircuitBreaker(3, 12, name="pickled posts", ignore=KeyError, minimum_calls=7)
    registry.remove("pickled posts")


def test_they_keep_every_field(posts: CircuitBreaker) -> None:
    options = CallOptions(
        timeout=2.0,
        retries=2,
        circuit_breaker=posts,
        fallback=[Fallback(len, on=OSError, on_result=is_empty, with_error=True, on_ignored=True)],
        cache_key=repr,
        negative_on=(KeyError,),
        deadline=9,
        retry_on=(OSError, KeyError),
        retry_delay_max=3.0,
        map_errors={OSError: LookupError},
    )
    made = crossed(options)
    assert made.circuit_breaker is posts
    (fallback,) = made.fallbacks
    assert (fallback.function, fallback.on, fallback.on_result) == (len, OSError, is_empty)
    assert (fallback.with_error, fallback.on_ignored) == (True, True)
    for name in ("timeout", "retries", "deadline", "retry_on", "negative_on", "map_errors"):
        assert getattr(made, name) == getattr(options, name)
    with pytest.raises(LookupError):
        ResilientCaller().call(
            Fails(), crossed(CallOptions(timeout=None, map_errors=made.map_errors))
        )


class Fails:
    def __call__(self) -> None:
        raise OSError


def test_another_process_makes_the_breaker_that_it_does_not_have(posts: CircuitBreaker) -> None:
    stored = pickle.dumps(posts)
    registry.remove(posts.name)
    made = pickle.loads(stored)
    assert made is not posts
    assert registry.get(posts.name) is made
    assert made.declared == posts.declared
    with pytest.raises(KeyError):
        made.call({}.__getitem__, "none")
    assert made.snapshot().counts["ignored"] == 1


def test_a_breaker_without_a_name_is_refused() -> None:
    with pytest.raises(TypeError, match="give it a name"):
        pickle.dumps(CircuitBreaker())


def test_limits_are_made_anew() -> None:
    limiter = crossed(RateLimiter(5, per=2.0, burst=3, max_wait=1.0))
    assert (limiter.calls, limiter.per, limiter.burst, limiter.max_wait) == (5, 2.0, 3, 1.0)
    bulkhead = crossed(Bulkhead(4, max_wait=2.0))
    assert (bulkhead.max_concurrent, bulkhead.max_wait, bulkhead.in_flight) == (4, 2.0, 0)
    limit = crossed(AdaptiveLimit(7, minimum=2, maximum=9, tolerance=2.0))
    assert (limit.max_concurrent, limit.minimum, limit.maximum, limit.tolerance) == (7, 2, 9, 2.0)
    budget = crossed(RetryBudget(0.1, burst=4))
    assert (budget.ratio, budget.burst) == (0.1, 4)


def test_a_constant_fallback_too() -> None:
    assert crossed(FallbackValue([1])).value == [1]


def test_a_copy_of_options_shares_their_parts(posts: CircuitBreaker) -> None:
    options = CallOptions(timeout=1.0, circuit_breaker=posts, bulkhead=Bulkhead(1))
    made = copy.copy(options)
    assert made == options
    assert made.bulkhead is options.bulkhead
