"""Every example in a docstring of the library runs."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import breakers

ROOT = Path(__file__).parents[2]
MODULES = [each.name for each in pkgutil.walk_packages(breakers.__path__, "breakers.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


@pytest.mark.parametrize("name", breakers.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    public = getattr(breakers, name)
    kind = public if callable(public) else type(public)
    (found,) = doctest.DocTestFinder(recurse=False).find(kind, name)
    assert found.examples


def test_the_public_names_are_those_of_all_and_of_the_reference() -> None:
    page = (ROOT / "docs/guide/reference.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| .+ \|$", page, re.MULTILINE)
    assert sorted(listed) == breakers.__all__ == sorted(breakers.__all__)
