"""The rule for names, shared with the core of the library: see `breakers.common.names`."""

from breakers.common.names import ALLOWED, MAX_LENGTH, PATTERN, is_name, problem

__all__ = ["ALLOWED", "MAX_LENGTH", "PATTERN", "is_name", "problem"]
