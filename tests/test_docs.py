"""docs/guide/settings.md lists exactly the settings that exist, each once."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = (ROOT / "dashboard/settings.py").read_text()
PAGE = (ROOT / "docs/guide/settings.md").read_text()


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    read = set(re.findall(r"""env\.\w+\(\s*"([A-Z_]+)\"""", SETTINGS))
    documented = re.findall(r"^\| `SWITCHGEAR_([A-Z_]+)`", PAGE, re.M)
    assert sorted(read) == sorted(documented)
