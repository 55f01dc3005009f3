"""Trips, rejections and overrides as events of real OpenTelemetry spans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from breakers import CircuitBreaker, CircuitBreakerOpen, Registry
from breakers.exporters.opentelemetry_spans import add_span_events
from breakers.testing import FakeClock


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


class Traced:
    """A process's breakers, and the spans that it finishes."""

    def __init__(self) -> None:
        self.clock, self.registry = FakeClock(), Registry()
        self.exporter, self.provider = InMemorySpanExporter(), TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")
        self.stop = add_span_events(self.provider, self.registry)

    def breaker(self, **fields: Any) -> CircuitBreaker:
        return CircuitBreaker(
            name="posts", registry=self.registry, clock=self.clock, open_jitter=0.0,
            failure_threshold=2, **fields,
        )  # fmt: skip

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Span, event and attributes, without the name of the breaker."""
        found = []
        for span in self.exporter.get_finished_spans():
            for event in span.events:
                attributes = {
                    key.removeprefix("circuit_breaker."): value
                    for key, value in (event.attributes or {}).items()
                }
                assert attributes.pop("name") == "posts"
                name = event.name.removeprefix("circuit_breaker.")
                found.append((span.name.removeprefix("circuit_breaker."), name, attributes))
        return found


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    yield traced
    traced.stop()


def test_a_trip_and_a_refusal_are_events_of_the_request(traced: Traced) -> None:
    posts = traced.breaker()
    with traced.tracer.start_as_current_span("GET /feed"):
        for _ in range(2):
            with pytest.raises(Boom):
                posts.call(fail)
        with pytest.raises(CircuitBreakerOpen):
            posts.call(len, "four")
    (trip, refusal) = traced.events()
    assert trip[:2] == ("GET /feed", "trip")
    assert (trip[2]["previous_state"], trip[2]["state"]) == ("closed", "open")
    assert trip[2]["cause"].startswith("2 ")
    assert refusal[:2] == ("GET /feed", "rejected")
    assert refusal[2]["reason"] == "open"
    assert refusal[2]["retry_after_s"] > 0


@pytest.mark.asyncio
async def test_each_coroutine_has_its_own_refusals(traced: Traced) -> None:
    posts = traced.breaker()
    posts.set_override("forced_open")

    async def work() -> None:
        await asyncio.sleep(0)

    async def request(name: str) -> None:
        with traced.tracer.start_as_current_span(name):
            await asyncio.sleep(0)
            with pytest.raises(CircuitBreakerOpen):
                await posts.acall(work)

    await asyncio.gather(request("a"), request("b"))
    refused = [each for each in traced.events() if each[1] == "rejected"]
    assert sorted(each[0] for each in refused) == ["a", "b"]
    assert {each[2]["reason"] for each in refused} == {"forced_open"}


def test_an_override_outside_of_any_span_has_a_span_of_its_own(traced: Traced) -> None:
    posts = traced.breaker()
    posts.set_override("forced_open")
    with pytest.raises(CircuitBreakerOpen):
        posts.call(len, "four")
    posts.set_override(None)
    assert [(span, name, each["state"]) for span, name, each in traced.events()] == [
        ("override", "override", "forced_open"), ("override", "override", "half_open"),
    ]  # fmt: skip


def test_recovery_is_a_transition(traced: Traced) -> None:
    posts = traced.breaker()
    with traced.tracer.start_as_current_span("GET /feed"):
        for _ in range(2):
            with pytest.raises(Boom):
                posts.call(fail)
        traced.clock.advance(3600.0)
        assert str(posts.state) == "half_open"
    assert [each[1] for each in traced.events()] == ["trip", "transition"]


def test_breakers_that_exist_are_heard_once_and_none_after_the_end() -> None:
    traced = Traced()
    posts = traced.breaker()
    other_stop = add_span_events(traced.provider, traced.registry)
    other_stop()
    posts.set_override("forced_open")
    assert len(traced.events()) == 1
    traced.stop()
    posts.set_override(None)
    CircuitBreaker(name="later", registry=traced.registry).set_override("forced_open")
    assert len(traced.events()) == 1


class TestRefusalListeners:
    def test_it_hears_each_refusal_also_when_the_breaker_is_open_already(self) -> None:
        clock = FakeClock()
        posts = CircuitBreaker(clock=clock, failure_threshold=2, open_jitter=0.0)
        for _ in range(2):
            with pytest.raises(Boom):
                posts.call(fail)
        heard: list[CircuitBreakerOpen] = []
        posts.add_refusal_listener(heard.append)
        for _ in range(3):
            with pytest.raises(CircuitBreakerOpen) as caught:
                posts.call(len, "four")
            assert heard[-1] is caught.value
        posts.remove_refusal_listener(heard.append)
        with pytest.raises(CircuitBreakerOpen):
            posts.call(len, "four")
        assert len(heard) == 3
        assert posts.snapshot().counts["rejected"] == 4

    def test_its_error_does_not_reach_the_caller(self) -> None:
        posts = CircuitBreaker()
        posts.add_refusal_listener(lambda error: fail())
        posts.set_override("forced_open")
        with pytest.raises(CircuitBreakerOpen):
            posts.call(len, "four")

    def test_a_coroutine_function_is_refused(self) -> None:
        async def listener(error: CircuitBreakerOpen) -> None: ...

        with pytest.raises(TypeError, match="coroutine function"):
            CircuitBreaker().add_refusal_listener(listener)  # type: ignore[arg-type]
