"""Fixtures of the library's tests."""

from __future__ import annotations

import pytest

from breakers.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test turns by hand."""
    return FakeClock()
