"""Names follow the vocabulary, modules stay short, and the paths named in docs exist.

docs/contributing.md has the vocabulary.
"""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("breakers", "dashboard", "examples", "benchmarks", "tests")
MAX_LINES = 350

# Names that say nothing about what they stand for, each replaced by a term of the field.
RETIRED_NAMES = {
    *("gate", "hot", "compiled", "operated", "entered", "held", "tally", "flights", "waiting"),
    *("looks", "exchanges", "seen", "members", "present", "framing", "folding", "rings", "gaps"),
    *("remembered", "life", "room", "has_room", "unwatched", "turned_away", "lean", "trusted"),
    *("here", "asked", "told", "watching", "composition", "sweeping", "garbage", "doors", "door"),
    *("tether", "acting", "acts", "plain", "wording", "mirrored", "corners", "gap", "shape"),
    *("console", "entry", "refusals"),
}
# Functions and methods for which the word is the standard term; no module or class may have them.
STANDARD_FUNCTION_NAMES = {
    "shape",  # the production shape, the embedded shape
    "entry",  # of a log
    "held",  # leases that a worker holds
    "waiting",  # callers in a queue
    "console",  # the terminal that the command line writes to
}
# Words of earlier prose that stood for a term of the field, and what is written instead.
RETIRED_PROSE = re.compile(
    r"\b(the gates?|this room|no room|its door|the doors?|faces show|(?<!control )rooms?)\b", re.I
)
PLANNED = {
    "breakers/cli",
    "dashboard/api/operators",
}
FOLDERS = "breakers|dashboard|docs|examples|benchmarks|deploy|requirements|static|templates|tests"


@cache
def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def python_modules() -> list[Path]:
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES
    ]


def pages() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")


def retired_definitions(source: str) -> list[str]:
    """The classes and functions in `source` that have a retired name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            allowed: set[str] = set()
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            allowed = STANDARD_FUNCTION_NAMES
        else:
            continue
        if snake_case(node.name).removeprefix("test_") in RETIRED_NAMES - allowed:
            found.append(node.name)
    return found


def is_retired_file(name: str) -> bool:
    stem = name.partition(".")[0].lower()
    stem = stem.removeprefix("test_").strip("_").replace("-", "_")
    return stem in RETIRED_NAMES


def test_no_file_or_folder_has_a_retired_name() -> None:
    names = {part for path in tracked_files() for part in path.relative_to(ROOT).parts}
    assert sorted(name for name in names if is_retired_file(name)) == []


def test_no_class_or_function_has_a_retired_name() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in python_modules()
        if (names := retired_definitions(path.read_text()))
    }
    assert found == {}


def test_retired_names_are_found() -> None:
    source = "class Gate: ...\ndef has_room(): ...\nasync def told(): ...\nclass _Tally: ...\n"
    assert retired_definitions(source) == ["Gate", "has_room", "told", "_Tally"]
    assert retired_definitions("def test_gap(): ...\ndef shape(): ...\nclass Admission: ...") == [
        "test_gap"
    ]
    assert is_retired_file("test_corners.py")
    assert is_retired_file("_gate.c")
    assert not is_retired_file("admission.py")


def test_modules_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in tracked_files()
        if path.suffix in {".py", ".js", ".css"} and "migrations" not in path.parts
    }
    long = {name for name, lines in lengths.items() if lines > MAX_LINES}
    assert long == set()


def prose() -> list[Path]:
    """Sources and pages that people read; the tests' own words are not among them."""
    kept = (".py", ".md", ".html", ".js", ".c")
    return [
        path
        for path in tracked_files()
        if path.suffix in kept
        and path.relative_to(ROOT).parts[0] != "tests"
        and path.name not in ("CHANGELOG.md", "contributing.md")
    ]


def test_prose_uses_the_terms_of_the_field() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}": match[0]
        for path in prose()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (match := RETIRED_PROSE.search(line))
    }
    assert found == {}


def named_paths(text: str) -> list[str]:
    """Paths of the repository that a page names as code, such as `dashboard/fleet/`."""
    return [
        match.rstrip("/")
        for match in re.findall(rf"`((?:{FOLDERS})/[A-Za-z0-9_./-]*)`", text)
        if "*" not in match
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_named_in_a_page_exist(page: Path) -> None:
    missing = [
        name
        for name in named_paths(page.read_text())
        if name not in PLANNED and not any((base / name).exists() for base in (ROOT, page.parent))
    ]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_exist(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_named_in_a_page_exist(page: Path) -> None:
    """`python -m benchmarks.wall` and dotted names such as `breakers.exporters.prometheus`."""
    dotted = re.findall(r"\b((?:benchmarks|breakers)(?:\.[a-z_]+)+)\b(?!\.com)", page.read_text())
    assert [name for name in dotted if not is_module_or_name(name)] == []


def is_module_or_name(dotted: str) -> bool:
    """Whether modules lead to `dotted`, or to a module whose text has the rest of it."""
    first, *rest = dotted.split(".")
    path = ROOT / first
    for part in rest:
        if (path / part).is_dir() or (path / f"{part}.py").exists():
            path = path / part
            continue
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return part in module.read_text()
    return True
