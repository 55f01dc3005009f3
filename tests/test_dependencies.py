"""docs/dependencies.md says why each dependency is here; the lock names no index."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs/dependencies.md").read_text()
LOCK = (ROOT / "requirements/requirements.lock").read_text()


def required(path: str) -> list[str]:
    lines = (ROOT / path).read_text().splitlines()
    return [re.split(r"[\[<>=]", line)[0] for line in lines if re.match(r"[a-z]", line)]


@pytest.mark.parametrize("package", required("requirements/base.in"))
def test_every_runtime_dependency_has_a_line(package: str) -> None:
    assert re.search(rf"^\| {package}\b", DOC, re.M), f"{package} is missing from dependencies.md"


@pytest.mark.parametrize("package", required("requirements/dev.in"))
def test_every_development_dependency_is_named(package: str) -> None:
    stubs = package.startswith("types-") or package == "setuptools"
    assert stubs or package in DOC, f"{package} is missing from dependencies.md"


def test_every_locked_package_has_a_hash() -> None:
    packages = re.findall(r"^[a-z0-9._-]+==", LOCK, re.M)
    assert len(packages) > 50
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_the_lock_names_no_index() -> None:
    assert not re.search(r"index-url|find-links|https?://|file:", LOCK)
