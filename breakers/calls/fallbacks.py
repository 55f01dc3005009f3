"""What answers in the place of a call that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from breakers.circuit.outcomes import ErrorRule, error_rule, group_rule
from breakers.common.rules import is_async
from breakers.errors import PolicyError


class FallbackValue:
    """A fallback that is always the same value. All callers share the object.

    >>> FallbackValue(0)("any", arguments=True)
    0
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value


class Fallback:
    """A fallback for some kinds of error, or for some results.

    Args:
        function: answers with the call's arguments; a coroutine function in async calls too.
        on: the errors it answers for: types, or a function of the error.
        on_result: a function that says whether it also answers in the place of a result.
        with_error: whether the function gets the error as its first argument, before the call's
            own; None in the place of a result.
        on_ignored: whether it answers for errors that the breaker ignores. They are answers of the
            callee, such as "not found", which a fallback would hide.

    Raises:
        PolicyError: naming the argument, its value and what would be right.

    >>> from breakers import CallOptions, ResilientCaller
    >>> busy = Fallback(lambda error, text: f"busy: {error}", on=OSError, with_error=True)
    >>> wrong = Fallback(lambda text: "wrong", on=ValueError)
    >>> options = CallOptions(timeout=None, retries=1, fallback=[busy, wrong])
    >>> ResilientCaller().call(int, options, "no number")
    'wrong'
    """

    __slots__ = ("function", "matches", "on", "on_ignored", "on_result", "with_error")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        on: ErrorRule = Exception,
        on_result: Callable[[Any], object] | None = None,
        with_error: bool = False,
        on_ignored: bool = False,
    ) -> None:
        if not callable(function):
            raise PolicyError("fallback", function, "a function")
        if on_result is not None and not callable(on_result):
            raise PolicyError("on_result", on_result, "a function, or None")
        try:
            self.matches = error_rule(on) if is_async(on) else group_rule(on)
        except TypeError as error:
            raise PolicyError("on", on, "exception types, or a function") from error
        self.function, self.on, self.on_result = function, on, on_result
        self.with_error, self.on_ignored = with_error, on_ignored

    def __call__(self, error: Exception | None, /, *args: Any, **kwargs: Any) -> Any:
        """The answer for an error, or in the place of a result."""
        if self.with_error:
            return self.function(error, *args, **kwargs)
        return self.function(*args, **kwargs)

    @property
    def async_rules(self) -> list[str]:
        """The names of its rules that are coroutine functions. The function itself is none."""
        rules = {"fallback's on": self.on, "fallback's on_result": self.on_result}
        return [name for name, rule in rules.items() if is_async(rule)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (
            self.function,
            self.on,
            self.on_result,
            self.with_error,
            self.on_ignored,
        )


def _rebuilt(
    function: Callable[..., Any], on: Any, on_result: Any, with_error: bool, on_ignored: bool
) -> Fallback:
    return Fallback(
        function, on=on, on_result=on_result, with_error=with_error, on_ignored=on_ignored
    )


FallbackFunction = Callable[..., Any]
FallbackOption = Fallback | FallbackFunction | Sequence[Fallback | FallbackFunction] | None


def as_fallbacks(given: FallbackOption) -> tuple[Fallback, ...]:
    """The fallbacks of an option, in the order in which they are tried.

    Raises:
        PolicyError: one of them is no function.
    """
    if given is None:
        return ()
    several = given if isinstance(given, Sequence) else (given,)
    if not several or not all(callable(each) for each in several):
        raise PolicyError("fallback", given, "a function, a Fallback, or several")
    return tuple(each if isinstance(each, Fallback) else Fallback(each) for each in several)
