"""Which errors are failures, and which error the caller gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from breakers.errors import CallTimeout, IsolationExhausted, PolicyError

# From a type of error to the type that takes its place, made of its message, or to a function of
# the error that makes it; one that returns None leaves it as it is.
ErrorMap = Mapping[type[Exception], type[Exception] | Callable[[Any], Exception | None]]
ErrorRule = type[BaseException] | Iterable[type[BaseException]] | Callable[[Exception], bool]
_Rule = Callable[[Exception], bool]


def error_rule(rule: ErrorRule) -> _Rule:
    """One function out of a type, several types, or a function.

    Raises:
        TypeError: the rule is none of these.

    >>> error_rule((KeyError, IndexError))(KeyError("x"))
    True
    """
    if isinstance(rule, type):
        rule = (rule,)
    if callable(rule):
        return rule
    kinds = tuple(rule)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{kind!r} is no exception type")

    def matches(error: Exception) -> bool:
        return isinstance(error, kinds)

    return matches


def classify(error: BaseException, records: _Rule, ignores: _Rule) -> str | None:
    """The outcome an error stands for; None for a cancelled call, which says nothing.

    A `CallTimeout` is a timeout whatever the rules say of other errors, unless it is ignored. Where
    this process had no thread for the call, the callee was not asked, and that is no failure of it.
    """
    if not isinstance(error, Exception):
        return None
    if ignores(error) or isinstance(error, IsolationExhausted):
        return "ignored"
    if isinstance(error, CallTimeout):
        return "timeout"
    return "failure" if records(error) else "ignored"


def error_map(given: ErrorMap | None) -> Callable[[Exception], Exception | None] | None:
    """One function out of a mapping: what to raise in an error's place; None to leave it.

    Raises:
        PolicyError: it is no mapping from exception types to exception types and functions.

    >>> error_map({LookupError: ValueError})(KeyError("x"))
    ValueError("'x'")
    """
    if given is None:
        return None
    if not (isinstance(given, Mapping) and all(map(_is_mapped, given, given.values()))):
        raise PolicyError(
            "map_errors", given, "a mapping from exception types to exception types or functions"
        )
    pairs = tuple(given.items())

    def instead(error: Exception) -> Exception | None:
        for kind, make in pairs:
            if isinstance(error, kind):
                return make(str(error)) if isinstance(make, type) else make(error)
        return None

    return instead


def _is_mapped(kind: object, make: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception) and callable(make)
