"""Tells what a database refuses for its content from what fails for the database's own sake."""

from __future__ import annotations

from typing import Final

from django.db import DataError, IntegrityError

# What SQLite says of content in an error of its operation.
_OF_CONTENT: Final = ("integer overflow", "user-defined function raised exception")
# Classes of SQLSTATE: data exceptions, and violated constraints.
_STATES: Final = ("22", "23")


def is_of_content(error: BaseException) -> bool:
    """Whether a second try would fail again, for the rows are what is wrong."""
    if isinstance(error, DataError | IntegrityError):
        return True
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state.startswith(_STATES) or any(each in str(error) for each in _OF_CONTENT)
