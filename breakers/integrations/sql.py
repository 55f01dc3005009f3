"""Classifies database errors: a failure of the database, or of the statement alone."""

from __future__ import annotations

import re
from typing import Any, Final

from breakers.errors import CallTimeout
from breakers.integrations.permits import NoOutcome

# PEP 249: these may be failures of the database. The others are answers, such as a violated
# constraint.
_MAY_BE_FAILURES: Final = frozenset({"OperationalError", "InterfaceError", "InternalError"})
# PostgreSQL's classes: connection, resources, operator intervention, system, corruption.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_FAILURE_CLASSES: Final = ("08", "53", "57", "58", "F0", "XX")
_CANCELLED: Final = "57014"
# NOMEM, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB, BUSY, LOCKED. https://sqlite.org/rescode.html
_SQLITE_FAILURE_CODES: Final = frozenset({5, 6, 7, 10, 11, 13, 14, 15, 26})
_CONTROL: Final = re.compile(r"\s*(?:SAVEPOINT|RELEASE|ROLLBACK|COMMIT|BEGIN)\b", re.IGNORECASE)


def outcome_of(error: BaseException) -> BaseException | None:
    """The error to record for a database error. None: the database answered, record a success.

    >>> outcome_of(type("IntegrityError", (Exception,), {})()) is None
    True
    """
    original: Any = error
    while _names(original.__cause__) & _PEP_249:
        # Django wraps the driver's error, which has more detail.
        original = original.__cause__
    names = _names(original)
    if not names & _PEP_249:
        return error if isinstance(error, OSError) else NoOutcome()
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    code = getattr(original, "sqlite_errorcode", None)
    if state == _CANCELLED:
        return CallTimeout()
    if isinstance(state, str):
        return error if state.startswith(_FAILURE_CLASSES) else None
    if isinstance(code, int):
        return error if code & 0xFF in _SQLITE_FAILURE_CODES else None
    return error if names & _MAY_BE_FAILURES else None


_PEP_249: Final = _MAY_BE_FAILURES | {
    "DataError",
    "DatabaseError",
    "IntegrityError",
    "NotSupportedError",
    "ProgrammingError",
}


def _names(error: BaseException | None) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def is_control(statement: str) -> bool:
    """Whether a statement begins, ends or rolls back a transaction.

    Such a statement is never refused, so that a transaction that has begun can end.

    >>> is_control('ROLLBACK TO SAVEPOINT "s1"'), is_control("SELECT 1")
    (True, False)
    """
    return _CONTROL.match(statement) is not None
