"""What breakers do, as events of OpenTelemetry spans: `add_span_events()`. Needs the
`opentelemetry` extra.

| event | when | attributes besides `circuit_breaker.name` |
|---|---|---|
| `circuit_breaker.trip` | a breaker opens | state, previous state, cause |
| `circuit_breaker.override` | an operator's override comes into force or ends | the same |
| `circuit_breaker.transition` | any other change of the state in force | the same |
| `circuit_breaker.rejected` | a breaker refuses a call | `reason`, `retry_after_s` |

The attributes are `circuit_breaker.state`, `.previous_state`, `.cause`, `.reason` (`open`,
`forced_open`, `shed`) and `.retry_after_s`. An event is added to the current span of the thread or
the coroutine. A transition outside of any recorded span, such as an override that the agent
applies, gets a span of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.records import TransitionRecord
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.circuit.states import State
from breakers.errors import CallShed, CircuitBreakerOpen, CircuitForcedOpen

try:
    from opentelemetry.trace import TracerProvider, get_current_span, get_tracer
    from opentelemetry.util.types import AttributeValue
except ImportError as error:
    raise ImportError(
        f"this exporter needs opentelemetry-sdk: pip install 'switchgear[opentelemetry]' ({error})",
        name=error.name,
    ) from error

SCOPE: Final = "breakers"
_AUTOMATIC: Final = frozenset({State.CLOSED, State.OPEN, State.HALF_OPEN})
_NAME: Final = "circuit_breaker.name"


def add_span_events(
    tracer_provider: TracerProvider | None = None, registry: Registry = default_registry
) -> Callable[[], None]:
    """Add events for the breakers of a registry, those to come included.

    Args:
        tracer_provider: makes the spans of what happens outside of one; the global one by default.
        registry: the process-wide one by default.

    Returns:
        a function that ends it.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    >>> from breakers import CircuitBreaker, Registry
    >>> mine, spans, provider = Registry(), InMemorySpanExporter(), TracerProvider()
    >>> provider.add_span_processor(SimpleSpanProcessor(spans))
    >>> posts = CircuitBreaker(name="posts", registry=mine)
    >>> stop = add_span_events(provider, mine)
    >>> posts.set_override("forced_open")
    >>> spans.get_finished_spans()[0].events[0].name
    'circuit_breaker.override'
    >>> stop()
    """
    tracer = get_tracer(SCOPE, tracer_provider=tracer_provider)
    heard: list[CircuitBreaker] = []

    def tell(name: str, attributes: dict[str, AttributeValue], at: int | None = None) -> None:
        span = get_current_span()
        if span.is_recording():
            span.add_event(name, attributes, at)
            return
        with tracer.start_as_current_span(name, start_time=at) as own:
            own.add_event(name, attributes, at)

    def changed(record: TransitionRecord) -> None:
        tell(
            _event(record),
            {
                _NAME: record.breaker,
                "circuit_breaker.state": record.after.value,
                "circuit_breaker.previous_state": record.before.value,
                "circuit_breaker.cause": record.cause,
            },
            int(record.wall * 1e9),
        )

    def refused(error: CircuitBreakerOpen) -> None:
        attributes: dict[str, AttributeValue] = {
            _NAME: error.breaker,
            "circuit_breaker.reason": _reason(error),
        }
        if error.retry_after_s is not None:
            attributes["circuit_breaker.retry_after_s"] = error.retry_after_s
        # A refusal outside of a span is counted by the metrics; a span of each would be a flood.
        span = get_current_span()
        if span.is_recording():
            span.add_event("circuit_breaker.rejected", attributes)

    def hear(breaker: CircuitBreaker) -> None:
        if not any(each is breaker for each in heard):
            heard.append(breaker)
            breaker.add_listener(changed)
            breaker.add_refusal_listener(refused)

    def stop() -> None:
        registry.off_create(hear)
        while heard:
            breaker = heard.pop()
            breaker.remove_listener(changed)
            breaker.remove_refusal_listener(refused)

    registry.on_create(hear)
    for breaker in registry.all():
        hear(breaker)
    return stop


def _event(record: TransitionRecord) -> str:
    if not {record.before, record.after} <= _AUTOMATIC:
        return "circuit_breaker.override"
    return "circuit_breaker.trip" if record.after is State.OPEN else "circuit_breaker.transition"


def _reason(error: CircuitBreakerOpen) -> str:
    if isinstance(error, CircuitForcedOpen):
        return "forced_open"
    return "shed" if isinstance(error, CallShed) else "open"
