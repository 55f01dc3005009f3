"""The clock that both sides read."""

import pytest

from tests.breakers.peers.side_by_side import Time


@pytest.fixture
def clock() -> Time:
    return Time()
