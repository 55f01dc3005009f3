"""What the docs say of settings and links is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETTINGS = (ROOT / "dashboard/settings.py").read_text()
PAGE = (ROOT / "docs/guide/settings.md").read_text()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    read = set(re.findall(r"""env\.\w+\(\s*"([A-Z_]+)\"""", SETTINGS))
    told = set(re.findall(r"^\| `SWITCHGEAR_([A-Z_]+)`", PAGE, re.M))
    assert read == told
