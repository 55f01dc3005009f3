"""Code that an alarm must not interrupt is marked, wherever it is and whatever its name."""

from __future__ import annotations

import inspect
import sys
import types
from types import FrameType

import pytest

from breakers.circuit.breaker import CircuitBreaker
from breakers.common.uninterruptible import (
    is_marked,
    is_uninterruptible,
    uninterruptible,
)
from breakers.limits.slots import Slots

SOURCE = """
from breakers.common.uninterruptible import uninterruptible
import sys

def helper():
    return sys._getframe()

@uninterruptible
class Books:
    def keep(self):
        return helper()

    @property
    def figure(self):
        return sys._getframe()

    @classmethod
    def make(cls):
        return (lambda: sys._getframe())()

def plain():
    return helper()
"""


@pytest.fixture
def renamed() -> types.ModuleType:
    """A module of the package under a name that nobody has listed."""
    module = types.ModuleType("breakers.invented_for_this_test")
    exec(compile(SOURCE, "<elsewhere>", "exec"), module.__dict__)
    return module


def test_a_renamed_module_keeps_its_marks(renamed: types.ModuleType) -> None:
    assert is_uninterruptible(renamed.Books().keep())
    assert is_uninterruptible(renamed.Books().figure)
    assert is_uninterruptible(renamed.Books.make())


def test_unmarked_code_of_the_package_is_interrupted(renamed: types.ModuleType) -> None:
    assert not is_uninterruptible(renamed.plain())
    assert not is_uninterruptible(None)


def test_a_callee_that_marked_code_calls_is_interrupted() -> None:
    frames: list[FrameType] = []

    @uninterruptible
    def keep() -> None:
        frames.append(sys._getframe())

    keep()
    # This module is not of the package: its frames are a callee's.
    assert not is_uninterruptible(frames[0])


@pytest.mark.parametrize("name", ["_admit", "_record", "_fold", "_settle", "_go", "set_override"])
def test_every_layer_of_the_breaker_is_marked(name: str) -> None:
    assert is_marked(inspect.getattr_static(CircuitBreaker, name))


@pytest.mark.parametrize("name", ["acquire", "release", "_serve", "_settle"])
def test_slots_are_marked(name: str) -> None:
    assert is_marked(inspect.getattr_static(Slots, name))
