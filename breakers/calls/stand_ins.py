"""What answers in the place of a failed call: a stale result, or a fallback."""

from __future__ import annotations

import inspect
import logging
from typing import Any, Final

from breakers.calls.backends import STALE, Backends
from breakers.calls.cache import MISS
from breakers.calls.fallbacks import Fallback
from breakers.calls.options import CallOptions
from breakers.calls.records import CallTrace
from breakers.common.exception_groups import leaves
from breakers.common.rules import aapply, apply, is_async, is_rule_error

logger = logging.getLogger("breakers")
# Nothing answers: the error is raised.
NONE: Final = object()


class StandIns:
    """The stale results and fallbacks of a caller."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def for_error(
        self,
        key: str | None,
        options: CallOptions,
        error: Exception,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        """The answer for an error, or `NONE`.

        Raises:
            Exception: the last fallback for this error failed too.
        """
        if is_rule_error(error) or not (options.fallbacks or options.stale_ttl is not None):
            return NONE
        ignored = _is_ignored(options, error)
        if key is not None and not ignored and options.takes_stale_for(error):
            kept = self._backends.get(key + STALE)
            if kept is not MISS:
                self._answers_stale(options, error, trace)
                return kept
        chosen = [
            each
            for each in options.fallbacks
            if (each.on_ignored or not ignored) and apply(each.matches, error)
        ]
        if not chosen:
            return NONE
        _count(options, error, "fallback", trace)
        for fallback in chosen[:-1]:
            try:
                return fallback(error, *args, **kwargs)
            except Exception as worse:
                _log_failed(worse)
        return chosen[-1](error, *args, **kwargs)

    async def afor_error(
        self,
        key: str | None,
        options: CallOptions,
        error: Exception,
        args: Any,
        kwargs: Any,
        trace: CallTrace | None,
    ) -> Any:
        """`for_error` for caches, rules and fallbacks that may be async."""
        if is_rule_error(error) or not (options.fallbacks or options.stale_ttl is not None):
            return NONE
        ignored = await _ais_ignored(options, error)
        if key is not None and not ignored and options.takes_stale_for(error):
            kept = await self._backends.aget(key + STALE)
            if kept is not MISS:
                self._answers_stale(options, error, trace)
                return kept
        chosen = [
            each
            for each in options.fallbacks
            if (each.on_ignored or not ignored) and await _amatches(each, error)
        ]
        if not chosen:
            return NONE
        _count(options, error, "fallback", trace)
        for fallback in chosen[:-1]:
            try:
                return await _answer(fallback, error, args, kwargs)
            except Exception as worse:
                _log_failed(worse)
        return await _answer(chosen[-1], error, args, kwargs)

    def for_result(
        self, options: CallOptions, result: Any, args: Any, kwargs: Any, trace: CallTrace | None
    ) -> Any:
        """The result, or the answer of the first fallback whose `on_result` names it."""
        for fallback in options.result_fallbacks:
            assert fallback.on_result is not None
            if apply(fallback.on_result, result):
                _count(options, None, "fallback", trace)
                return fallback(None, *args, **kwargs)
        return result

    async def afor_result(
        self, options: CallOptions, result: Any, args: Any, kwargs: Any, trace: CallTrace | None
    ) -> Any:
        """`for_result` for rules and fallbacks that may be async."""
        for fallback in options.result_fallbacks:
            assert fallback.on_result is not None
            if await aapply(fallback.on_result, result):
                _count(options, None, "fallback", trace)
                return await _answer(fallback, None, args, kwargs)
        return result

    def raise_mapped(self, options: CallOptions, error: Exception) -> None:
        """Raise the error that `map_errors` puts in the place of this one, if any."""
        if options.instead is None or is_rule_error(error):
            return
        mapped = apply(options.instead, error)
        if mapped is not None:
            try:
                raise mapped from error
            finally:
                # This frame is part of its traceback.
                del mapped

    def _answers_stale(
        self, options: CallOptions, error: Exception, trace: CallTrace | None
    ) -> None:
        _count(options, error, "stale", trace)
        self._backends.count_lookup("stale", options)


def _count(
    options: CallOptions, error: Exception | None, outcome: str, trace: CallTrace | None
) -> None:
    if options.circuit_breaker is not None:
        options.circuit_breaker.count("fallback")
    if trace is not None:
        trace.outcome, trace.error = outcome, error
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("call failed, answering with %s: %s", outcome, repr(error))


def _log_failed(error: Exception) -> None:
    # As text: a handler that keeps the record would keep the frames of the error alive.
    logger.warning("a fallback failed, trying the next: %s", repr(error))


def _is_ignored(options: CallOptions, error: Exception) -> bool:
    breaker = options.circuit_breaker
    return breaker is not None and bool(apply(breaker._ignores, error))


async def _ais_ignored(options: CallOptions, error: Exception) -> bool:
    breaker = options.circuit_breaker
    if breaker is None:
        return False
    if "ignore" not in breaker._async_rules:
        return bool(apply(breaker._ignores, error))
    for each in leaves(error):
        if not await aapply(breaker._ignores, each):
            return False
    return True


async def _amatches(fallback: Fallback, error: Exception) -> bool:
    if not is_async(fallback.on):
        return bool(apply(fallback.matches, error))
    for each in leaves(error):
        if not await aapply(fallback.matches, each):
            return False
    return True


async def _answer(fallback: Fallback, error: Exception | None, args: Any, kwargs: Any) -> Any:
    answer = fallback(error, *args, **kwargs)
    return await answer if inspect.isawaitable(answer) else answer
