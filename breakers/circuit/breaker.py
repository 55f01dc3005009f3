"""The circuit breaker: how it is made, decorates and guards blocks, and judges what came back.

`call`, `acall`, `enter` and `leave` are inherited from admission (breakers/circuit/admission.py).
While the breaker is closed, a success costs two clock readings and two counters, a refusal one of
each. No lock is held while the callee runs.
"""

from __future__ import annotations

import functools
import random
from asyncio import CancelledError, Future
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from math import inf
from types import CoroutineType, TracebackType
from typing import Any, ClassVar, Final, NamedTuple, ParamSpec, TypeVar

from breakers.circuit import decorators
from breakers.circuit.admission import Ticket
from breakers.circuit.awaited import GuardedCoroutine
from breakers.circuit.nesting import is_nested, mark_probe, nested_ticket
from breakers.circuit.outcomes import (
    ErrorMap,
    ErrorRule,
    classify,
    error_map,
    error_rule,
    group_rule,
)
from breakers.circuit.overrides import OverridableBreaker
from breakers.circuit.policy import Policy
from breakers.circuit.registration import UNNAMED, Registers, default_registry, named
from breakers.circuit.states import State
from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.common.context_stack import ContextStack
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Nested, give_way
from breakers.common.listeners import notify
from breakers.common.rules import apply, is_async, is_rule_error, mark_rule_error
from breakers.common.running import is_in_generator
from breakers.common.uninterruptible import uninterruptible
from breakers.errors import CallShed, CircuitBreakerOpen, CircuitForcedOpen
from breakers.limits.policy_limits import PolicyLimits
from breakers.limits.retry_budget import RetryBudget

P = ParamSpec("P")
R = TypeVar("R")


class Block(NamedTuple):
    """A `with` block that is open: whether `_begin` began it, and what that or `enter` returned."""

    is_begun: bool
    begun: tuple[Ticket, float, Any] | None


@uninterruptible
class CircuitBreaker(OverridableBreaker):
    """Stops calling what keeps failing, and lets probes find out when it is well again.

    Args:
        failure_threshold: consecutive failures that open it; None switches the rule off.
        timeout_duration: seconds it stays open before it lets probes pass.
        success_threshold: successful probes that close it.
        name: how it appears everywhere, up to 120 visible characters. Only named breakers are
            registered and reported.
        record: which errors are failures: types, or a function of the error.
        ignore: errors that say nothing about the callee; they win over `record`.
        is_failure: a function that calls a returned value a failure. The three rules may be
            coroutine functions, for a breaker of async calls alone.
        map_errors: which error the caller gets in the place of one that the callee raised: the
            first type that fits, to a type that is made of its message, or to a function of the
            error that makes another, or None to leave it. The first stays its cause, and is what
            `record` and `ignore` judge.
        probe: makes a test call, for a half-open breaker that nobody calls: the agent calls it
            through the breaker, in a thread of its own. A function or a coroutine function.
        clock: injected in tests; decisions read its monotonic side only.
        registry: where a named breaker is registered; None for nowhere.
        random: a function like `random.random`, for the jitter.
        fields: any other field of `Policy`.

    Raises:
        PolicyError: a field has a value it cannot have.

    >>> breaker = CircuitBreaker(failure_threshold=2, timeout_duration=30)
    >>> breaker.call(len, "four")
    4
    """

    def __init__(
        self,
        failure_threshold: int | None = 5,
        timeout_duration: float = 60.0,
        success_threshold: int = 2,
        *,
        name: str | None = None,
        record: ErrorRule = (Exception,),
        ignore: ErrorRule = (),
        is_failure: Callable[[Any], object] | None = None,
        map_errors: ErrorMap | None = None,
        probe: Callable[[], object] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        registry: Registers | None = default_registry,
        random: Callable[[], float] = random.random,
        **fields: object,
    ) -> None:
        article: dict[str, object] = {
            "failure_threshold": failure_threshold,
            "timeout_duration": timeout_duration,
            "success_threshold": success_threshold,
        }
        policy = Policy().replace({**article, **fields})
        super().__init__(named(name), policy, clock, random, is_failure is not None)
        self._records, self._ignores = error_rule(record), error_rule(ignore)
        if not is_async(ignore):
            self._ignores = group_rule(ignore)
        self._is_failure = is_failure
        self.probe = probe
        rules = (record, ignore, is_failure, map_errors)
        self._async_rules = tuple(
            name for name, given in zip(_RULES, rules, strict=True) if is_async(given)
        )
        if self._async_rules and self._async_variant is not None:
            self.__class__ = self._async_variant
        self._instead = error_map(map_errors)
        self._rules = rules
        self.retry_budget = RetryBudget()
        self._policy_limits: PolicyLimits | None = None
        renew_after_fork(self)
        if name and registry is not None:
            registry.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """A breaker is pickled by its name, and what code declares. Another process gets its own
        registered breaker of that name, with its own state, and makes one if it has none.

        Raises:
            TypeError: it has no name.
        """
        if self.name == UNNAMED:
            raise TypeError("a breaker without a name cannot be pickled: give it a name")
        return _unpickled, (self.name, asdict(self.declared), self._rules, self.probe)

    _async_variant: ClassVar[type[CircuitBreaker] | None] = None

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, coroutine function, generator or async generator.

        >>> breaker = CircuitBreaker()
        >>> @breaker
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> double(4)
        8
        """
        return decorators.wrap(self, func)

    def __enter__(self) -> CircuitBreaker:
        _blocks.push(self, self._enter_block())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave_block(_blocks.pop(self), error)

    async def __aenter__(self) -> CircuitBreaker:
        _blocks.push(self, self._enter_block())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave_block(_blocks.pop(self), error)

    def _enter_block(self) -> Block:
        """Enter a `with` block. Calls inside it are part of it, unless it stands in a generator:
        while that is suspended, its reader's calls are none of the block's."""
        if not is_in_generator(depth=2):
            begun = self._begin()
            return Block(True, begun)
        ticket, start = self.enter()
        if ticket.lease > 0:
            self._mark_probe(ticket)
        return Block(False, (ticket, start, None))

    def _leave_block(self, block: Block, error: BaseException | None) -> None:
        if block.begun is None:
            return
        if block.is_begun:
            self._end(block.begun, error)
        else:
            self.leave(block.begun[0], block.begun[1], error)

    @property
    def policy_limits(self) -> PolicyLimits:
        """The limits that an operator's policy sets for calls through this breaker."""
        found = self._policy_limits
        if found is None:
            # Atomic: of two threads that ask at once, both get the same.
            vars(self).setdefault("_made_limits", PolicyLimits())
            found = self._policy_limits = vars(self)["_made_limits"]
        return found

    def _admit(self) -> Ticket:
        """Admit a call where calls do not pass freely: a nested call, a probe, or a refusal."""
        if is_nested(self):
            return nested_ticket()
        now = self._now()
        give_way(self._guard)
        ticket = self._guard.run_now(self._admit_guarded, now)
        if isinstance(ticket, Nested):
            # This thread is in the middle of an update; a finaliser or a handler asks.
            ticket = self._ticket
        else:
            self._deliver()
        if ticket is not None:
            return ticket
        self._refused(now)
        error = self._refusal(now)
        for listener in tuple(self._refusal_listeners):
            notify(listener, error)
        raise error

    def _refusal(self, now: float) -> CircuitBreakerOpen:
        override = self._override
        if override is not None:
            left = None if override.until == inf else override.until - now
            return CircuitForcedOpen(self.name, left)
        if self._state is State.CLOSED:
            return CallShed(self.name)
        left = self._open_until - now if self._state is State.OPEN else None
        return CircuitBreakerOpen(self.name, left)

    def _mark_probe(self, ticket: Ticket) -> None:
        mark_probe(self, ticket)

    def _admit_guarded(self, now: float) -> Ticket | None:
        self._settle(now)
        return self._ticket or self._permit(now)

    def _returned(self, ticket: Ticket, now: float, elapsed: float, result: Any) -> None:
        if ticket.lease < 0:
            return  # nested: the outer call is counted
        try:
            failed = self._is_failure is not None and self._is_failure(result)
        except BaseException as error:
            mark_rule_error(error)
            self._record(ticket, now, elapsed, None)
            raise
        slow = self.policy.slow_call_duration
        if failed or ticket.lease or (slow is not None and elapsed >= slow):
            self._record(ticket, now, elapsed, "failure" if failed else "success")
        else:
            self._passed(ticket, now, elapsed)

    def _failed(self, ticket: Ticket, now: float, start: float, error: BaseException) -> None:
        if ticket.lease < 0:
            return
        try:
            # A rule that raised, or a misused function, says nothing about the callee.
            is_ours = is_rule_error(error)
            outcome = None if is_ours else classify(error, self._records, self._ignores)
        except BaseException as failed:
            mark_rule_error(failed)
            self._record(ticket, now, now - start, None)
            raise
        self._record(ticket, now, now - start, outcome)
        if self._instead is not None and not is_ours and isinstance(error, Exception):
            self._raise_mapped(error)

    def _raise_mapped(self, error: Exception) -> None:
        """Raise the error that `map_errors` puts in the place of this one, if any."""
        mapped = None if self._instead is None else apply(self._instead, error)
        if mapped is not None:
            try:
                raise mapped from error
            finally:
                # This frame is part of its traceback.
                del mapped

    def _returned_awaitable(self, ticket: Ticket, start: float, result: Any) -> Any:
        """What `call` returns for a function that returned something to await.

        A coroutine passes the breaker when it is awaited. A future is judged when it is done.
        """
        if isinstance(result, Future):
            result.add_done_callback(functools.partial(self._future_done, ticket, start))
            return result
        if isinstance(result, CoroutineType):
            self._count_ended(ticket, self._now(), 0.0, None)
            return GuardedCoroutine(self.acall, result)
        self.leave(ticket, start, None, result)
        return result

    def _future_done(self, ticket: Ticket, start: float, future: Future[Any]) -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self.leave(ticket, start, None, future.result())
        else:
            # What `map_errors` puts in its place cannot reach the code that awaits the future.
            with suppress(Exception):
                self.leave(ticket, start, error)

    def record_failure(self, error: Exception) -> None:
        """Count a failure of the callee that was noticed outside a call, such as a stream that
        broke after its call was a success. It needs no permit and may open the breaker."""
        outcome = classify(error, self._records, self._ignores)
        self._guard.run(self._record_unasked, self._now(), outcome)
        self._deliver()

    def _after_fork(self) -> None:
        """The child is its own instance: it starts with its parent's state and nobody's counts."""
        for probe in self._probes:
            probe.is_ended = True
        until = self._open_until
        self._begin_incarnation(self._state)
        self._open_until = until
        self._new_generation(self._now())

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self._shown}>"


def _unpickled(
    name: str, fields: dict[str, Any], rules: tuple[Any, ...], probe: Any = None
) -> CircuitBreaker:
    given = dict(zip(_RULES, rules, strict=True), probe=probe)
    return default_registry.get_or_create(name, **fields, **given)  # type: ignore[no-any-return]


_RULES: Final = ("record", "ignore", "is_failure", "map_errors")
_blocks = ContextStack()
