"""The article's service, in our own words, with its class names, keywords, call order and metric
names exactly: what somebody who has read it would type works as it says."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    CircuitBreakerOpen,
    ResilientCaller,
    State,
    timeout,
)
from breakers.testing import FakeClock


class ServiceError(Exception):
    pass


class Cache:
    """The article's protocol: get(key), and set(key, value, ttl=)."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.ttls: dict[str, float] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any, ttl: float) -> None:
        self.kept[key], self.ttls[key] = value, ttl


class Metrics:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.durations: list[float] = []

    def increment(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def histogram(self, name: str, value: float) -> None:
        assert name == "call.duration"
        self.durations.append(value)


class Upstream:
    """Something that is asked over the network, well or not."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.is_down = False
        self.asked = 0

    def __call__(self, user_id: int) -> Any:
        self.asked += 1
        if self.is_down:
            raise ServiceError("down")
        return self.answer


class UserProfileService:
    """Critical users, posts that degrade to none, a friend count that degrades to unknown."""

    def __init__(self, cache: Cache, metrics: Metrics) -> None:
        self.users = Upstream({"name": "Ada"})
        self.posts = Upstream(["hello"])
        self.social = Upstream(7)
        self.caller = ResilientCaller(cache, metrics, sleep=lambda seconds: None)
        self.posts_cb = CircuitBreaker(failure_threshold=5, timeout_duration=30)
        self.social_cb = CircuitBreaker(failure_threshold=5, timeout_duration=30)

    def get_user_profile(self, user_id: int) -> dict[str, Any]:
        user = self.caller.call(
            self.users,
            CallOptions(timeout=2.0, retries=3, cache_key=f"user:{user_id}", cache_ttl=300),
            user_id,
        )
        posts = self.caller.call(
            self.posts,
            CallOptions(
                timeout=3.0,
                retries=2,
                circuit_breaker=self.posts_cb,
                fallback=lambda uid: [],
                cache_key=f"posts:{user_id}",
                cache_ttl=60,
            ),
            user_id,
        )
        friend_count = self.caller.call(
            self.social,
            CallOptions(
                timeout=1.0, retries=1, circuit_breaker=self.social_cb, fallback=lambda uid: None
            ),
            user_id,
        )
        return {"user": user, "posts": posts, "friend_count": friend_count}


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def service(cache: Cache, metrics: Metrics) -> UserProfileService:
    return UserProfileService(cache, metrics)


def test_a_profile_is_whole_while_all_is_well(
    service: UserProfileService, cache: Cache, metrics: Metrics
) -> None:
    expected = {"user": {"name": "Ada"}, "posts": ["hello"], "friend_count": 7}
    assert service.get_user_profile(1) == expected
    assert service.get_user_profile(1) == expected
    assert (service.users.asked, service.posts.asked, service.social.asked) == (1, 1, 2)
    assert cache.ttls == {"user:1": 300, "posts:1": 60}
    assert metrics.counts == {"cache.miss": 2, "cache.hit": 2, "call.success": 4}
    assert len(metrics.durations) == 4


def test_what_is_not_critical_degrades(service: UserProfileService, metrics: Metrics) -> None:
    service.posts.is_down = service.social.is_down = True
    profile = service.get_user_profile(1)
    assert profile == {"user": {"name": "Ada"}, "posts": [], "friend_count": None}
    assert (service.posts.asked, service.social.asked) == (2, 1)
    assert metrics.counts["call.failure"] == 2


def test_what_is_critical_fails_after_its_retries(service: UserProfileService) -> None:
    service.users.is_down = True
    with pytest.raises(ServiceError):
        service.get_user_profile(1)
    assert service.users.asked == 3


def test_a_struggling_dependency_is_left_alone_by_and_by(service: UserProfileService) -> None:
    service.social.is_down = True
    for user_id in range(20):
        assert service.get_user_profile(user_id)["friend_count"] is None
    assert service.social.asked == 5
    assert service.social_cb.state is State.OPEN


def test_the_breaker_by_itself(cache: Cache) -> None:
    clock = FakeClock()
    posts = Upstream(["hello"])
    posts_circuit = CircuitBreaker(failure_threshold=5, timeout_duration=30, clock=clock)

    def get_user_posts_with_cb(user_id: int) -> Any:
        try:
            return posts_circuit.call(posts, user_id)
        except CircuitBreakerOpen:
            return []

    posts.is_down = True
    for _ in range(5):
        with pytest.raises(ServiceError):
            get_user_posts_with_cb(1)
    assert get_user_posts_with_cb(1) == []
    assert posts.asked == 5
    posts.is_down = False
    clock.advance(31)
    assert get_user_posts_with_cb(1) == ["hello"]
    assert get_user_posts_with_cb(1) == ["hello"]
    assert posts_circuit.state is State.CLOSED


def test_the_timeout_by_itself() -> None:
    def get_friend_count() -> int | None:
        try:
            with timeout(0.01):
                while True:
                    pass
        except TimeoutError:
            return None

    assert get_friend_count() is None
