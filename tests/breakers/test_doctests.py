"""Every example in a docstring of the library runs."""

import doctest
import importlib
import pkgutil

import pytest

import breakers

MODULES = [each.name for each in pkgutil.walk_packages(breakers.__path__, "breakers.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_there_are_examples() -> None:
    found = doctest.DocTestFinder().find(breakers.CircuitBreaker)
    assert any(each.examples for each in found)


def test_the_public_names_are_those_of_all() -> None:
    assert all(hasattr(breakers, name) for name in breakers.__all__)
    assert all(getattr(breakers, name).__doc__ for name in breakers.__all__)
