"""Which errors are failures, and which error the caller gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from breakers.common.exception_groups import every, leaves
from breakers.common.rules import is_async
from breakers.errors import CallInterrupted, CallTimeout, IsolationExhausted, PolicyError

# From a type of error to the type that takes its place, made of its message, or to a function of
# the error that makes it. A function that returns None leaves the error as it is.
ErrorMap = Mapping[type[Exception], type[Exception] | Callable[[Any], Exception | None]]
ErrorRule = (
    type[BaseException]
    | Iterable[type[BaseException]]
    | Callable[[Exception], bool]
    | Callable[[Exception], Awaitable[bool]]
)
Rule = Callable[[BaseException], bool]


def error_rule(rule: ErrorRule) -> Rule:
    """One function out of a type, several types, or a function of one error.

    Raises:
        TypeError: the rule is none of these.

    >>> error_rule((KeyError, IndexError))(KeyError("x"))
    True
    """
    if isinstance(rule, type):
        rule = (rule,)
    if callable(rule):
        return rule  # type: ignore[return-value]
    kinds = tuple(rule)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{kind!r} is no exception type")

    def matches(error: BaseException) -> bool:
        return isinstance(error, kinds)

    return matches


def group_rule(rule: ErrorRule) -> Rule:
    """`error_rule` that holds for a group if it holds for each error in it.

    Types may name the group's own type too. Functions are asked about the errors in the group.

    >>> group_rule(OSError)(ExceptionGroup("two", [OSError(), OSError()]))
    True
    """
    if rule == ():
        return _never
    one = error_rule(rule)
    if not isinstance(rule, type) and callable(rule):
        return lambda error: every(error, one)
    return lambda error: one(error) or (isinstance(error, BaseExceptionGroup) and every(error, one))


def _never(error: BaseException) -> bool:
    return False


def classify(error: BaseException, records: Rule, ignores: Rule) -> str | None:
    """The outcome of an error; None for a cancelled call, which says nothing about the callee.

    A `CallTimeout` is a timeout whatever `record` says, unless it is ignored. A call for which this
    process had no thread did not reach the callee and is ignored. A group counts as its worst
    error: a failure before a timeout, and ignored only if all of its errors are.
    """
    if isinstance(error, BaseExceptionGroup):
        if not isinstance(error, Exception):
            return None
        outcomes = {_classify_one(each, records, ignores) for each in leaves(error)}
        # A type may also name the group itself.
        if ignores(error):
            return "ignored"
        for outcome in ("failure", "timeout", "ignored"):
            if outcome in outcomes:
                return outcome
        return None
    return _classify_one(error, records, ignores)


def _classify_one(error: BaseException, records: Rule, ignores: Rule) -> str | None:
    if isinstance(error, CallInterrupted):
        # The timeout of an enclosing block.
        error = CallTimeout(error.timeout)
    elif not isinstance(error, Exception):
        return None
    if ignores(error) or isinstance(error, IsolationExhausted):
        return "ignored"
    if isinstance(error, CallTimeout):
        return "timeout"
    return "failure" if records(error) else "ignored"


def error_map(given: ErrorMap | None) -> Callable[[Exception], Exception | None] | None:
    """One function out of a mapping: the error to raise in an error's place; None to leave it.

    A group is replaced if each of its errors has a replacement, by that of the first.

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

    def instead_of_one(error: BaseException) -> Exception | None:
        for kind, make in pairs:
            if isinstance(error, kind):
                return make(str(error)) if isinstance(make, type) else make(error)
        return None

    def instead(error: Exception) -> Exception | None:
        mapped = instead_of_one(error)
        if mapped is None and isinstance(error, BaseExceptionGroup):
            replacements = [instead_of_one(each) for each in leaves(error)]
            return replacements[0] if all(each is not None for each in replacements) else None
        return mapped

    return instead


def _is_mapped(kind: object, make: object) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, Exception)
        and callable(make)
        and (isinstance(make, type) or not is_async(make))
    )
