"""No module imports another that imports it back, not even for its types."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
Graph = dict[str, set[str]]


def name_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(root: Path, *packages: str) -> dict[str, Path]:
    """The modules of some packages; a stub stands for an extension, where there is no source."""
    found: dict[str, Path] = {}
    for package in packages:
        for suffix in ("py", "pyi"):
            for path in sorted((root / package).rglob(f"*.{suffix}")):
                found.setdefault(name_of(path, root), path)
    return found


def imports_of(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The known modules that a module imports, in functions and under TYPE_CHECKING too."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for each in node.names:
                full = f"{base}.{each.name}"
                found.add(full if full in known else base)
    return (found & known.keys()) - {name}


def circles_of(graph: Graph) -> list[list[str]]:
    """The groups of modules that reach each other, each in order of name."""
    left = {name: set(imported) for name, imported in graph.items()}
    while ends := [name for name, imported in left.items() if not imported & left.keys()]:
        for name in ends:
            del left[name]
    reached = {name: reach(name, left) for name in left}
    groups = {
        tuple(sorted({name} | {each for each in seen if name in reached[each]}))
        for name, seen in reached.items()
        if name in seen
    }
    return sorted(map(list, groups))


def reach(start: str, graph: Graph) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for each in graph.get(todo.pop(), ()):
            if each in graph and each not in seen:
                seen.add(each)
                todo.append(each)
    return seen


@pytest.mark.parametrize("package", ["breakers", "dashboard", "examples", "benchmarks"])
def test_no_modules_import_each_other(package: str) -> None:
    known = modules_of(ROOT, package)
    assert len(known) > 10
    assert circles_of({name: imports_of(name, path, known) for name, path in known.items()}) == []


def test_a_circle_for_types_alone_is_found(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("from shop.cart import total\n")
    (package / "cart.py").write_text("def total():\n    from . import price\n")
    (package / "price.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shop.tax\n"
    )
    (package / "tax.py").write_text("from shop.cart import total\nimport os\n")
    (package / "alone.py").write_text("from .tax import total\n")
    known = modules_of(tmp_path, "shop")
    graph = {name: imports_of(name, path, known) for name, path in known.items()}
    assert graph["shop.alone"] == {"shop.tax"}
    assert circles_of(graph) == [["shop.cart", "shop.price", "shop.tax"]]
