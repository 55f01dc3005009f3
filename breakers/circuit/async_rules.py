"""A breaker whose rules are coroutine functions: `record`, `ignore` or `is_failure`.

`CircuitBreaker(…)` makes one by itself when a rule is a coroutine function. Only async calls can
await a rule, so it refuses the others before they are made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from breakers.circuit.admission import Ticket
from breakers.circuit.breaker import CircuitBreaker
from breakers.common.awaiting import mark_misuse
from breakers.common.context_stack import ContextStack
from breakers.common.exception_groups import leaves
from breakers.common.rules import aapply, is_rule_error
from breakers.errors import CallInterrupted, CallTimeout, IsolationExhausted

P = ParamSpec("P")
R = TypeVar("R")


class AsyncRulesBreaker(CircuitBreaker):
    """`CircuitBreaker` for async calls alone."""

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        self._refuse_sync()

    def enter(self) -> NoReturn:
        self._refuse_sync()

    def __enter__(self) -> NoReturn:
        self._refuse_sync()

    def _refuse_sync(self) -> NoReturn:
        raise TypeError(
            f"{' and '.join(self._async_rules)} of breaker {self.name!r}: a coroutine function "
            "needs acall or async with"
        )

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        ticket, start = super().enter()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            mark_misuse(error)
            await self._aleave(ticket, start, error)
            raise
        await self._aleave(ticket, start, None, result)
        return result

    async def __aenter__(self) -> CircuitBreaker:
        _blocks.push(self, super().enter())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ticket, start = _blocks.pop(self)
        await self._aleave(ticket, start, error)

    async def _aleave(
        self,
        ticket: Ticket,
        start: float,
        error: BaseException | None,
        result: Any = None,
    ) -> None:
        if ticket.lease < 0:
            return  # nested: the outer call is counted
        now = self._now()
        outcome: str | None = None
        try:
            if error is not None:
                outcome = await self._aclassify(error)
            elif self._is_failure is not None and await aapply(self._is_failure, result):
                outcome = "failure"
            else:
                outcome = "success"
        finally:
            # A rule that raised says nothing about the callee.
            self._record(ticket, now, now - start, outcome)
        if isinstance(error, Exception):
            self._raise_mapped(error)

    async def _aclassify(self, error: BaseException) -> str | None:
        if is_rule_error(error):
            return None
        outcomes = {await self._aclassify_one(each) for each in leaves(error)}
        for outcome in ("failure", "timeout", "ignored"):
            if outcome in outcomes:
                return outcome
        return None

    async def _aclassify_one(self, error: BaseException) -> str | None:
        if isinstance(error, CallInterrupted):
            error = CallTimeout(error.timeout)
        elif not isinstance(error, Exception):
            return None
        if await aapply(self._ignores, error) or isinstance(error, IsolationExhausted):
            return "ignored"
        if isinstance(error, CallTimeout):
            return "timeout"
        return "failure" if await aapply(self._records, error) else "ignored"


_blocks = ContextStack()
CircuitBreaker._async_variant = AsyncRulesBreaker
