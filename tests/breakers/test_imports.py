"""The core needs the standard library alone, and says what an integration needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "breakers"
OPTIONAL = {"agent", "cli", "exporters", "integrations", "protocol", "testing"}
CORE = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in OPTIONAL
]
# Importing anything that is installed fails, as where nothing is installed.
BARE = """
import sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "breakers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Bare())
"""
EXTRAS = {
    "httpx": "httpx",
    "requests": "requests",
    "redis": "redis",
    "redis_cache": "redis",
    "sqlalchemy": "sqlalchemy",
    "django": "django",
    "celery": "celery",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


def imported(path: Path) -> set[str]:
    """The packages that a file imports at run time or for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_core_module_imports_the_standard_library_and_the_core(path: Path) -> None:
    for name in imported(path):
        top, *rest = name.split(".")
        assert top in sys.stdlib_module_names or top == "breakers", name
        assert not OPTIONAL & set(rest), name


def test_the_library_works_where_nothing_is_installed() -> None:
    done = run(
        "import breakers\n"
        "assert breakers.CircuitBreaker().call(len, 'four') == 4\n"
        "assert not [name for name in sys.modules if name.startswith('breakers.integrations')]"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", EXTRAS)
def test_an_integration_names_the_extra_that_it_needs(module: str) -> None:
    done = run(f"import breakers.integrations.{module}")
    assert f"pip install 'switchgear[{EXTRAS[module]}]'" in done.stderr


def test_any_asgi_application_can_be_served_without_one() -> None:
    assert run("import breakers.integrations.asgi").returncode == 0


def test_every_extra_is_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    for extra in {*EXTRAS.values(), "agent"}:
        assert f"\n{extra} = [" in declared
