"""Which errors are failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from breakers.errors import CallTimeout

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

    A `CallTimeout` is a timeout whatever the rules say of other errors, unless it is ignored.
    """
    if not isinstance(error, Exception):
        return None
    if ignores(error):
        return "ignored"
    if isinstance(error, CallTimeout):
        return "timeout"
    return "failure" if records(error) else "ignored"
