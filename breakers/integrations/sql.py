"""What a database's error says: of the database, or only of the statement."""

from __future__ import annotations

import re
from typing import Any, Final

from breakers.errors import CallTimeout
from breakers.integrations.permits import NothingLearnt

# PEP 249: these may be the database's fault. Of the others, it answered: a constraint, a typo.
_MAY_BE_ITS_FAULT: Final = frozenset({"OperationalError", "InterfaceError", "InternalError"})
# PostgreSQL's classes: connection, resources, an operator's hand, the system, corrupted.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_DISTRESS: Final = ("08", "53", "57", "58", "F0", "XX")
_CANCELLED: Final = "57014"
# NOMEM, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB, BUSY, LOCKED. https://sqlite.org/rescode.html
_SQLITE_DISTRESS: Final = frozenset({5, 6, 7, 10, 11, 13, 14, 15, 26})
_CONTROL: Final = re.compile(r"\s*(?:SAVEPOINT|RELEASE|ROLLBACK|COMMIT|BEGIN)\b", re.IGNORECASE)


def told(error: BaseException) -> BaseException | None:
    """What a breaker is told of an error: None where the database answered and is well.

    >>> told(type("IntegrityError", (Exception,), {})()) is None
    True
    """
    original: Any = error
    while _names(original.__cause__) & _PEP_249:
        # Django wraps the driver's own, which knows more.
        original = original.__cause__
    names = _names(original)
    if not names & _PEP_249:
        return error if isinstance(error, OSError) else NothingLearnt()
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    code = getattr(original, "sqlite_errorcode", None)
    if state == _CANCELLED:
        return CallTimeout()
    if isinstance(state, str):
        return error if state.startswith(_DISTRESS) else None
    if isinstance(code, int):
        return error if code & 0xFF in _SQLITE_DISTRESS else None
    return error if names & _MAY_BE_ITS_FAULT else None


_PEP_249: Final = _MAY_BE_ITS_FAULT | {
    "DataError",
    "DatabaseError",
    "IntegrityError",
    "NotSupportedError",
    "ProgrammingError",
}


def _names(error: BaseException | None) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def is_control(statement: str) -> bool:
    """Whether a statement begins, ends or winds back a transaction: never refused, for one that has
    begun must be able to end.

    >>> is_control('ROLLBACK TO SAVEPOINT "s1"'), is_control("SELECT 1")
    (True, False)
    """
    return _CONTROL.match(statement) is not None
