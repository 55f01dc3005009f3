"""The examples in the docstrings hold, and the fleet needs no Django."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "examples").rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_docstrings_of(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_shop_runs_without_django_and_without_the_dashboard() -> None:
    shop = [name for name in MODULES if name.startswith("examples.shop.")]
    program = f"import sys, {', '.join(shop)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"django", "dashboard"} & {name.partition(".")[0] for name in loaded}
