"""Our endpoint keeps the promise of every mode. What the other two do is measured beside it."""

from __future__ import annotations

import pytest

from tests.failure_modes.conftest import Measured
from tests.failure_modes.mode_types import Mode
from tests.failure_modes.modes import MODES

WAIT_S = 280.0


def test_there_are_47_modes_with_different_names() -> None:
    assert len({mode.name for mode in MODES}) == len(MODES) == 47


@pytest.mark.parametrize("mode", MODES, ids=[mode.name for mode in MODES])
def test_switchgear_keeps_the_promise(mode: Mode, results: Measured) -> None:
    ours = results[mode.name, "switchgear"].result(WAIT_S)
    assert ours.kept, "\n".join([*ours.breaches, *ours.seen])
