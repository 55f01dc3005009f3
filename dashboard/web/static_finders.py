"""Finds plotly.min.js where the plotly package keeps it, so that no copy of it is committed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import plotly
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

_FOLDER = Path(plotly.__file__).parent / "package_data"
_FILE = "plotly.min.js"
_PREFIX = "plotly"


class PlotlyFinder(BaseFinder):
    """One file: plotly/plotly.min.js."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._storage = FileSystemStorage(location=_FOLDER)
        # Where collectstatic puts it; the finders of Django are read the same way.
        self._storage.prefix = _PREFIX  # type: ignore[attr-defined]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = str(_FOLDER / _FILE) if path == f"{_PREFIX}/{_FILE}" else None
        if find_all:
            return [found] if found else []
        return found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        yield _FILE, self._storage
