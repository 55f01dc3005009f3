"""The error for an integration whose package is not installed."""

from __future__ import annotations


def missing_extra(package: str, error: ImportError) -> ImportError:
    """The error that names the extra to install.

    >>> str(missing_extra("httpx", ImportError("No module named 'httpx'")))
    "this integration needs httpx: pip install 'switchgear[httpx]' (No module named 'httpx')"
    """
    return ImportError(
        f"this integration needs {package}: pip install 'switchgear[{package}]' ({error})",
        name=error.name,
    )
