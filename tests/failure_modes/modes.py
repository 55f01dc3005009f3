"""The 47 modes as data: what is done to the endpoint, and what is promised of it meanwhile."""

from __future__ import annotations

from typing import Final

from tests.failure_modes.dependency_modes import DEPENDENCY_MODES
from tests.failure_modes.mode_types import Mode
from tests.failure_modes.own_modes import OWN_MODES

MODES: Final[tuple[Mode, ...]] = (*DEPENDENCY_MODES, *OWN_MODES)
